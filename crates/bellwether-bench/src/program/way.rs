//! How a program is started: alone, or by `bellwether run`.

use std::fmt;
use std::process::{Command, Stdio};

use clap::ValueEnum;

use crate::executable;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Way {
    /// By its own command
    #[value(skip)]
    Alone,
    /// The same once more: shows what noise alone makes of the ratios
    Again,
    /// In a pool of one, as its recipe says
    Auto,
    /// In a pool of one, adopted, where its recipe says otherwise
    Adopt,
    /// In a pool of one, at a port of its own to which connections are carried
    Port,
}

impl Way {
    /// What `bellwether run` is told about it; `None` without bellwether.
    pub(super) fn pass(self) -> Option<&'static str> {
        match self {
            Self::Alone | Self::Again => None,
            Self::Auto => Some("auto"),
            Self::Adopt => Some("adopt"),
            Self::Port => Some("port"),
        }
    }

    /// What the program is told about its port: where the clients come, or that bellwether names one.
    pub(super) fn port(self, address: u16) -> String {
        if self == Self::Port { "{port}".into() } else { address.to_string() }
    }

    /// Whether nothing should be lost in it: no process stands between.
    pub(super) fn is_direct(self) -> bool {
        self != Self::Port
    }

    /// Why it cannot take part, if it cannot.
    pub(super) fn missing(self) -> Option<String> {
        let way = self.pass()?;
        (!knows(way)).then(|| format!("this bellwether has no --pass {way}"))
    }
}

/// The help is printed only if what stands before it is understood.
fn knows(way: &str) -> bool {
    let Ok(program) = executable::bellwether() else { return false };
    let mut asked = Command::new(program);
    asked.args(["run", "--pass", way, "--help"]).stdin(Stdio::null());
    asked.output().is_ok_and(|output| output.status.success())
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Alone => "alone",
            Self::Again => "alone again",
            Self::Auto => "run",
            Self::Adopt => "run --pass adopt",
            Self::Port => "run --pass port",
        })
    }
}
