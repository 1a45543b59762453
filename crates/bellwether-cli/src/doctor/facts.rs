//! What can be seen of a program that runs.

use bellwether::journal::{Entry, Kind};
use bellwether::status::PoolStatus;
use serde::Serialize;

use super::probe::Protocol;

/// How often it is asked.
pub(super) const ASKED: usize = 20;

/// What was seen of a program that was run in one way.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(super) struct Facts {
    /// From its start until it was seen to be ready, of the slower of two.
    pub(super) ready_ms: f64,
    /// By what it was seen to be ready, in one word and in several.
    pub(super) ready_by: String,
    pub(super) ready_words: String,
    /// What it answers in; missing if in nothing that we know.
    pub(super) speaks: Option<Protocol>,
    /// How many of 20 requests for `/` it answered in that.
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
