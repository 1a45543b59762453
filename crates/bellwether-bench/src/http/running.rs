//! An entrant that runs, and what it does in a window of load.

use std::fs;
use std::net::SocketAddrV4;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::entrant::{Entrant, WORKERS};
use super::trial::{FILES, File, Trial};
use crate::arrivals::{Phase, Work, poisson};
use crate::hello::{self, HELLO};
use crate::neighbours::Neighbours;
use crate::open_loop::{self, Target, Waits, Wire};
use crate::process;
use crate::site::daemon::{Daemon, folder, free_address};
use crate::wrk::{Clients, Tally};

/// How long the last answers of a schedule are waited for.
const PATIENCE: Duration = Duration::from_secs(2);

pub(super) struct Running {
    address: SocketAddrV4,
    daemon: Daemon,
}

/// What one window showed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Sample {
    /// Requests per second.
    pub(super) rate: f64,
    /// Processor time of the whole process tree, in µs a request.
    pub(super) cpu: f64,
    /// The response time that half of the requests exceed, in ms; NaN where nobody looked.
    pub(super) p50: f64,
    /// That which one in a hundred exceeds.
    pub(super) p99: f64,
    /// Requests without the right answer.
    pub(super) failed: f64,
    /// The share of the machine's processors that neither server nor client used.
    pub(super) elsewhere: f64,
}

impl Running {
    /// Starts it beside all files, and waits until it answers these paths.
    pub(super) fn start(
        entrant: Entrant,
        paths: impl Iterator<Item = &'static str> + Clone,
    ) -> Result<Self> {
        let (folder, address) = (folder()?, free_address()?);
        fs::create_dir(folder.path().join("files"))?;
        for File { path, size, .. } in FILES {
            fs::write(folder.path().join(path.trim_start_matches('/')), vec![b'x'; size])?;
        }
        let command = entrant.command(folder.path(), address)?;
        let command: Vec<&str> = command.iter().map(String::as_str).collect();
        let mut daemon = Daemon::start(&command, folder)?;
        daemon
            .wait_until(|| paths.clone().try_for_each(|path| ask(address, path)))
            .with_context(|| format!("cannot start {entrant}"))?;
        Ok(Self { address, daemon })
    }

    /// One window; `rate` is for what comes by the clock.
    pub(super) fn run(&self, trial: &Trial, rate: f64, seconds: u64) -> Result<Sample> {
        match *trial {
            Trial::Closed(clients) => self.closed(clients, seconds),
            Trial::Open => self.open(rate, Duration::from_secs(seconds)),
        }
    }

    fn closed(&self, clients: Clients<'_>, seconds: u64) -> Result<Sample> {
        let load = || clients.run(self.address, seconds, self.daemon.folder());
        let (tally, cpu, elsewhere) = self.watch(load)?;
        Sample::of_tally(tally, cpu, elsewhere)
    }

    /// Requests by the clock, on connections of their own.
    fn open(&self, rate: f64, length: Duration) -> Result<Sample> {
        let target = Target { address: self.address, wire: Wire::Page(HELLO) };
        let arrivals = poisson(&[Phase { rate, length }], Work::default(), 1);
        let load = || open_loop::run(&target, &arrivals, PATIENCE);
        let (run, cpu, elsewhere) = self.watch(load)?;
        let times = Waits::of(run.records.iter().map(open_loop::Record::response));
        let answered = run.records.iter().filter(|record| record.is_answered()).count();
        ensure!(answered > 0, "nothing was answered");
        Ok(Sample {
            rate: answered as f64 / length.as_secs_f64(),
            cpu: cpu.as_secs_f64() * 1e6 / answered as f64,
            p50: times.at(0.5),
            p99: times.at(0.99),
            failed: (run.records.len() - answered) as f64,
            elsewhere,
        })
    }

    /// How many requests a second, each on a connection of its own, it and its clients have the time
    /// for. The clients are those who ask by the clock, who cost more than wrk; they are as few as the
    /// workers, because it costs less to serve a queue than to wake up for one request.
    pub(super) fn capacity(&self, length: Duration) -> Result<f64> {
        let target = Target { address: self.address, wire: Wire::Page(HELLO) };
        let run = open_loop::run_closed(&target, Work::default(), WORKERS, |now| now < length)?;
        let answered = run.records.iter().filter(|record| record.is_answered()).count();
        Ok(answered as f64 / length.as_secs_f64())
    }

    /// The processor time that the server took meanwhile, and the share that others did.
    fn watch<T>(&self, load: impl FnOnce() -> Result<T>) -> Result<(T, Duration, f64)> {
        let root = self.daemon.master();
        let processes = process::tree(root)?;
        let before = (Neighbours::look(root)?, process::cpu_time_of(&processes)?);
        let result = load()?;
        let after = (process::cpu_time_of(&processes)?, Neighbours::look(root)?);
        Ok((result, after.0.saturating_sub(before.1), after.1.share_since(&before.0)?))
    }
}

fn ask(address: SocketAddrV4, path: &str) -> Result<()> {
    if path == "/" { hello::ask(address) } else { hello::finds(address, path) }
}

impl Sample {
    fn of_tally(tally: Tally, cpu: Duration, elsewhere: f64) -> Result<Self> {
        ensure!(tally.answered > 0, "nothing was answered: {tally:?}");
        let requests = tally.answered as f64;
        Ok(Self {
            rate: requests / tally.elapsed.as_secs_f64(),
            cpu: cpu.as_secs_f64() * 1e6 / requests,
            p50: f64::NAN,
            p99: f64::NAN,
            failed: tally.failed as f64,
            elsewhere,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_counts_by_the_request_and_by_the_second() {
        let elapsed = Duration::from_secs(2);
        let tally = Tally { answered: 4000, failed: 1, elapsed, p99: Duration::ZERO };
        let sample = Sample::of_tally(tally, Duration::from_millis(80), 0.1).unwrap();
        assert_eq!((sample.rate, sample.cpu, sample.failed), (2000.0, 20.0, 1.0));
        let nobody = Tally { answered: 0, ..tally };
        assert!(Sample::of_tally(nobody, elapsed, 0.0).is_err());
    }
}
