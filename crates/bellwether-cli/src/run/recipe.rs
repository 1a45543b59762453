//! Recipes: how a program is given its listening socket, and how it likes to be stopped.
//!
//! A [`Book`] holds them (ours, and before them the user's), [`Book::find`] opens it at the one
//! for a command, and what it [`Found`] there makes of the command what is to be started. All of
//! it takes values and returns values; only whether a file is a script is read from the disk.

mod address;
mod book;
#[cfg(test)]
mod cases;
mod command;
#[cfg(test)]
mod document;
mod find;
mod flag;
mod shebang;
mod words;

use std::collections::BTreeMap;
use std::fmt;

use rustix::process::Signal;
use serde::Deserialize;

pub(crate) use book::Book;
pub(crate) use command::Passed;
#[cfg(test)]
pub(crate) use command::Prepared;
pub(crate) use find::Found;
use flag::Flag;

use crate::config::nearest::nearest;
use crate::config::program::SIGNALS;

/// What is known about a program.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(
    rename_all = "kebab-case",
    deny_unknown_fields,
    expecting = "a table, as in { name = \"mine\", programs = [\"mine\"], pass = \"adopt\" }"
)]
pub(crate) struct Recipe {
    /// What it is called, here and for whoever chooses it.
    pub(crate) name: String,
    /// File names of the program; `*` is every program.
    pub(crate) programs: Vec<String>,
    /// Words of which one must be among the program's arguments.
    #[serde(default)]
    pub(crate) when: Vec<String>,
    /// How the listening socket reaches the program.
    #[serde(default)]
    pub(crate) pass: Way,
    /// What is added to the command to name the socket; only if it is passed that way.
    #[serde(default)]
    pub(crate) arguments: Vec<String>,
    /// Whether the program takes several sockets: `arguments` are repeated for each.
    #[serde(default)]
    pub(crate) several: bool,
    /// What is added to the command whichever way the socket is passed.
    #[serde(default)]
    pub(crate) always: Vec<String>,
    /// Where arguments are added.
    #[serde(default)]
    pub(crate) place: Position,
    /// The program's own flags that would contradict; a `=` at the end: it has a value.
    #[serde(default)]
    pub(crate) drop: Vec<Flag>,
    /// Variables that are set.
    #[serde(default)]
    pub(crate) environment: BTreeMap<String, String>,
    /// What stands between the sockets where a variable names several.
    #[serde(default = "comma")]
    pub(crate) join: String,
    /// How the program's own arguments name the address.
    #[serde(default)]
    pub(crate) address: Naming,
    /// The signal by which it ends gracefully.
    #[serde(default)]
    pub(crate) stop: Stop,
    /// Whether it goes on accepting when it was told to end, and drops what it has accepted.
    #[serde(default)]
    pub(crate) accepts_late: bool,
    /// Whether its clients speak first, as in HTTP: a connection arrives with its first data.
    #[serde(default)]
    pub(crate) client_first: bool,
    /// How many connections it serves at a time.
    #[serde(default)]
    pub(crate) kind: Kind,
    /// How to see that it is ready, as `--ready` takes it.
    #[serde(default = "auto")]
    pub(crate) ready: String,
    /// Whether it starts the real program as its child.
    #[serde(default)]
    pub(crate) wraps: bool,
    /// Words of which one must be there, and what to say if none is.
    #[serde(default)]
    pub(crate) require: Option<Demand>,
    /// Words of which none may be there, and what to say if one is.
    #[serde(default)]
    pub(crate) refuse: Option<Demand>,
    /// What whoever runs it should know.
    #[serde(default)]
    pub(crate) note: Option<String>,
}

/// How a listening socket reaches a program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Way {
    /// An argument names the descriptor.
    Fd,
    /// `LISTEN_FDS` and `LISTEN_PID`, as systemd does it.
    ListenFds,
    /// It is descriptor 0, as FastCGI has it.
    Stdin,
    /// The program's own `bind` is answered with the shared socket.
    #[default]
    Adopt,
    /// The program has a port of its own, and connections are carried there.
    Port,
    /// Variables name the descriptor.
    Env,
}

/// Where arguments are added.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Position {
    /// Directly behind the program.
    Front,
    /// Behind its arguments, but before a `--`.
    #[default]
    End,
}

/// How many connections a program serves at a time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    /// One after the other.
    Serial,
    /// Many at once.
    Concurrent,
    /// To be found out.
    #[default]
    Auto,
}

/// Which of a program's arguments name its address.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(
    rename_all = "kebab-case",
    deny_unknown_fields,
    default,
    expecting = "a table, as in { host = [\"--host=\"], port = [\"--port=\"] }"
)]
pub(crate) struct Naming {
    /// Flags of a host alone.
    pub(crate) host: Vec<Flag>,
    /// Flags of a port alone.
    pub(crate) port: Vec<Flag>,
    /// Flags of a Unix socket's path.
    pub(crate) path: Vec<Flag>,
    /// Flags of a whole address, HOST:PORT or unix:PATH.
    pub(crate) bind: Vec<Flag>,
    /// Whether an argument without a flag, PORT or HOST:PORT, is an address.
    pub(crate) word: bool,
    /// Other flags with values, lest those are taken for a `word`.
    pub(crate) values: Vec<Flag>,
    /// Where it listens when nothing says so.
    pub(crate) default: Option<String>,
}

/// Words that decide whether a command is accepted.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(
    rename_all = "kebab-case",
    deny_unknown_fields,
    expecting = "a table, as in { words = [\"-D\"], say = \"add -D\" }"
)]
pub(crate) struct Demand {
    /// The words; `*` is any.
    pub(crate) words: Vec<String>,
    /// What the user should do.
    pub(crate) say: String,
}

/// The signal by which a program ends gracefully.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Stop(pub(crate) Signal);

impl Default for Stop {
    fn default() -> Self {
        Self(Signal::TERM)
    }
}

impl TryFrom<String> for Stop {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let name = text.trim_start_matches("SIG");
        let found = SIGNALS.iter().find(|(known, _)| *known == name);
        let names = SIGNALS.iter().map(|(known, _)| *known).collect::<Vec<_>>().join(", ");
        let unknown = || format!("`{text}` ends no program; write one of {names}");
        found.map(|(_, signal)| Self(*signal)).ok_or_else(unknown)
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let found = SIGNALS.iter().find(|(_, signal)| *signal == self.0);
        f.write_str(found.map_or("TERM", |(name, _)| name))
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fd => "fd",
            Self::ListenFds => "listen-fds",
            Self::Stdin => "stdin",
            Self::Adopt => "adopt",
            Self::Port => "port",
            Self::Env => "env",
        })
    }
}

impl Naming {
    /// All flags that name an address.
    fn flags(&self) -> impl Iterator<Item = &Flag> {
        [&self.host, &self.port, &self.path, &self.bind].into_iter().flatten()
    }
}

fn comma() -> String {
    ",".into()
}

fn auto() -> String {
    "auto".into()
}

/// Says that there is no such name, and which one was perhaps meant.
fn no_such(what: &str, name: &str, known: &[&str]) -> String {
    let near = nearest(name, known);
    let meant = near.map_or_else(
        || format!("there are {}", known.join(", ")),
        |near| format!("did you mean `{near}`?"),
    );
    format!("there is no {what} `{name}`; {meant}")
}
