//! What can be seen of a program that runs.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use bellwether::journal::{Entry, Kind};
use bellwether::status::PoolStatus;
use serde::Serialize;

/// How often it is asked.
pub(super) const ASKED: usize = 20;

/// How long it may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// What was seen of a program that was run in one way.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(super) struct Facts {
    /// From its start until it was seen to be ready, of the slower of two.
    pub(super) ready_ms: f64,
    /// By what it was seen to be ready, in one word and in several.
    pub(super) ready_by: String,
    pub(super) ready_words: String,
    /// How many of 20 requests for `/` it answered in HTTP.
    pub(super) answered: usize,
    /// `serial`, `concurrent` or `unknown`.
    pub(super) serves: String,
    /// How many processes each handler consists of.
    pub(super) processes: usize,
    /// What each handler takes of memory (proportional set size), in bytes.
    pub(super) memory: u64,
    /// Whether it changed the backlog of the socket that all share.
    pub(super) sets_backlog: bool,
    /// Whether TCP_NODELAY of that socket is still set; missing for Unix sockets.
    pub(super) nodelay: Option<bool>,
    /// Whether it made that socket one that does not block.
    pub(super) nonblocking: bool,
    /// From the order to stop until all had ended.
    pub(super) stop_ms: f64,
    /// Whether it ended by itself, and nothing was cut.
    pub(super) stops_well: bool,
}

impl Facts {
    /// What the journal of its server tells.
    pub(super) fn read(&mut self, entries: &[Entry]) {
        for entry in entries {
            match entry.kind {
                Kind::Ready => {
                    let took = entry.inputs.get("took_ms").copied().unwrap_or_default();
                    self.ready_ms = self.ready_ms.max(took);
                    self.ready_by.clone_from(&entry.rule);
                    let words = entry.reason.split_once(": ").map_or(&*entry.reason, |it| it.1);
                    self.ready_words = words.into();
                }
                Kind::Mend if entry.rule == "backlog" => self.sets_backlog = true,
                _ => {}
            }
        }
    }

    /// What its server shows.
    pub(super) fn look(&mut self, pool: &PoolStatus) {
        self.serves = pool.serves.clone().unwrap_or_default();
        let all: Vec<i32> = pool.handlers.iter().flat_map(|it| it.processes.clone()).collect();
        let handlers = pool.handlers.len().max(1);
        self.processes = all.len().div_ceil(handlers);
        self.memory = all.into_iter().filter_map(pss).sum::<u64>() / handlers as u64;
    }
}

/// Its proportional set size in bytes: what it shares counts in parts (proc_pid_smaps_rollup(5)).
fn pss(pid: i32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

/// Asks for `/` as often as that, and counts the answers in HTTP.
pub(super) fn answered(address: &str) -> usize {
    (0..ASKED).filter(|_| ask(address).is_some()).count()
}

fn ask(address: &str) -> Option<()> {
    if let Some(path) = address.strip_prefix("unix:") {
        let connection = UnixStream::connect(path).ok()?;
        connection.set_read_timeout(Some(PATIENCE)).ok()?;
        return talk(connection);
    }
    let place = address.strip_prefix("tcp://").unwrap_or(address);
    // What is bound to all interfaces is reached by the own one.
    let place = place.replace("0.0.0.0", "127.0.0.1").replace("[::]", "[::1]");
    let connection = TcpStream::connect(place).ok()?;
    connection.set_read_timeout(Some(PATIENCE)).ok()?;
    talk(connection)
}

fn talk(mut connection: impl Read + Write) -> Option<()> {
    connection.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").ok()?;
    let mut start = [0; 7];
    connection.read_exact(&mut start).ok()?;
    // The rest is read, lest our end resets what it still sends.
    let _ = connection.read_to_end(&mut Vec::new());
    (start == *b"HTTP/1.").then_some(())
}
