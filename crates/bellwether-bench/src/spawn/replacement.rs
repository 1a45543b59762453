//! How long a client waits when the only handler is killed under it.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddrV4, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use hdrhistogram::Histogram;
use rustix::process::Signal;

use crate::load::{REPLY, REQUEST};
use crate::mode::Mode;
use crate::pool::{OurPool, Pool as _, signal};

const PATIENCE: Duration = Duration::from_secs(20);

/// Times in µs.
pub(super) struct Replacement {
    /// From the SIGKILL to the whole answer of the successor, for a client that connects meanwhile.
    pub(super) answer: Histogram<u64>,
    /// From the fork to the first accept, as the server reports it; empty if it does not.
    pub(super) first_accept: Histogram<u64>,
}

impl Replacement {
    /// Kills the first handler of a new server, `kills` times.
    pub(super) fn of_first(mode: Mode, kills: usize) -> Result<Self> {
        let mut replacement = Self::new()?;
        for kill in 1..=kills {
            replacement.record(&mut OurPool::start(mode, 1)?)?;
            progress("first", kill, kills);
        }
        Ok(replacement)
    }

    /// Kills whoever is the handler of one server, as soon as it serves, `kills` times.
    pub(super) fn of_each(mode: Mode, kills: usize) -> Result<Self> {
        let mut replacement = Self::new()?;
        let mut pool = OurPool::start(mode, 1)?;
        for kill in 1..=kills {
            replacement.record(&mut pool)?;
            progress("each", kill, kills);
        }
        Ok(replacement)
    }

    fn new() -> Result<Self> {
        Ok(Self { answer: Histogram::new(3)?, first_accept: Histogram::new(3)? })
    }

    fn record(&mut self, pool: &mut OurPool) -> Result<()> {
        let victim = pool.wait_until_idle(1)?[0].count.pid;
        let waited = kill_and_ask(victim, pool.address())?;
        self.answer.record(u64::try_from(waited.as_micros())?)?;
        let successor = &pool.wait_until_idle(1)?[0];
        ensure!(successor.count.pid != victim, "handler {victim} survived SIGKILL");
        if let Some(first_accept) = successor.first_accept_us {
            self.first_accept.record(first_accept)?;
        }
        Ok(())
    }
}

fn progress(whom: &str, kill: usize, kills: usize) {
    if kill.is_multiple_of(50) || kill == kills {
        eprintln!("killing {whom} handler: {kill} of {kills}");
    }
}

/// A handler that was signalled never accepts again: the connection waits for its successor.
fn kill_and_ask(victim: u32, address: SocketAddrV4) -> Result<Duration> {
    let start = Instant::now();
    signal(victim, Signal::KILL);
    let answer = ask(address).context("the successor did not answer")?;
    let waited = start.elapsed();
    ensure!(answer.len() == REPLY.len(), "an answer of {} bytes", answer.len());
    Ok(waited)
}

fn ask(address: SocketAddrV4) -> Result<Vec<u8>> {
    let mut connection = TcpStream::connect(address)?;
    connection.set_read_timeout(Some(PATIENCE))?;
    connection.write_all(&REQUEST)?;
    let mut answer = Vec::with_capacity(REPLY.len());
    connection.read_to_end(&mut answer)?;
    Ok(answer)
}
