//! A server's answer as people read it.

use std::fmt::{self, Write};

use bellwether::status::{AddressStatus, HandlerStatus, Status, Totals, Waits};

/// The longest address that fits beside its numbers in 80 columns.
const ADDRESS: usize = 46;

/// A report as people read it, within 80 columns.
pub(super) struct Text<'a>(pub(super) &'a Status);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Status { addresses, handlers, totals, waits, .. } = self.0;
        self.head(f)?;
        writeln!(
            f,
            "\n{:<ADDRESS$} {:>8} {:>8} {:>10}",
            "ADDRESS", "WAITING", "LIMIT", "OVERFLOWS"
        )?;
        addresses.iter().try_for_each(|it| address(f, it))?;
        writeln!(
            f,
            "\nSLOT     PID  GEN  STATE        AGE  WAKEUPS    WINS  LOSSES  REQUESTS SWITCHES"
        )?;
        handlers.iter().try_for_each(|it| handler(f, it))?;
        handlers.iter().try_for_each(|it| oddities(f, it))?;
        f.write_char('\n')?;
        sums(f, totals)?;
        self.why(f)?;
        wait(f, waits)
    }
}

impl Text<'_> {
    fn head(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Status { name, version, pid, state, generation, uptime_s, .. } = self.0;
        let age = age(*uptime_s);
        writeln!(f, "server      {name}, bellwether {version}")?;
        writeln!(f, "state       {state} for {age}, pid {pid}, generation {generation}")
    }

    fn why(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Status { want, why, threads, notification, .. } = self.0;
        let each = if *threads == 1 { "1 thread" } else { &format!("{threads} threads") };
        writeln!(f, "wanted      {want} handlers of {each}, notification {notification}")?;
        writeln!(f, "because     {why}")
    }
}

fn address(f: &mut fmt::Formatter<'_>, it: &AddressStatus) -> fmt::Result {
    let place = shortened(&it.address);
    let overflows = it.overflows.map_or_else(|| "-".into(), count);
    writeln!(f, "{place:<ADDRESS$} {:>8} {:>8} {overflows:>10}", it.depth, it.limit)
}

/// The end of an address says most; no control character reaches the terminal.
fn shortened(address: &str) -> String {
    let clean: Vec<char> = address.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
    match clean.len().checked_sub(ADDRESS) {
        None | Some(0) => clean.into_iter().collect(),
        Some(excess) => ['.', '.'].iter().chain(&clean[excess + 2..]).collect(),
    }
}

fn handler(f: &mut fmt::Formatter<'_>, it: &HandlerStatus) -> fmt::Result {
    let pid = it.pid.map_or_else(|| "-".into(), |pid| pid.to_string());
    writeln!(
        f,
        "{:>4} {pid:>7} {:>4}  {:<8} {:>7} {:>8} {:>7} {:>7} {:>9} {:>8}",
        it.slot,
        it.generation,
        it.state,
        age(it.age_s),
        count(it.wakeups),
        count(it.wins),
        count(it.losses),
        count(it.requests),
        count(it.switches),
    )
}

/// What should not be, and mostly is not.
fn oddities(f: &mut fmt::Formatter<'_>, it: &HandlerStatus) -> fmt::Result {
    if it.panics > 0 {
        writeln!(f, "slot {}: {} connections ended by a panic", it.slot, it.panics)?;
    }
    if it.accept_errors > 0 {
        writeln!(f, "slot {}: accept failed {} times", it.slot, it.accept_errors)?;
    }
    if it.corrupt {
        writeln!(f, "slot {}: its telemetry contradicts itself", it.slot)?;
    }
    Ok(())
}

fn sums(f: &mut fmt::Formatter<'_>, it: &Totals) -> fmt::Result {
    let Totals { accepted, completed, aborted, in_flight, requests, wakeups, losses, .. } = *it;
    let Totals { spawned, exited, crashed, alive, .. } = *it;
    let [accepted, completed, aborted, open] = [accepted, completed, aborted, in_flight].map(count);
    let [requests, wakeups, losses] = [requests, wakeups, losses].map(count);
    writeln!(
        f,
        "connections {accepted} accepted = {completed} done + {aborted} aborted + {open} open"
    )?;
    writeln!(f, "requests    {requests}, with {wakeups} wake-ups and {losses} lost races")?;
    writeln!(f, "handlers    {spawned} made = {alive} alive + {exited} ended ({crashed} crashed)")
}

