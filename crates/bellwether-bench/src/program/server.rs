//! A program that runs, alone or under bellwether, and what it does in a window of load.

use std::net::SocketAddrV4;
use std::time::Duration;

use anyhow::{Result, ensure};

use super::app::App;
use super::way::Way;
use crate::executable;
use crate::hello;
use crate::neighbours::Neighbours;
use crate::our_server::NAME;
use crate::process;
use crate::site::daemon::{Daemon, folder, free_address};
use crate::wrk::{Load, Tally};

/// wrk takes whole seconds; all of the programs are fast by then.
const WARM_UP: u64 = 1;

pub(super) struct Server {
    address: SocketAddrV4,
    daemon: Daemon,
}

/// What one window showed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    /// Requests per second.
    pub(super) rate: f64,
    /// Processor time of all processes of the server, in µs a request.
    pub(super) cpu: f64,
    /// The time from a request to its answer that one in a hundred exceeds, in ms.
    pub(super) p99: f64,
    /// Private memory of all processes of the server after the window, in KiB.
    pub(super) memory: f64,
    /// Requests without an answer, or with an error for one.
    pub(super) failed: f64,
    /// The share of the machine's processors that neither server nor client used.
    pub(super) elsewhere: f64,
}

impl Server {
    /// Starts it and waits for its first answer.
    pub(super) fn start(app: App, way: Way) -> Result<Self> {
        let (folder, address) = (folder()?, free_address()?);
        let mut command = app.command(folder.path(), &way.port(address.port()))?;
        if let Some(pass) = way.pass() {
            command.splice(0..0, bellwether(address, pass)?);
        }
        let command: Vec<&str> = command.iter().map(String::as_str).collect();
        let mut daemon = Daemon::start(&command, folder)?;
        daemon.wait_until(|| hello::ask(address))?;
        Ok(Self { address, daemon })
    }

    pub(super) fn warm_up(&self, load: Load) -> Result<()> {
        load.run(self.address, WARM_UP, self.daemon.folder()).map(drop)
    }

    pub(super) fn measure(&self, load: Load, seconds: u64) -> Result<Sample> {
        let root = self.daemon.master();
        let processes = process::tree(root)?;
        let before = (Neighbours::look(root)?, process::cpu_time_of(&processes)?);
        let tally = load.run(self.address, seconds, self.daemon.folder())?;
        let after = (process::cpu_time_of(&processes)?, Neighbours::look(root)?);
        let memory = processes.iter().map(|&pid| process::private_memory(pid));
        Sample::new(
            tally,
            after.0.saturating_sub(before.1),
            memory.sum::<Result<_>>()?,
            after.1.share_since(&before.0)?,
        )
    }
}

/// `bellwether run` up to the program's own command: a pool of one, nothing else set.
fn bellwether(address: SocketAddrV4, pass: &str) -> Result<Vec<String>> {
    let program = executable::bellwether()?.to_string_lossy().into_owned();
    let listen = address.to_string();
    let flags = ["run", "--listen", &listen, "--handlers", "1", "--pass", pass];
    let words = [&[&*program], &flags[..], &["--name", NAME, "--"]].concat();
    Ok(words.into_iter().map(Into::into).collect())
}

impl Sample {
    fn new(tally: Tally, cpu: Duration, memory: u64, elsewhere: f64) -> Result<Self> {
        ensure!(tally.answered > 0, "nothing was answered: {tally:?}");
        let requests = tally.answered as f64;
        Ok(Self {
            rate: requests / tally.elapsed.as_secs_f64(),
            cpu: cpu.as_secs_f64() * 1e6 / requests,
            p99: tally.p99.as_secs_f64() * 1e3,
            memory: memory as f64,
            failed: tally.failed as f64,
            elsewhere,
        })
    }
}
