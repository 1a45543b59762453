//! Somebody who asks for a page, reads it and goes, by the clock.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddrV4, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

/// From one request to the next, whether that was answered or not.
const PACE: Duration = Duration::from_millis(10);

/// How long one answer is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// What he saw.
#[derive(Clone, Copy, Debug)]
pub(super) struct Experience {
    pub(super) asked: usize,
    pub(super) failed: usize,
    /// From the moment at which he wanted to ask to the end of the answer, in ms.
    pub(super) p50: f64,
    pub(super) p99: f64,
}

/// Asks by the clock for a while; what failed counts as long as it took.
pub(super) fn experience(address: SocketAddrV4, time: Duration) -> Result<Experience> {
    let begun = Instant::now();
    let (mut waits, mut failed) = (Vec::new(), 0);
    for number in 0.. {
        let moment = PACE * number;
        if moment >= time {
            break;
        }
        thread::sleep(moment.saturating_sub(begun.elapsed()));
        failed += usize::from(ask(address).is_err());
        waits.push((begun.elapsed() - moment).as_secs_f64() * 1e3);
    }
    ensure!(failed < waits.len(), "nothing was answered");
    waits.sort_by(f64::total_cmp);
    let share = |percent: usize| waits[(waits.len() - 1) * percent / 100];
    Ok(Experience { asked: waits.len(), failed, p50: share(50), p99: share(99) })
}

/// Asks once on a connection of its own.
pub(super) fn ask(address: SocketAddrV4) -> Result<()> {
    let mut connection = TcpStream::connect_timeout(&address.into(), PATIENCE)?;
    connection.set_read_timeout(Some(PATIENCE))?;
    connection.write_all(b"GET /page HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer)?;
    let is_right = answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("hello, world\n");
    ensure!(is_right, "odd answer: {answer}");
    Ok(())
}