fn wait(f: &mut fmt::Formatter<'_>, waits: &Waits) -> fmt::Result {
    match (waits.percentile_ms(0.50), waits.percentile_ms(0.99)) {
        (Some(p50), Some(p99)) => {
            writeln!(f, "waits       half under {p50} ms, 99 of 100 under {p99} ms, in the buffer")
        }
        _ => writeln!(f, "waits       none measured yet"),
    }
}

/// Seconds in at most 7 characters.
fn age(seconds: f64) -> String {
    const UNITS: [(u64, &str, u64, &str); 3] =
        [(86_400, "d", 3_600, "h"), (3_600, "h", 60, "m"), (60, "m", 1, "s")];
    let whole = std::time::Duration::try_from_secs_f64(seconds).unwrap_or_default().as_secs();
    match UNITS.iter().find(|(unit, ..)| whole >= *unit) {
        Some((unit, name, part, part_name)) => {
            format!("{}{name}{:02}{part_name}", whole / unit, whole % unit / part)
        }
        None => format!("{whole}s"),
    }
}

/// A number in at most 7 characters.
fn count(number: u64) -> String {
    const STEPS: [(u64, char); 4] = [
        (1_000_000_000_000_000, 'P'),
        (1_000_000_000_000, 'T'),
        (1_000_000_000, 'G'),
        (1_000_000, 'M'),
    ];
    if number < 10_000_000 {
        return number.to_string();
    }
    let step = STEPS.iter().find(|(step, _)| number >= *step);
    step.map_or_else(String::new, |(step, letter)| {
        format!("{}.{}{letter}", number / step, number % step / (step / 10))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_is_short() {
        let check = |seconds: f64, expected: &str| assert_eq!(age(seconds), expected);
        check(0.4, "0s");
        check(59.9, "59s");
        check(60.0, "1m00s");
        check(3_725.0, "1h02m");
        check(90_000.0, "1d01h");
        check(999.0 * 86_400.0, "999d00h");
        check(-1.0, "0s");
        check(f64::NAN, "0s");
    }

    #[test]
    fn a_number_is_short() {
        let check = |number: u64, expected: &str| assert_eq!(count(number), expected);
        check(0, "0");
        check(9_999_999, "9999999");
        check(12_345_678, "12.3M");
        check(1_234_567_890, "1.2G");
        check(u64::MAX, "18446.7P");
    }

    #[test]
    fn a_long_address_keeps_its_end() {
        let check = |address: &str, expected: &str| assert_eq!(shortened(address), expected);
        check("unix:/run/x.sock", "unix:/run/x.sock");
        check("unix:/a\u{1b}[2J", "unix:/a?[2J");
        let short = shortened(&format!("unix:/{}/web.sock", "x".repeat(90)));
        assert!(short.starts_with("..x") && short.ends_with("/web.sock"), "{short}");
        assert_eq!(short.len(), ADDRESS);
    }

    /// A report full of large numbers, made as it arrives: from JSON.
    fn large() -> Status {
        let mut handler = serde_json::to_value(HandlerStatus::default()).unwrap();
        for (key, value) in handler.as_object_mut().unwrap() {
            *value = match key.as_str() {
                "slot" => 4095.into(),
                "pid" => 4_194_304.into(),
                "generation" => 9999.into(),
                "state" => "starting".into(),
                "age_s" => 8e7.into(),
                "corrupt" => true.into(),
                _ => 9_876_543.into(),
            };
        }
        let mut report = serde_json::to_value(Status::default()).unwrap();
        let places = ["address", "depth", "limit", "overflows"].map(String::from);
        let numbers = ["x".repeat(100).into(), u32::MAX.into(), u32::MAX.into(), u32::MAX.into()];
        let address: serde_json::Map<_, serde_json::Value> =
            places.into_iter().zip(numbers).collect();
        report["addresses"] = serde_json::json!([address]);
        report["handlers"] = serde_json::json!([handler]);
        report["name"] = "n".repeat(48).into();
        report["state"] = "stopping".into();
        report["notification"] = "some:65535".into();
        for total in report["totals"].as_object_mut().unwrap().values_mut() {
            *total = 9_876_543.into();
        }
        serde_json::from_value(report).unwrap()
    }

    #[test]
    fn the_largest_numbers_fit_into_80_columns() {
        let text = Text(&large()).to_string();
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        assert!(text.contains("slot 4095: its telemetry contradicts itself"), "{text}");
    }
}
