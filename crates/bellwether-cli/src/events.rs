//! `bellwether events` and `bellwether why`: what happened in a running server.

mod calendar;
mod text;

use bellwether::journal::{Entry, Kind};
use bellwether::{Error, Why, remote};

use crate::cli::ask::{EventsQuestion, Target};
use crate::ending::Ending;
use crate::output::{print, unprinted};
use crate::words::clean;
use text::Days;

/// How many entries answer why; `events` has them all.
const LAST: usize = 20;

/// Prints what happened, and with `--follow` what happens until one side has enough.
pub(crate) fn run(question: &EventsQuestion) -> Result<(), Ending> {
    let EventsQuestion { follow, target } = question;
    let mut days = Days::default();
    let mut stops = false;
    for entry in remote::events(target.name.as_deref(), *follow)? {
        let entry = entry?;
        stops |= is_stop(&entry);
        print(&if target.json { line(&entry)? } else { days.tell(&entry) })?;
    }
    if *follow && !stops { Err(gone().into()) } else { Ok(()) }
}

/// Tells whether the server was told to stop; where a pool is named, only that was drained.
const fn is_stop(entry: &Entry) -> bool {
    matches!(entry.kind, Kind::Stop) && entry.pool.is_none()
}

/// The error that nobody is left to tell what happens, though nobody was told to stop.
fn gone() -> Error {
    let problem = "the server is gone: it ended or was killed without being told to stop; \
                   `bellwether status` tells whether another runs";
    Error::NoServer { problem: problem.into() }
}

/// Prints why each pool has as many handlers as it has, then what happened last.
pub(crate) fn why(target: &Target) -> Result<(), Ending> {
    let why = remote::why(target.name.as_deref())?;
    if target.json {
        let json = serde_json::to_string(&why).map_err(unprinted)?;
        return print(&format!("{json}\n"));
    }
    print(&reasons(&why))
}

/// An entry in one short line, without its day and its pool.
pub(crate) fn line_of_journal(entry: &Entry) -> String {
    text::short(entry)
}

fn line(entry: &Entry) -> Result<String, Ending> {
    let json = serde_json::to_string(entry).map_err(unprinted)?;
    Ok(format!("{json}\n"))
}

fn reasons(why: &Why) -> String {
    let mut days = Days::default();
    let pools = why.pools.iter().map(|(pool, reason)| format!("{pool}: {}\n", clean(reason)));
    let last = why.entries.len().saturating_sub(LAST);
    let entries = why.entries.iter().skip(last).map(|entry| days.tell(entry));
    pools.chain(["\n".into()]).chain(entries).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn why_begins_with_the_pools() {
        let why = serde_json::json!({
            "pools": [["web", "4 wanted: 3 busy"], ["api", "1 wanted: the minimum"]],
            "entries": [{"number": 9, "unix_ms": 0, "kind": "scale", "rule": "balance",
                "reason": "4 wanted"}],
        });
        let text = reasons(&serde_json::from_value(why).unwrap());
        let start = "web: 4 wanted: 3 busy\napi: 1 wanted: the minimum\n\n1970-01-01 UTC";
        assert!(text.starts_with(start) && text.ends_with("4 wanted (balance)\n"), "{text}");
    }

    #[test]
    fn why_ends_with_the_last_entries() {
        let entry = |number: u64| {
            serde_json::json!({"number": number, "unix_ms": 0, "kind": "spawn", "rule": "balance",
                "reason": format!("number {number}")})
        };
        let entries: Vec<_> = (1..=50).map(entry).collect();
        let why = serde_json::json!({"pools": [], "entries": entries});
        let text = reasons(&serde_json::from_value(why).unwrap());
        assert!(!text.contains("number 30 ") && text.contains("number 31 "), "{text}");
        assert!(text.ends_with("number 50 (balance)\n"), "{text}");
    }
}
