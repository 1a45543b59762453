//! Tests of the verdict, as tables: what the client saw, what the handlers wrote, who was killed.

use std::time::{Duration, Instant};

use crate::kit::record::line;
use crate::kit::{Entry, Kill, Ledger, Outcome, Pid, Record, RecordFile, Verdict, processes};
use crate::stage::complaint;

use Outcome::{Refused, ResetAfterByte, ResetBeforeByte, Timeout, WrongBody};

/// A request from one second to another.
type Request = (u64, u64, u64, Outcome);
/// A death within one second.
type Death = (Pid, u64);

const OK: Outcome = Outcome::Ok(7);

struct Case {
    origin: Instant,
    ledger: Ledger,
    record: Record,
    kills: Vec<Kill>,
}

impl Case {
    fn of(requests: &[Request], record: &str, deaths: &[Death]) -> Self {
        let origin = Instant::now();
        let at = |second: u64| origin + Duration::from_secs(second);
        let mut ledger = Ledger::default();
        for (id, began, ended, outcome) in requests {
            ledger.enter(Entry {
                id: *id,
                began: at(*began),
                ended: at(*ended),
                outcome: *outcome,
            });
        }
        let record = Record::parse(&record.replace("; ", "\n"));
        let kills =
            deaths.iter().map(|(pid, when)| Kill { pid: *pid, from: at(*when), to: at(*when) });
        Self { origin, ledger, record, kills: kills.collect() }
    }

    fn verdict(&self) -> Verdict {
        Verdict::of(&self.ledger, &self.record)
    }
}

#[track_caller]
fn accept(threads: usize, requests: &[Request], record: &str, deaths: &[Death]) {
    let case = Case::of(requests, record, deaths);
    case.verdict().assert_only_owned_by(&case.kills, threads);
}

#[track_caller]
fn reject(threads: usize, requests: &[Request], record: &str, deaths: &[Death], reason: &str) {
    let case = Case::of(requests, record, deaths);
    let text = complaint(|| case.verdict().assert_only_owned_by(&case.kills, threads));
    assert!(text.starts_with("1 findings") && text.contains(reason), "{reason:?} in {text}");
}

#[test]
fn answered_requests_need_no_excuse() {
    accept(0, &[], "", &[]);
    accept(0, &[(1, 0, 1, OK), (2, 0, 1, OK)], "start 1 7; end 1 7; start 2 7; end 2 7", &[]);
    // Killed after the reply was written and before that was recorded.
    accept(1, &[(1, 0, 2, OK)], "start 1 7", &[(7, 1)]);
}

#[test]
fn a_kill_excuses_what_its_handler_had_started() {
    accept(1, &[(1, 0, 2, ResetBeforeByte)], "start 1 7", &[(7, 1)]);
    accept(1, &[(1, 0, 2, ResetAfterByte)], "start 1 7", &[(7, 1)]);
    let both = [(1, 0, 2, ResetBeforeByte), (2, 0, 2, ResetBeforeByte)];
    accept(2, &both, "start 1 7; start 2 7", &[(7, 1)]);
    accept(1, &both, "start 1 7; start 2 8", &[(7, 1), (8, 1)]);
    reject(1, &both, "start 1 7; start 2 7", &[(7, 1)], "id: 2");
    reject(1, &both, "start 1 7; start 2 8", &[(7, 1), (9, 1)], "id: 2");
}

#[test]
fn a_kill_excuses_what_its_handler_had_accepted_and_not_recorded() {
    let lost = [(1, 0, 2, ResetBeforeByte)];
    accept(1, &lost, "", &[(7, 1)]);
    reject(1, &lost, "", &[], "id: 1");
    // The handler had its hands full already.
    let both = [(1, 0, 2, ResetBeforeByte), (2, 0, 2, ResetBeforeByte)];
    reject(1, &both, "start 1 7", &[(7, 1)], "id: 2");
    accept(2, &both, "start 1 7", &[(7, 1)]);
    reject(1, &both, "", &[(7, 1)], "id: ");
}

