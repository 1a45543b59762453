//! `bellwether status`: how a running server is, for people and for programs.

use std::fmt::{self, Write as _};
use std::io::{ErrorKind, Write as _};

use bellwether::status::{AddressStatus, HandlerStatus, Status as Report, Totals, Waits};
use bellwether::{Error, remote};

use crate::cli::Status;
use crate::ending::Ending;

/// The longest address that fits beside its numbers in 80 columns.
const ADDRESS: usize = 46;

/// Asks a server how it is and prints its answer.
pub(crate) fn run(question: &Status) -> Result<(), Ending> {
    let report = remote::status(question.name.as_deref())?;
    if question.json {
        let json = serde_json::to_string_pretty(&report).map_err(|error| system(error.into()))?;
        return print(&format!("{json}\n"));
    }
    print(&Text(&report).to_string())
}

fn print(text: &str) -> Result<(), Ending> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        // Whoever reads has seen enough, as `head` does.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        other => Ok(other.map_err(system)?),
    }
}

fn system(source: std::io::Error) -> Error {
    Error::System { doing: "write to standard output".into(), source }
}

/// A report as people read it, within 80 columns.
struct Text<'a>(&'a Report);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report { addresses, handlers, totals, waits, .. } = self.0;
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
        let Report { name, pid, state, generation, version, .. } = self.0;
        let age = age(self.0.uptime_s);
        writeln!(
            f,
            "{name}: {state} for {age}, pid {pid}, generation {generation}, bellwether {version}"
        )
    }

    fn why(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report { want, why, threads, notification, .. } = self.0;
        let each = if *threads == 1 { "1 thread" } else { &format!("{threads} threads") };
        writeln!(f, "wanted      {want} handlers of {each}, notification {notification} ({why})")
    }
}

fn address(f: &mut fmt::Formatter<'_>, it: &AddressStatus) -> fmt::Result {
    let place = shortened(&it.address);
    let overflows = it.overflows.map_or_else(|| "-".into(), |number| count(number.into()));
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
