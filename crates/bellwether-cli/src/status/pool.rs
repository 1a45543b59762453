//! One pool as people read it: its buffers, its handlers, its sums.

use std::collections::BTreeMap;
use std::fmt::{self, Write};

use bellwether::status::{AddressStatus, HandlerStatus, PoolStatus, ServiceTimes, Totals, Waits};

use crate::words::{age, clean, count, counted, memory, spent, time};

/// The longest address that fits beside its numbers in 80 columns.
const ADDRESS: usize = 46;

/// So many processes of a program fit on a line of 80 columns.
const SHOWN: usize = 2;

/// Writes what a pool has and does, without its name.
pub(super) fn block(f: &mut fmt::Formatter<'_>, pool: &PoolStatus) -> fmt::Result {
    let PoolStatus { addresses, handlers, totals, waits, .. } = pool;
    writeln!(f, "\n{:<ADDRESS$} {:>8} {:>8} {:>10}", "ADDRESS", "WAITING", "LIMIT", "OVERFLOWS")?;
    addresses.iter().try_for_each(|it| address(f, it))?;
    match &pool.serves {
        Some(_) => programs(f, handlers)?,
        None => own_handlers(f, handlers)?,
    }
    f.write_char('\n')?;
    generations(f, handlers)?;
    match &pool.serves {
        Some(_) => writeln!(f, "connections {} open", count(totals.in_flight))?,
        None => sums(f, totals, pool.requests_per_s.unwrap_or(0.0))?,
    }
    lives(f, totals)?;
    ends(f, &pool.ended)?;
    shed(f, totals)?;
    why(f, pool)?;
    // How long whom they took had waited, programs do not tell.
    if pool.serves.is_none() {
        wait(f, waits)?;
        served(f, &pool.service)?;
    }
    Ok(())
}

fn address(f: &mut fmt::Formatter<'_>, it: &AddressStatus) -> fmt::Result {
    let place = shortened(&it.address);
    let overflows = it.overflows.map_or_else(|| "-".into(), count);
    writeln!(f, "{place:<ADDRESS$} {:>8} {:>8} {overflows:>10}", it.depth, it.limit)
}

/// The end of an address says most.
fn shortened(address: &str) -> String {
    let clean: Vec<char> = clean(address).chars().collect();
    match clean.len().checked_sub(ADDRESS) {
        None | Some(0) => clean.into_iter().collect(),
        Some(excess) => ['.', '.'].iter().chain(&clean[excess + 2..]).collect(),
    }
}

/// What can be seen of programs.
fn programs(f: &mut fmt::Formatter<'_>, handlers: &[HandlerStatus]) -> fmt::Result {
    writeln!(f, "\nSLOT     PID  GEN STATE         AGE    OPEN   CPU   MEM  PROCESSES")?;
    handlers.iter().try_for_each(|it| {
        let pid = it.pid.map_or_else(|| "-".into(), |pid| pid.to_string());
        let (age, open) = (age(it.age_s), count(it.open));
        let processes = it.processes.iter().take(SHOWN).map(ToString::to_string);
        let processes = processes.collect::<Vec<_>>().join(" ");
        let more = if it.processes.len() > SHOWN { " …" } else { "" };
        let HandlerStatus { slot, generation, .. } = it;
        let ([cpu, memory], state) = (used(it), state(it));
        writeln!(
            f,
            "{slot:>4} {pid:>7} {generation:>4} {state:<9} {age:>7} {open:>7} {cpu:>5} {memory:>5}  \
             {processes}{more}"
        )?;
        says(f, it)
    })
}

/// What a program says of itself, or a handler of its oldest request.
fn says(f: &mut fmt::Formatter<'_>, it: &HandlerStatus) -> fmt::Result {
    it.says.iter().try_for_each(|words| writeln!(f, "     {}", clean(words)))
}

fn own_handlers(f: &mut fmt::Formatter<'_>, handlers: &[HandlerStatus]) -> fmt::Result {
    writeln!(
        f,
        "\nSLOT     PID  GEN STATE         AGE   WAKES    WINS  LOSSES REQUESTS   CPU   MEM"
    )?;
    handlers.iter().try_for_each(|it| handler(f, it))?;
    handlers.iter().try_for_each(|it| oddities(f, it))
}

fn handler(f: &mut fmt::Formatter<'_>, it: &HandlerStatus) -> fmt::Result {
    let pid = it.pid.map_or_else(|| "-".into(), |pid| pid.to_string());
    let [cpu, memory] = used(it);
    writeln!(
        f,
        "{:>4} {pid:>7} {:>4} {:<9} {:>7} {:>7} {:>7} {:>7} {:>8} {cpu:>5} {memory:>5}",
        it.slot,
        it.generation,
        state(it),
        age(it.age_s),
        count(it.wakeups),
        count(it.wins),
        count(it.losses),
        count(it.requests),
    )?;
    says(f, it)
}

