//! The clients: wrk, which asks again as soon as it is answered.

use std::fmt;
use std::fs;
use std::net::SocketAddrV4;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use crate::load::CLIENTS;
use crate::pool::this_program;
use crate::site::packages::Package;

const WRK: Package = Package { program: "wrk", name: "wrk" };

/// Tells in numbers what wrk rounds for people; it runs once, after the load.
const SCRIPT: &str = r#"
function done(summary, latency)
  local e = summary.errors
  io.write(string.format("told: %d %d %d %d\n", summary.requests, summary.duration,
    e.connect + e.read + e.write + e.status + e.timeout, latency:percentile(99)))
end
"#;

/// What each client does with its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Load {
    /// Keeps it
    Kept,
    /// Asks once
    Short,
}

/// What the clients saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) answered: u64,
    pub(crate) failed: u64,
    pub(crate) elapsed: Duration,
    pub(crate) p99: Duration,
}

/// Why there are no clients, if there are none.
pub(crate) fn missing(install: bool) -> Option<String> {
    WRK.missing(install)
}

impl Load {
    pub(crate) const ALL: [Self; 2] = [Self::Kept, Self::Short];

    /// As many connections as in suite `accept`, all of which ask for `/`.
    pub(crate) fn run(self, address: SocketAddrV4, seconds: u64, folder: &Path) -> Result<Tally> {
        let clients = Clients { load: self, connections: CLIENTS, path: "/" };
        clients.run(address, seconds, folder)
    }
}

/// Who comes, and what for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clients<'a> {
    pub(crate) load: Load,
    pub(crate) connections: usize,
    pub(crate) path: &'a str,
}

impl Clients<'_> {
    /// From one thread; `folder` is for what wrk reads.
    pub(crate) fn run(self, address: SocketAddrV4, seconds: u64, folder: &Path) -> Result<Tally> {
        let script = folder.join("told.lua");
        fs::write(&script, SCRIPT)?;
        let mut wrk = this_program();
        wrk.args([
            "leashed",
            "wrk",
            "--threads",
            "1",
            "--connections",
            &self.connections.to_string(),
        ]);
        wrk.args(["--duration", &format!("{seconds}s"), "--script"]).arg(script);
        if self.load == Load::Short {
            wrk.args(["--header", "Connection: close"]);
        }
        let output =
            wrk.arg(format!("http://{address}{}", self.path)).output().context("cannot run wrk")?;
        ensure!(output.status.success(), "wrk: {}", String::from_utf8_lossy(&output.stderr));
        let said = String::from_utf8_lossy(&output.stdout);
        Tally::read(&said).with_context(|| format!("wrk said: {said}"))
    }
}

impl Tally {
    /// What the script tells, in µs; requests that failed by their status are among those answered.
    fn read(said: &str) -> Option<Self> {
        let line = said.lines().find_map(|line| line.strip_prefix("told: "))?;
        let numbers: Vec<u64> = line.split(' ').map_while(|number| number.parse().ok()).collect();
        let &[answered, elapsed, failed, p99] = &numbers[..] else { return None };
        let (elapsed, p99) = (Duration::from_micros(elapsed), Duration::from_micros(p99));
        Some(Self { answered, failed, elapsed, p99 })
    }
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Kept => "kept",
            Self::Short => "short",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_wrk_tells_is_read() {
        let (elapsed, p99) = (Duration::from_secs(2), Duration::from_micros(750));
        let tally = Tally { answered: 5000, failed: 3, elapsed, p99 };
        let said = "Running 2s test\ntold: 5000 2000000 3 750\n";
        assert_eq!(Tally::read(said), Some(tally));
        assert_eq!(Tally::read("told: 5000 2000000 3\n"), None);
        assert_eq!(Tally::read("unable to connect"), None);
    }
}
