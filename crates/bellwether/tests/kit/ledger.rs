//! The client's side of the books: what became of each request, as its client saw it.

use std::collections::BTreeMap;
use std::time::Instant;

use super::processes::Pid;

/// The one thing that became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The whole, right reply, from this handler.
    Ok(Pid),
    /// Nobody listens.
    Refused,
    /// Cut off (closed or reset) before the first byte of the reply.
    ResetBeforeByte,
    /// Cut off in the middle of the reply.
    ResetAfterByte,
    /// Neither a reply nor an end of the connection in time.
    Timeout,
    /// A reply, but not to this request, or not in this form.
    WrongBody,
}

/// One request in the client's books.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    pub id: u64,
    /// Before the client connected.
    pub began: Instant,
    /// When the client knew the outcome.
    pub ended: Instant,
    pub outcome: Outcome,
}

impl Entry {
    /// Whether the client got its answer.
    pub fn is_answered(&self) -> bool {
        matches!(self.outcome, Outcome::Ok(_))
    }

    /// Whether the connection ended too early, as it does when a handler dies.
    pub fn is_cut(&self) -> bool {
        matches!(self.outcome, Outcome::ResetBeforeByte | Outcome::ResetAfterByte)
    }
}

/// All requests of a load: one outcome for each id.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    entries: BTreeMap<u64, Entry>,
}

impl Ledger {
    /// Books a request.
    #[track_caller]
    pub fn enter(&mut self, entry: Entry) {
        let before = self.entries.insert(entry.id, entry);
        assert_eq!(before, None, "request {} has two outcomes", entry.id);
    }

    /// Books all requests of another ledger.
    #[track_caller]
    pub fn merge(&mut self, other: Self) {
        other.entries.into_values().for_each(|entry| self.enter(entry));
    }

    /// What became of a request.
    pub fn outcome(&self, id: u64) -> Option<Outcome> {
        self.entries.get(&id).map(|entry| entry.outcome)
    }

    /// The requests in the order of their ids.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values()
    }

    /// How many requests were made.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether no request was made.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}