/// The state, and of a busy handler for how long, where that is worth a word.
fn state(it: &HandlerStatus) -> String {
    match it.busy_s {
        Some(busy) if it.state == "busy" && busy >= 0.05 => format!("busy {}", spent(busy)),
        _ => it.state.clone(),
    }
}

/// What it has used of the processors, and of the memory.
fn used(it: &HandlerStatus) -> [String; 2] {
    let dash = || "-".to_owned();
    [it.cpu_s.map_or_else(dash, spent), it.memory.map_or_else(dash, memory)]
}

/// What should not be, and mostly is not.
fn oddities(f: &mut fmt::Formatter<'_>, it: &HandlerStatus) -> fmt::Result {
    if it.panics > 0 {
        let connections = counted(it.panics, "connection");
        writeln!(f, "slot {}: {connections} ended by a panic", it.slot)?;
    }
    if it.accept_errors > 0 {
        writeln!(f, "slot {}: accept failed {}", it.slot, counted(it.accept_errors, "time"))?;
    }
    if it.corrupt {
        writeln!(f, "slot {}: its telemetry contradicts itself", it.slot)?;
    }
    Ok(())
}

/// Says how many handlers of each generation there are, where there are several.
fn generations(f: &mut fmt::Formatter<'_>, handlers: &[HandlerStatus]) -> fmt::Result {
    let mut alive = BTreeMap::<u64, u64>::new();
    handlers.iter().for_each(|it| *alive.entry(it.generation).or_default() += 1);
    if alive.len() < 2 {
        return Ok(());
    }
    let each = alive.iter().map(|(it, number)| format!("{it} ({})", counted(*number, "handler")));
    writeln!(f, "generations {}", each.collect::<Vec<_>>().join(", "))
}

fn sums(f: &mut fmt::Formatter<'_>, it: &Totals, rate: f64) -> fmt::Result {
    let Totals { accepted, completed, aborted, in_flight, requests, wakeups, losses, .. } = *it;
    let [accepted, completed, aborted, open] = [accepted, completed, aborted, in_flight].map(count);
    let [requests, wakeups, losses] = [requests, wakeups, losses].map(count);
    writeln!(
        f,
        "connections {accepted} accepted = {completed} done + {aborted} aborted + {open} open"
    )?;
    writeln!(f, "requests    {requests}, {rate:.0}/s now, {wakeups} wake-ups, {losses} lost races")
}

fn lives(f: &mut fmt::Formatter<'_>, it: &Totals) -> fmt::Result {
    let Totals { spawned, exited, crashed, alive, .. } = *it;
    writeln!(f, "handlers    {spawned} made = {alive} alive + {exited} ended ({crashed} crashed)")
}

/// So many ways to end fit on a line of 80 columns.
const WAYS: usize = 4;

/// Says what ended handlers, the most frequent first.
fn ends(f: &mut fmt::Formatter<'_>, ended: &BTreeMap<String, u64>) -> fmt::Result {
    let mut ways: Vec<_> = ended.iter().collect();
    ways.sort_by_key(|(_, number)| std::cmp::Reverse(**number));
    let words =
        ways.iter().take(WAYS).map(|(way, number)| format!("{} {}", count(**number), clean(way)));
    let more = match ways.len().saturating_sub(WAYS) {
        0 => String::new(),
        more => format!(", and in {}", counted(more as u64, "other way")),
    };
    match ways.is_empty() {
        true => Ok(()),
        false => writeln!(f, "ended by    {}{more}", words.collect::<Vec<_>>().join(", ")),
    }
}

/// Says how many were sent away, where anybody was.
fn shed(f: &mut fmt::Formatter<'_>, it: &Totals) -> fmt::Result {
    if it.shed == 0 {
        return Ok(());
    }
    let (shed, late) = (count(it.shed), count(it.late));
    writeln!(f, "shed        {shed} of the connections done, of {late} that had waited too long")
}

fn why(f: &mut fmt::Formatter<'_>, pool: &PoolStatus) -> fmt::Result {
    let PoolStatus { min, max, want, why, threads, notification, .. } = pool;
    let is_fixed = min == want && max == want;
    let range = if is_fixed { String::new() } else { format!(" ({min}..{max})") };
    let (handlers, each) = (counted(*want as u64, "handler"), counted(*threads as u64, "thread"));
    match pool.serves.as_deref() {
        Some("serial") => {
            writeln!(f, "wanted      {handlers}{range}, of one connection at a time")?
        }
        Some("concurrent") => {
            writeln!(f, "wanted      {handlers}{range}, of many connections each")?
        }
        Some(_) => writeln!(f, "wanted      {handlers}{range}")?,
        None => {
            writeln!(f, "wanted      {handlers}{range} of {each}, notification {notification}")?
        }
    }
    // Nothing decides for a pool that is drained.
    if why.is_empty() {
        return Ok(());
    }
    // Each of its parts has a line of its own.
    writeln!(f, "because     {}", clean(why).replace("; ", ";\n            "))?;
    match &pool.limited_by {
        Some(limit) => writeln!(f, "no more     because of the limit: {}", clean(limit)),
        None => Ok(()),
    }
}