#[test]
fn a_kill_excuses_only_what_was_under_way() {
    let lost = [(1, 3, 5, ResetBeforeByte)];
    for record in ["", "start 1 7"] {
        reject(1, &lost, record, &[(7, 2)], "id: 1");
        accept(1, &lost, record, &[(7, 3)]);
        accept(1, &lost, record, &[(7, 5)]);
        reject(1, &lost, record, &[(7, 6)], "id: 1");
    }
}

#[test]
fn excuses_are_dealt_out_so_that_most_are_excused() {
    // The long request fits both deaths, the short ones only one each.
    let long_first = [(1, 0, 9, ResetBeforeByte), (2, 1, 3, ResetBeforeByte)];
    accept(1, &long_first, "", &[(7, 2), (8, 6)]);
    let long_last = [(1, 0, 9, ResetBeforeByte), (2, 5, 7, ResetBeforeByte)];
    accept(1, &long_last, "", &[(8, 6), (7, 2)]);
    // Deaths count in the order of time, however they are listed.
    let two = [(1, 0, 7, ResetBeforeByte), (2, 4, 9, ResetBeforeByte)];
    accept(1, &two, "", &[(8, 6), (7, 2)]);
    // One with an owner takes its place before one without.
    let mixed = [(1, 0, 3, ResetBeforeByte), (2, 0, 9, ResetBeforeByte)];
    accept(1, &mixed, "start 2 7", &[(7, 2), (8, 3)]);
}

#[test]
fn no_kill_excuses_anything_but_a_cut_connection() {
    for outcome in [Refused, Timeout, WrongBody] {
        reject(1, &[(1, 0, 2, outcome)], "start 1 7", &[(7, 1)], "id: 1");
        reject(1, &[(1, 0, 2, outcome)], "", &[(7, 1)], "id: 1");
    }
    let ended = "start 1 7; end 1 7";
    reject(1, &[(1, 0, 2, ResetBeforeByte)], ended, &[(7, 1)], "ended: true");
}

#[test]
fn what_was_done_twice_or_by_a_stranger_is_found() {
    let one = [(1, 0, 2, OK)];
    reject(1, &one, "start 1 7; start 1 7", &[(7, 1)], "more than once");
    reject(1, &one, "start 1 8; end 1 8", &[(8, 1)], "answered by 7");
    reject(1, &one, "", &[(7, 1)], "answered by 7");
    reject(1, &one, "start 1 7; end 1 8", &[], "but ended by [8]");
    reject(1, &one, "start 1 7; end 1 7; end 1 7", &[], "but ended by [7, 7]");
    reject(0, &[], "start 1 7", &[], "no client sent it");
}

#[test]
fn a_request_has_one_outcome() {
    let case = Case::of(&[(1, 0, 2, OK)], "", &[]);
    let (mut ledger, entry) = (case.ledger.clone(), *case.ledger.entries().next().unwrap());
    assert!(complaint(|| ledger.enter(entry)).contains("two outcomes"));
    assert!(entry.began == case.origin && ledger.outcome(1) == Some(OK));
}

#[test]
fn records_are_read_as_they_are_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("record");
    assert!(complaint(|| Record::read(&path)).contains("no record"));
    for _ in 0..2 {
        let file = RecordFile::open(&path).unwrap();
        file.start(12).unwrap();
        file.end(12).unwrap();
    }
    let both = vec![processes::own(); 2];
    assert_eq!(Record::read(&path).starts.get(&12), Some(&both));
    assert_eq!(Record::read(&path).ends.get(&12), Some(&both));
}

#[test]
fn a_line_never_crosses_a_page() {
    for (verb, id, pid) in [("start", 1, 1), ("end", 9_999_999_999_999_999, 4_194_304)] {
        assert_eq!(line(verb, id, pid).len(), 32);
    }
}

#[test]
fn a_torn_record_is_refused() {
    for text in
        ["sta", "start 1", "start x 7", "begin 1 7", "start 1 7 end 1 7", "start 1 staend 1 7"]
    {
        assert!(complaint(|| Record::parse(text)).contains("no line"), "{text}");
    }
}
