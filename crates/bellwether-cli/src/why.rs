//! `bellwether why`: why a pool is as large as it is, and what a handler does.

mod handler;
mod subject;

use bellwether::journal::Entry;
use bellwether::{Error, Why, remote};
use serde_json::json;

use crate::cli::ask::{Target, WhyQuestion};
use crate::ending::Ending;
use crate::events::Days;
use crate::output::{print, unprinted};
use crate::status;
use crate::words::clean;
pub(crate) use subject::Subject;

/// How many entries answer why; `events` has them all.
const LAST: usize = 20;

/// Prints why, then what happened last.
pub(crate) fn run(question: &WhyQuestion) -> Result<(), Ending> {
    let WhyQuestion { subject, target } = question;
    let name = target.name.as_deref();
    let mut why = remote::why(name)?;
    match subject {
        None => tell(&why, target),
        Some(Subject::Pool(pool)) => {
            status::only(remote::status(name)?, pool)?;
            why.pools.retain(|(it, _)| it == pool);
            why.entries.retain(|entry| concerns(entry, Some(pool), None));
            tell(&why, target)
        }
        Some(Subject::Slot(pool, slot)) => {
            why.entries.retain(|entry| concerns(entry, pool.as_deref(), Some(*slot)));
            tell_of_slot(pool.as_deref(), *slot, &why.entries, target)
        }
    }
}

/// Entries of no pool concern all, entries of no slot concern the pool alone.
fn concerns(entry: &Entry, pool: Option<&str>, slot: Option<usize>) -> bool {
    let of_pool = entry.pool.is_none() || pool.is_none() || entry.pool.as_deref() == pool;
    of_pool && (slot.is_none() || entry.slot == slot)
}

fn tell(why: &Why, target: &Target) -> Result<(), Ending> {
    if target.json {
        let json = serde_json::to_string(why).map_err(unprinted)?;
        return print(&format!("{json}\n"));
    }
    let pools = why.pools.iter().map(|(pool, reason)| format!("{pool}: {}\n", clean(reason)));
    print(&(pools.collect::<String>() + "\n" + &history(&why.entries)))
}

fn tell_of_slot(
    pool: Option<&str>,
    slot: usize,
    entries: &[Entry],
    target: &Target,
) -> Result<(), Ending> {
    let mut status = remote::status(target.name.as_deref())?;
    if let Some(pool) = pool {
        status = status::only(status, pool)?;
    }
    let found = handler::found(&status, slot);
    if found.is_empty() && entries.is_empty() {
        return Err(nobody(slot, &status.name).into());
    }
    if target.json {
        let all: Vec<_> = found.iter().map(handler::Found::json).collect();
        let json = json!({ "handlers": all, "entries": entries });
        return print(&format!("{json}\n"));
    }
    let now = match found.is_empty() {
        true => format!("slot {slot}: no handler now\n"),
        false => found.iter().map(ToString::to_string).collect(),
    };
    print(&(now + "\n" + &history(entries)))
}

fn nobody(slot: usize, server: &str) -> Error {
    let problem = format!("server `{server}` has no handler there; `bellwether status` lists them");
    Error::Configure { what: format!("slot {slot}"), problem }
}

/// The last entries, the oldest first.
fn history(entries: &[Entry]) -> String {
    let mut days = Days::default();
    let last = entries.len().saturating_sub(LAST);
    entries.iter().skip(last).map(|entry| days.tell(entry)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(number: u64, pool: Option<&str>, slot: Option<usize>) -> Entry {
        let entry = json!({"number": number, "unix_ms": 0, "kind": "spawn", "rule": "balance",
            "reason": format!("number {number}"), "pool": pool, "slot": slot});
        serde_json::from_value(entry).unwrap()
    }

    #[test]
    fn a_history_ends_with_the_last_entries() {
        let entries: Vec<_> = (1..=50).map(|number| entry(number, None, None)).collect();
        let text = history(&entries);
        assert!(!text.contains("number 30 ") && text.contains("number 31 "), "{text}");
        assert!(text.ends_with("number 50 (balance)\n"), "{text}");
    }

    #[test]
    fn who_asks_about_one_hears_nothing_of_others() {
        let entries =
            [entry(1, None, None), entry(2, Some("web"), Some(3)), entry(3, Some("api"), Some(3))];
        let check = |pool, slot, expected: &[u64]| {
            let told = entries.iter().filter(|entry| concerns(entry, pool, slot));
            assert_eq!(told.map(|entry| entry.number).collect::<Vec<_>>(), expected);
        };
        check(None, None, &[1, 2, 3]);
        check(Some("web"), None, &[1, 2]);
        check(None, Some(3), &[2, 3]);
        check(Some("api"), Some(3), &[3]);
        check(Some("api"), Some(4), &[]);
    }
}
