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

pub(super) fn measure(mode: Mode, kills: usize) -> Result<Replacement> {
    let mut pool = OurPool::start(mode, 1)?;
    let mut replacement =
        Replacement { answer: Histogram::new(3)?, first_accept: Histogram::new(3)? };
    for kill in 1..=kills {
        let victim = pool.wait_until_idle(1)?[0].count.pid;
        let waited = kill_and_ask(victim, pool.address())?;
        replacement.answer.record(u64::try_from(waited.as_micros())?)?;
        let successor = &pool.wait_until_idle(1)?[0];
        ensure!(successor.count.pid != victim, "handler {victim} survived SIGKILL");
        if let Some(first_accept) = successor.first_accept_us {
            replacement.first_accept.record(first_accept)?;
        }
        if kill % 50 == 0 {
            eprintln!("{kill} of {kills} handlers replaced");
        }
    }
    Ok(replacement)
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
