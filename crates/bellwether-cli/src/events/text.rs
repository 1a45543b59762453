//! One thing that happened, as people read it.

use bellwether::journal::Entry;

use super::calendar::{date, day, time};
use crate::words::{clean, figure};

/// Entries as aligned lines, under a line for each day.
#[derive(Debug, Default)]
pub(crate) struct Days {
    last: Option<u64>,
}

impl Days {
    /// Tells an entry; a new day is told first.
    pub(crate) fn tell(&mut self, entry: &Entry) -> String {
        let today = day(entry.unix_ms);
        let line = line(entry);
        if self.last.replace(today) == Some(today) {
            line
        } else {
            format!("{}{line}", head(today))
        }
    }
}

fn head(day: u64) -> String {
    let date = format!("{} UTC", date(day));
    columns([&date, "KIND", "POOL", "SLOT", "PID", "GEN", "WHAT AND WHY"])
}

fn line(entry: &Entry) -> String {
    let Entry { unix_ms, kind, pool, slot, pid, generation, .. } = entry;
    columns([
        &time(*unix_ms),
        &kind.to_string(),
        &clean(pool.as_deref().unwrap_or("-")),
        &or_dash(*slot),
        &or_dash(*pid),
        &or_dash(*generation),
        &reason(entry),
    ])
}

/// When, what, where, and why, as short as it can be read.
pub(super) fn short(entry: &Entry) -> String {
    let slot = entry.slot.map_or_else(String::new, |slot| format!("slot {slot}: "));
    format!("{} {:<10} {slot}{}", time(entry.unix_ms), entry.kind, reason(entry))
}

fn columns([time, kind, pool, slot, pid, generation, reason]: [&str; 7]) -> String {
    format!("{time:<14} {kind:<10} {pool:<8} {slot:>4} {pid:>7} {generation:>4}  {reason}\n")
}

fn or_dash(number: Option<impl ToString>) -> String {
    number.map_or_else(|| "-".into(), |number| number.to_string())
}

/// The cause of an exit, the reason, the rule unless it is the cause, and the numbers that went into
/// it.
fn reason(entry: &Entry) -> String {
    let Entry { cause, rule, inputs, reason, .. } = entry;
    let cause = cause.map(|cause| cause.to_string());
    let rule = Some(rule.clone()).filter(|rule| cause.as_ref() != Some(rule));
    let numbers = inputs.iter().map(|(name, value)| format!("{name} {}", figure(*value)));
    let evidence: Vec<_> = rule.into_iter().chain(numbers).collect();
    let cause = cause.map_or_else(String::new, |cause| format!("{cause}: "));
    if evidence.is_empty() {
        return clean(&format!("{cause}{reason}"));
    }
    clean(&format!("{cause}{reason} ({})", evidence.join(", ")))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn entry(more: Value) -> Entry {
        let mut entry = json!({"number": 1, "unix_ms": 1_795_338_307_089_u64, "kind": "start",
            "rule": "start", "reason": "it began"});
        for (key, value) in more.as_object().unwrap() {
            entry[key] = value.clone();
        }
        serde_json::from_value(entry).unwrap()
    }

    #[test]
    fn entries_stand_in_columns_under_their_day() {
        let mut days = Days::default();
        let exit = json!({"kind": "exit", "pool": "web", "slot": 3, "pid": 4_194_304,
            "generation": 2, "cause": "oom", "rule": "kernel", "reason": "killed",
            "inputs": {"memory_mib": 512.5, "requests": 3}, "unix_ms": 1_795_338_308_000_u64});
        let next = json!({"kind": "crash-loop", "unix_ms": 1_795_400_000_000_u64});
        let text = [json!({}), exit, next].map(|more| days.tell(&entry(more))).concat();
        let expected = "\
2026-11-22 UTC KIND       POOL     SLOT     PID  GEN  WHAT AND WHY
09:05:07.089   start      -           -       -    -  it began (start)
09:05:08.000   exit       web         3 4194304    2  oom: killed (kernel, memory_mib 512.5, requests 3)
2026-11-23 UTC KIND       POOL     SLOT     PID  GEN  WHAT AND WHY
02:13:20.000   crash-loop -           -       -    -  it began (start)
";
        assert_eq!(text, expected);
    }

    #[test]
    fn a_cause_that_is_the_rule_is_told_once() {
        let check = |inputs: Value, expected: &str| {
            let exit =
                json!({"cause": "drain", "rule": "drain", "reason": "exited", "inputs": inputs});
            assert_eq!(reason(&entry(exit)), expected);
        };
        check(json!({}), "drain: exited");
        check(json!({"age_s": 3.0, "requests": 2}), "drain: exited (age_s 3, requests 2)");
    }

    #[test]
    fn what_a_handler_said_cannot_command_the_terminal() {
        let told = Days::default().tell(&entry(json!({"reason": "did GET /\u{1b}]0;x\u{7}\n"})));
        assert!(told.contains("did GET /?]0;x?? (start)"), "{told}");
        assert_eq!(told.lines().count(), 2, "{told}");
    }
}
