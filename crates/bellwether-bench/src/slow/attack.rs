//! The ways of slowhttptest to take a server's time.

use std::fmt;
use std::net::SocketAddrV4;
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::ValueEnum;

use crate::pool::{signal, this_program};
use crate::site::packages::Package;

const SLOWHTTPTEST: Package = Package { program: "slowhttptest", name: "slowhttptest" };

/// How many connections it opens in a second.
const RATE: usize = 500;

/// How long it has to open them all, and then some, before the client asks.
const BEFORE: Duration = Duration::from_secs(3);

/// How often is looked whether it has ended.
const PAUSE: Duration = Duration::from_millis(20);

/// For how many seconds it would go on by itself: longer than anything that is measured.
const LONG: &str = "3600";

/// How a crowd of clients is slow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Attack {
    /// Slowloris: a field of the head every ten seconds
    Head,
    /// A piece of the body every ten seconds
    Body,
    /// Many ranges of one file, asked for in one request (Apache Killer)
    Range,
    /// A large file, read 32 bytes every five seconds
    Read,
}

/// Why there is no attack, if there is none.
pub(super) fn missing(install: bool) -> Option<String> {
    SLOWHTTPTEST.missing(install)
}

impl Attack {
    /// Lets it come up, and go on until it is ended.
    ///
    /// slowhttptest ends when it has lost all connections. Then it begins again: a server that sends
    /// slow clients away at once has to do that again and again.
    pub(super) fn begin(self, address: SocketAddrV4, connections: usize) -> Result<Attackers> {
        let mut attackers = self.start(address, connections)?;
        let over = Arc::new(AtomicBool::new(false));
        let ends = Arc::clone(&over);
        let again = thread::spawn(move || {
            while !ends.load(Ordering::Relaxed) {
                thread::sleep(PAUSE);
                if attackers.0.try_wait()?.is_some() {
                    attackers = self.start(address, connections)?;
                }
            }
            Ok(())
        });
        thread::sleep(BEFORE);
        Ok(Attackers { over, again })
    }

    fn start(self, address: SocketAddrV4, connections: usize) -> Result<Round> {
        let [connections, rate] = [connections, RATE].map(|it| it.to_string());
        let mut command = this_program();
        command.args(["leashed", "slowhttptest", "-c", &connections, "-r", &rate, "-l", LONG]);
        command.args(self.flags()).args(["-u", &format!("http://{address}{}", self.path())]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().map(Round).context("cannot run slowhttptest")
    }

    const fn flags(self) -> &'static [&'static str] {
        match self {
            Self::Head => &["-H", "-i", "10", "-x", "24"],
            Self::Body => &["-B", "-i", "10", "-s", "8192", "-x", "10"],
            Self::Range => &["-R", "-a", "5", "-b", "3000"],
            Self::Read => &["-X", "-w", "512", "-y", "1024", "-n", "5", "-z", "32"],
        }
    }

    const fn path(self) -> &'static str {
        match self {
            Self::Head | Self::Body => "/page",
            Self::Range | Self::Read => "/large",
        }
    }
}

/// An attack that goes on.
pub(super) struct Attackers {
    over: Arc<AtomicBool>,
    again: JoinHandle<Result<()>>,
}

impl Attackers {
    /// Ends it; fails where it could not go on, for then nothing was measured.
    pub(super) fn end(self) -> Result<()> {
        self.over.store(true, Ordering::Relaxed);
        self.again.join().unwrap_or_else(|_| bail!("the attack has panicked"))
    }
}

/// One process of slowhttptest, as long as it is kept.
struct Round(Child);

impl Drop for Round {
    fn drop(&mut self) {
        signal(self.0.id(), rustix::process::Signal::KILL);
        let _ = self.0.wait();
    }
}

impl fmt::Display for Attack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Head => "slow heads (-H)",
            Self::Body => "slow bodies (-B)",
            Self::Range => "many ranges (-R)",
            Self::Read => "slow reads (-X)",
        })
    }
}
