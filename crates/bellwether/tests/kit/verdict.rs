//! The two sides of the books laid beside each other.

use std::path::Path;

use super::killer::Kill;
use super::ledger::{Entry, Ledger, Outcome};
use super::processes::Pid;
use super::record::Record;

/// Findings that a failed assertion prints; the rest is counted.
const SHOWN: usize = 20;

/// A request without its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    pub entry: Entry,
    /// Who had started it, by the record.
    pub owner: Option<Pid>,
    /// Whether its owner says that it had answered.
    pub ended: bool,
}

/// What the client's ledger and the handlers' record say together.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    /// Requests with their right answer.
    pub answered: usize,
    /// Requests without it.
    pub failed: Vec<Failure>,
    /// What no death excuses: requests started twice, answered by nobody known, never sent at all.
    pub faults: Vec<String>,
}

impl Verdict {
    /// Joins the books, after the load has ended.
    #[track_caller]
    pub fn join(ledger: &Ledger, record: &Path) -> Self {
        Self::of(ledger, &Record::read(record))
    }

    /// Joins books that are read already.
    pub fn of(ledger: &Ledger, record: &Record) -> Self {
        let (answered, failed): (Vec<&Entry>, Vec<&Entry>) =
            ledger.entries().partition(|it| it.is_answered());
        let failed = failed.iter().map(|it| failure(**it, record)).collect();
        let mut faults = misrecorded(ledger, record);
        faults.extend(answered.iter().filter_map(|it| misanswered(it, record)));
        Self { answered: answered.len(), failed, faults }
    }

    /// Asserts that every request was answered, once, by the handler that started it.
    #[track_caller]
    pub fn assert_all_answered(&self) {
        self.assert_only_owned_by(&[], 0);
    }

    /// Asserts that only requests failed which a killed handler owned. A kill excuses as many cut
    /// connections as the handler had `threads`, all under way when it died: requests that it had
    /// started and not ended, and requests that it had accepted but not yet recorded.
    #[track_caller]
    pub fn assert_only_owned_by(&self, killed: &[Kill], threads: usize) {
        let failures = self.unexcused(killed, threads).into_iter().map(|it| format!("{it:?}"));
        let findings: Vec<String> = self.faults.iter().cloned().chain(failures).collect();
        assert!(
            findings.is_empty(),
            "{} findings; {} requests answered, {} failed, {} handlers killed:\n{}",
            findings.len(),
            self.answered,
            self.failed.len(),
            killed.len(),
            findings.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join("\n"),
        );
    }

    /// The failed requests that no kill explains.
    pub fn unexcused(&self, killed: &[Kill], threads: usize) -> Vec<Failure> {
        let mut kills: Vec<(Kill, usize)> = killed.iter().map(|kill| (*kill, threads)).collect();
        kills.sort_by_key(|(kill, _)| kill.to);
        // What has an owner goes first, the rest in the order of its end to the earliest kill that
        // fits: as kills do not overlap, no other order excuses more.
        let mut failures = self.failed.clone();
        failures.sort_by_key(|it| (it.owner.is_none(), it.entry.ended));
        failures.retain(|it| !excuse(it, &mut kills));
        failures
    }
}

fn excuse(failure: &Failure, kills: &mut [(Kill, usize)]) -> bool {
    let fits = kills.iter_mut().find(|(kill, left)| *left > 0 && explains(kill, failure));
    fits.map(|(_, left)| *left -= 1).is_some()
}

/// Whether the request may have been in the hands of the handler that died.
fn explains(kill: &Kill, failure: &Failure) -> bool {
    let entry = &failure.entry;
    let in_hand = entry.is_cut() && !failure.ended;
    let under_way = entry.began <= kill.to && kill.from <= entry.ended;
    in_hand && under_way && failure.owner.is_none_or(|owner| owner == kill.pid)
}

fn failure(entry: Entry, record: &Record) -> Failure {
    let owner = record.starts.get(&entry.id).and_then(|pids| pids.first().copied());
    Failure { entry, owner, ended: record.ends.contains_key(&entry.id) }
}

/// What is wrong with the record itself.
fn misrecorded(ledger: &Ledger, record: &Record) -> Vec<String> {
    let mut faults = Vec::new();
    for (id, pids) in &record.starts {
        if pids.len() > 1 {
            faults.push(format!("request {id} was started more than once, by {pids:?}"));
        }
        if ledger.outcome(*id).is_none() {
            faults.push(format!("request {id} was started by {pids:?}, but no client sent it"));
        }
    }
    for (id, pids) in &record.ends {
        let starts = record.starts.get(id);
        if starts != Some(pids) {
            faults.push(format!("request {id} was started by {starts:?}, but ended by {pids:?}"));
        }
    }
    faults
}

/// What is wrong with an answer, although its form is right.
fn misanswered(entry: &Entry, record: &Record) -> Option<String> {
    let Outcome::Ok(pid) = entry.outcome else { return None };
    let starts = record.starts.get(&entry.id).map_or(&[][..], Vec::as_slice);
    let fault = || format!("request {} was answered by {pid}, but started by {starts:?}", entry.id);
    (!starts.contains(&pid)).then(fault)
}
