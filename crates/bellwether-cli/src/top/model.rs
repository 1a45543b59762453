//! What has been seen of a server, and what follows from two looks at it.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use bellwether::journal::Entry;
use bellwether::status::{HandlerStatus, PoolStatus, Status, Waits};

use super::series::Series;

/// How many entries of the journal are kept to be shown.
const KEPT: usize = 200;

/// What arrives from the server.
#[derive(Debug)]
pub(super) enum Seen {
    Status(Box<Status>),
    /// Nobody answers, and why.
    Lost(String),
    /// Something happened in the server.
    Told(Box<Entry>),
    /// What came of an order.
    Answered(String),
}

/// All that was seen.
#[derive(Debug, Default)]
pub(super) struct Model {
    pub(super) status: Option<Status>,
    pub(super) lost: Option<String>,
    pub(super) answer: Option<String>,
    pub(super) entries: VecDeque<Entry>,
    tracks: BTreeMap<String, Track>,
    at: Option<Instant>,
}

/// One pool over time.
#[derive(Debug, Default)]
pub(super) struct Track {
    /// Connections a second.
    pub(super) arrivals: Series,
    /// Connections in the buffers.
    pub(super) depth: Series,
    /// The milliseconds within which 99 of 100 of those who came last were taken.
    pub(super) wait: Series,
    pub(super) handlers: Series,
    /// By how much the counts of each handler have grown.
    pub(super) grown: BTreeMap<Who, Grown>,
}

/// A handler in its generation, slot and process.
pub(super) type Who = (u64, usize, Option<i32>);

/// By how much the counts of a handler have grown since the last look.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Grown {
    pub(super) wakeups: u64,
    pub(super) wins: u64,
}

pub(super) fn who(handler: &HandlerStatus) -> Who {
    (handler.generation, handler.slot, handler.pid)
}

impl Model {
    /// Takes in what has arrived; tells whether anything has.
    pub(super) fn take(&mut self, arrived: Vec<Seen>) -> bool {
        let any = !arrived.is_empty();
        for seen in arrived {
            match seen {
                Seen::Status(status) => self.see(*status, Instant::now()),
                Seen::Lost(why) => self.lost = Some(why),
                Seen::Told(entry) => self.tell(*entry),
                Seen::Answered(words) => self.answer = Some(words),
            }
        }
        any
    }

    /// The server was like this at a moment.
    pub(super) fn see(&mut self, status: Status, at: Instant) {
        let since = self.at.replace(at).map(|before| at.duration_since(before));
        let before = self.status.take().filter(|before| before.pid == status.pid);
        self.tracks.retain(|name, _| status.pools.iter().any(|pool| pool.name == *name));
        for pool in &status.pools {
            let before = before.as_ref().and_then(|it| named(it, &pool.name));
            self.tracks.entry(pool.name.clone()).or_default().see(before, pool, since);
        }
        (self.status, self.lost) = (Some(status), None);
    }

    fn tell(&mut self, entry: Entry) {
        // Whoever follows anew hears again what is kept.
        if self.entries.back().is_some_and(|last| last.number >= entry.number) {
            return;
        }
        if self.entries.len() == KEPT {
            self.entries.pop_front();
        }
        self.entries.push_back(entry);
    }

    pub(super) fn pools(&self) -> &[PoolStatus] {
        self.status.as_ref().map_or(&[], |status| &status.pools)
    }

    pub(super) fn track(&self, pool: &PoolStatus) -> Option<&Track> {
        self.tracks.get(&pool.name)
    }
}

fn named<'a>(status: &'a Status, name: &str) -> Option<&'a PoolStatus> {
    status.pools.iter().find(|pool| pool.name == name)
}

impl Track {
    fn see(&mut self, before: Option<&PoolStatus>, now: &PoolStatus, since: Option<Duration>) {
        self.depth.push(now.addresses.iter().map(|address| u64::from(address.depth)).sum());
        self.handlers.push(now.handlers.len() as u64);
        self.grown.clear();
        let (Some(before), Some(since)) = (before, since) else { return };
        let came = now.totals.accepted.saturating_sub(before.totals.accepted);
        let since_ms = u64::try_from(since.as_millis()).unwrap_or(u64::MAX).max(1);
        self.arrivals.push(came.saturating_mul(1000) / since_ms);
        self.wait.push(lately(&before.waits, &now.waits).percentile_ms(0.99).unwrap_or(0));
        for handler in &now.handlers {
            let earlier = before.handlers.iter().find(|it| who(it) == who(handler));
            let grown = |count: fn(&HandlerStatus) -> u64| {
                count(handler).saturating_sub(earlier.map_or(0, count))
            };
            let grown = Grown { wakeups: grown(|it| it.wakeups), wins: grown(|it| it.wins) };
            self.grown.insert(who(handler), grown);
        }
    }
}

/// The waits of those who came between two looks.
fn lately(before: &Waits, now: &Waits) -> Waits {
    let earlier = before.counts.iter().copied().chain(std::iter::repeat(0));
    let mut waits = Waits::default();
    waits.counts = now.counts.iter().zip(earlier).map(|(now, it)| now.saturating_sub(it)).collect();
    waits
}
