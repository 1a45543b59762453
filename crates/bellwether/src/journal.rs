//! What happened and why: one typed entry for each thing that the spawner did or saw.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::sys::clock;

/// How many entries are kept for `why`.
pub(crate) const KEPT: usize = 200;

/// One thing that happened in a server.
///
/// Every entry names the rule that applied, the numbers that went into it, and the reason in
/// words.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Entry {
    /// The number of the entry, from 1; it goes on over upgrades.
    pub number: u64,
    /// Milliseconds since 1970-01-01 UTC, by the clock of the wall.
    pub unix_ms: u64,
    /// What kind of thing it was.
    pub kind: Kind,
    /// The pool concerned, if one is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<String>,
    /// The slot concerned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot: Option<usize>,
    /// The process concerned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<i32>,
    /// Its generation, or the one that a change leads to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<u64>,
    /// Of an exit: why the handler ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
    /// The rule that applied, for example `max_requests` or `balance`.
    pub rule: String,
    /// The numbers that went into it, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub inputs: BTreeMap<String, f64>,
    /// The reason in words.
    pub reason: String,
}

/// What kind of thing happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Kind {
    /// The server started, or its spawner was replaced.
    Start,
    /// A handler was asked for.
    Spawn,
    /// A handler is ready.
    Ready,
    /// A handler has ended.
    Exit,
    /// The number of handlers wanted has changed.
    Scale,
    /// A reload or an upgrade went a step further.
    Change,
    /// A command, a change or a client was refused.
    Refusal,
    /// A request took too long.
    Deadline,
    /// A handler has served long enough.
    Recycle,
    /// Handlers die faster than they may be replaced, or no longer do.
    CrashLoop,
    /// An address was put right again.
    Mend,
    /// A stop went a step further.
    Stop,
    /// Something that is needed is missing.
    Shortage,
    /// Late connections are sent away, or no longer are.
    Overload,
}

/// Why a handler ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Cause {
    /// It exited by itself.
    Exit,
    /// A signal ended it that the spawner had not sent.
    Signal,
    /// The kernel took its memory back (out of memory).
    Oom,
    /// It was not ready in time, or could not start.
    Boot,
    /// A request took longer than the hard deadline.
    Deadline,
    /// It had served long enough.
    Recycle,
    /// Fewer handlers were wanted.
    Drain,
    /// A newer generation took its place, or its own did not prove itself.
    Change,
    /// The server stops.
    Stop,
    /// What it said about itself contradicted itself.
    Contradiction,
}

/// The word for a value as it stands in JSON.
fn word<T: Serialize>(value: T) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => String::new(),
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&word(self))
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&word(self))
    }
}

impl Entry {
    /// Begins an entry; its number and time are filled in when it is written down.
    pub(crate) fn new(kind: Kind, rule: &str, reason: impl Into<String>) -> Self {
        Self {
            number: 0,
            unix_ms: 0,
            kind,
            pool: None,
            slot: None,
            pid: None,
            generation: None,
            cause: None,
            rule: rule.into(),
            inputs: BTreeMap::new(),
            reason: reason.into(),
        }
    }

    /// Adds a number that went into it.
    pub(crate) fn with(mut self, name: &str, value: f64) -> Self {
        self.inputs.insert(name.into(), value);
        self
    }
}

/// The last entries, and the number of the next.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Journal {
    written: u64,
    entries: VecDeque<Entry>,
}

impl Journal {
    /// Writes an entry down and returns it as it stands there.
    pub(crate) fn write(&mut self, mut entry: Entry) -> &Entry {
        self.written += 1;
        entry.number = self.written;
        entry.unix_ms = clock::wall_ms();
        if self.entries.len() == KEPT {
            self.entries.pop_front();
        }
        let at = self.entries.len();
        self.entries.push_back(entry);
        &self.entries[at]
    }

    /// Returns the entries that are kept, the oldest first.
    pub(crate) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_entries_are_kept_and_numbers_go_on() {
        let mut journal = Journal::default();
        for i in 0..KEPT + 5 {
            journal.write(Entry::new(Kind::Spawn, "balance", format!("{i}")));
        }
        assert_eq!(journal.entries().count(), KEPT);
        let ends = (journal.entries().next(), journal.entries().last());
        let (Some(first), Some(last)) = ends else { panic!("{ends:?}") };
        assert_eq!((first.number, last.number), (6, 205));
    }

    #[test]
    fn an_entry_is_one_line_of_json_and_back() {
        let entry = Entry { cause: Some(Cause::Oom), ..Entry::new(Kind::Exit, "kernel", "x") };
        let entry = entry.with("requests", 3.0);
        let line = serde_json::to_string(&entry).unwrap();
        assert!(line.contains(r#""kind":"exit""#) && line.contains(r#""cause":"oom""#), "{line}");
        assert_eq!(serde_json::from_str::<Entry>(&line).unwrap(), entry);
        assert_eq!(Kind::CrashLoop.to_string(), "crash-loop");
    }
}
