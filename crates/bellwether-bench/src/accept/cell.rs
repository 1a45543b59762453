//! One cell, measured once for one rival: a fresh server, a warm-up, a window.

use std::fmt;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use crate::load::{Load, Tally};
use crate::mode::Mode;
use crate::pool::{Count, Pool, Rival, private_memory};
use crate::process;

const WARM_UP: Duration = Duration::from_millis(150);

#[derive(Clone, Copy, Debug)]
pub(super) struct Cell {
    pub(super) mode: Mode,
    pub(super) handlers: usize,
}

impl fmt::Display for Cell {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} × {}", self.mode, self.handlers)
    }
}

impl Cell {
    pub(super) fn measure(self, rival: Rival, window: Duration) -> Result<Sample> {
        let mut pool = rival
            .start(self.mode, self.handlers)
            .with_context(|| format!("cannot start {rival} with {self}"))?;
        let mut load = Load::new(pool.address())?;
        load.run(WARM_UP)?;
        // The kernel's figures are the inner bracket: asking for counts costs the server, too.
        let counts = pool.counts()?;
        let usage = Usage::read(&*pool, &counts)?;
        let tally = load.run(window)?;
        let usage = Usage::read(&*pool, &counts)?.since(usage);
        let shares = Shares::between(&counts, &pool.counts()?)?;
        Sample::new(tally, usage, &shares, private_memory(&counts)?.median)
    }
}

/// What one run of one rival showed, per connection where that makes sense.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    /// Connections per second.
    pub(super) rate: f64,
    /// Processor time of all processes of the server, in µs.
    pub(super) cpu: f64,
    /// Context switches of the handlers.
    pub(super) switches: f64,
    /// Accepts of the handlers that found nothing.
    pub(super) losses: f64,
    /// Handlers that won at least one connection.
    pub(super) used: f64,
    /// The part of the connections that the busiest handler won.
    pub(super) largest: f64,
    /// Private memory of the median handler when idle again, in KiB.
    pub(super) memory: f64,
    /// Connections that got no whole answer.
    pub(super) failed: f64,
    /// The part of the processors' time that neither server nor client used.
    pub(super) elsewhere: f64,
}

impl Sample {
    #[allow(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    fn new(tally: Tally, usage: Usage, shares: &Shares, memory: f64) -> Result<Self> {
        let connections = tally.answered + tally.failed;
        let won: u64 = shares.wins.iter().sum();
        ensure!(
            (tally.answered..=connections).contains(&won),
            "the clients saw {connections} connections, the handlers counted {won}"
        );
        let per_connection = |amount: u64| amount as f64 / connections as f64;
        Ok(Self {
            rate: connections as f64 / tally.elapsed.as_secs_f64(),
            cpu: usage.cpu.as_secs_f64() * 1e6 / connections as f64,
            switches: per_connection(usage.switches),
            losses: per_connection(shares.losses),
            used: shares.wins.iter().filter(|&&wins| wins > 0).count() as f64,
            largest: per_connection(shares.wins.iter().copied().max().unwrap_or(0)),
            memory,
            failed: tally.failed as f64,
            elsewhere: 1.0
                - (usage.cpu + usage.client).div_duration_f64(tally.elapsed) / processors(),
        })
    }
}

/// How many processors server and client may use.
#[allow(clippy::cast_precision_loss, reason = "no machine has 2^52 processors")]
fn processors() -> f64 {
    thread::available_parallelism().map_or(1.0, |count| count.get() as f64)
}

/// What the kernel charged a server, and us, so far.
#[derive(Clone, Copy)]
struct Usage {
    cpu: Duration,
    switches: u64,
    client: Duration,
}

impl Usage {
    /// Processor time of the whole server; switches of its handlers alone, for they show the herd.
    fn read(pool: &dyn Pool, handlers: &[Count]) -> Result<Self> {
        let processes = pool.processes()?;
        let switches = handlers.iter().map(|count| process::switches(count.pid));
        Ok(Self {
            cpu: processes.iter().map(|&pid| process::cpu_time(pid)).sum::<Result<_>>()?,
            switches: switches.sum::<Result<_>>()?,
            client: process::cpu_time(std::process::id())?,
        })
    }

    fn since(self, before: Self) -> Self {
        Self {
            cpu: self.cpu.saturating_sub(before.cpu),
            switches: self.switches.saturating_sub(before.switches),
            client: self.client.saturating_sub(before.client),
        }
    }
}

/// What each handler won, and all lost, in the window.
struct Shares {
    wins: Vec<u64>,
    losses: u64,
}

impl Shares {
    fn between(before: &[Count], after: &[Count]) -> Result<Self> {
        let mut shares = Self { wins: Vec::new(), losses: 0 };
        ensure!(before.len() == after.len(), "the number of handlers changed in the window");
        for (old, new) in before.iter().zip(after) {
            ensure!(old.pid == new.pid, "handler {} was replaced in the window", old.pid);
            shares.wins.push(new.wins - old.wins);
            shares.losses += new.losses - old.losses;
        }
        Ok(shares)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replaced_handler_spoils_the_window() {
        let count = |pid, wins, losses| Count { pid, wins, losses };
        let before = [count(1, 5, 1), count(2, 0, 0)];
        let shares = Shares::between(&before, &[count(1, 9, 1), count(2, 1, 3)]).unwrap();
        assert_eq!((shares.wins, shares.losses), (vec![4, 1], 3));
        assert!(Shares::between(&before, &[count(1, 9, 1), count(3, 1, 3)]).is_err());
        assert!(Shares::between(&before, &before[..1]).is_err());
    }
}
