//! `bellwether events` and `bellwether why`: what happened in a running server.

mod calendar;
mod text;

use bellwether::journal::Entry;
use bellwether::{Why, remote};

use crate::cli::ask::{EventsQuestion, Target};
use crate::ending::Ending;
use crate::out::{print, unprinted};
use crate::words::clean;
use text::Days;

/// Prints what happened, and with `--follow` what happens until one side has enough.
pub(crate) fn run(question: &EventsQuestion) -> Result<(), Ending> {
    let EventsQuestion { follow, target } = question;
    let mut days = Days::default();
    for entry in remote::events(target.name.as_deref(), *follow)? {
        let entry = entry?;
        print(&if target.json { line(&entry)? } else { days.tell(&entry) })?;
    }
    Ok(())
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

fn line(entry: &Entry) -> Result<String, Ending> {
    let json = serde_json::to_string(entry).map_err(unprinted)?;
    Ok(format!("{json}\n"))
}

fn reasons(why: &Why) -> String {
    let mut days = Days::default();
    let pools = why.pools.iter().map(|(pool, reason)| format!("{pool}: {}\n", clean(reason)));
    let entries = why.entries.iter().map(|entry| days.tell(entry));
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
}