fn wait(f: &mut fmt::Formatter<'_>, waits: &Waits) -> fmt::Result {
    match [0.50, 0.99, 0.999].map(|share| waits.percentile_ms(share)) {
        [Some(p50), Some(p99), Some(p999)] => {
            writeln!(
                f,
                "waits       half under {p50} ms, 99 % under {p99} ms, 99.9 % under {p999} ms"
            )
        }
        _ => writeln!(f, "waits       none measured yet"),
    }
}

/// Says how long requests were served, where any were.
fn served(f: &mut fmt::Formatter<'_>, times: &ServiceTimes) -> fmt::Result {
    let [p50, p99, p999] = [0.50, 0.99, 0.999].map(|share| times.percentile(share));
    let (Some(p50), Some(p99), Some(p999)) = (p50, p99, p999) else { return Ok(()) };
    let [p50, p99, p999] = [p50, p99, p999].map(time);
    writeln!(f, "served      half within {p50}, 99 % within {p99}, 99.9 % within {p999}")
}

#[cfg(test)]
mod tests {
    use std::fmt::Display;

    use super::*;

    /// What is written about the numbers of handlers that are wanted.
    struct Wanted(PoolStatus);

    impl Display for Wanted {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            why(f, &self.0)
        }
    }

    #[test]
    fn the_limits_are_shown_where_they_are_not_the_number_wanted() {
        let check = |min: usize, max: usize, want: usize, expected: &str| {
            let mut pool = PoolStatus::default();
            (pool.min, pool.max, pool.want, pool.threads) = (min, max, want, 1);
            let text = Wanted(pool).to_string();
            assert!(text.contains(&format!("wanted      {expected} of 1 thread,")), "{text}");
        };
        check(1, 1, 1, "1 handler");
        check(2, 8, 2, "2 handlers (2..8)");
        check(4, 4, 2, "2 handlers (4..4)");
    }

    /// What is written about those who were sent away.
    struct Shed(Totals);

    impl Display for Shed {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            shed(f, &self.0)
        }
    }

    #[test]
    fn who_was_sent_away_is_told_where_anybody_was() {
        let check = |late: u64, shed: u64, expected: &str| {
            let mut totals = Totals::default();
            (totals.late, totals.shed) = (late, shed);
            assert_eq!(Shed(totals).to_string(), expected);
        };
        check(12, 0, "");
        let few = "shed        5 of the connections done, of 12 that had waited too long\n";
        check(12, 5, few);
    }

    #[test]
    fn what_ended_handlers_is_told_the_most_frequent_first() {
        struct Ends(BTreeMap<String, u64>);
        impl Display for Ends {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                ends(f, &self.0)
            }
        }
        let check = |ways: &[(&str, u64)], expected: &str| {
            let ways = ways.iter().map(|(way, number)| ((*way).into(), *number));
            assert_eq!(Ends(ways.collect()).to_string(), expected);
        };
        check(&[], "");
        let few = [("recycle", 2), ("signal SIGSEGV", 7)];
        check(&few, "ended by    7 signal SIGSEGV, 2 recycle\n");
        let many = [("a", 1), ("b", 2), ("c", 3), ("d", 4), ("e", 5), ("f", 6)];
        check(&many, "ended by    6 f, 5 e, 4 d, 3 c, and in 2 other ways\n");
    }

    #[test]
    fn a_busy_handler_says_for_how_long() {
        let check = |word: &str, busy_s, expected: &str| {
            let mut handler = HandlerStatus::default();
            (handler.state, handler.busy_s) = (word.into(), busy_s);
            assert_eq!(state(&handler), expected);
        };
        check("busy", Some(1.234), "busy 1.2s");
        check("busy", Some(0.001), "busy");
        check("busy", None, "busy");
        check("leaving", Some(9.0), "leaving");
    }

    #[test]
    fn what_limits_the_number_is_named() {
        let mut pool = PoolStatus::default();
        (pool.why, pool.limited_by) = ("demand: 9 busy".into(), Some("memory".into()));
        let text = Wanted(pool).to_string();
        let lines = "because     demand: 9 busy\nno more     because of the limit: memory\n";
        assert!(text.ends_with(lines), "{text}");
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
}
