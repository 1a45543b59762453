//! The figures as people read them.

use std::fmt::{self, Write};

use bellwether::balance::Rule;
use bellwether::simulation::synthetic::KINDS;

use super::report::{Figures, OnLoad, Overall, Report};
use crate::words::{age, count};

/// Prints what there is to choose from.
pub(super) fn of_names() -> String {
    let mut text = "Loads:\n".to_owned();
    for kind in &KINDS {
        let _ = writeln!(text, "  {:<16} {}", kind.name, kind.what);
    }
    text += "\nRules, with their parameters as in spare:min=5,max=10; + is the most of several:\n";
    for rule in Rule::descriptions() {
        let _ = writeln!(text, "  {}", rule.to_string().replace('\n', "\n  "));
    }
    text
}

/// Makes the tables of all loads, and one over all of them.
pub(super) fn of(report: &Report) -> String {
    Table(report).to_string()
}

struct Table<'a>(&'a Report);

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let it = &self.0.scenario;
        let (spawn, cost) = (seconds(it.spawn_s), seconds(it.cost_s));
        write!(f, "A handler takes {spawn} to make and costs as much as one idle for {cost}; ")?;
        writeln!(f, "the objective is {}.", it.slo)?;
        self.0.loads.iter().try_for_each(|load| on_load(f, load))?;
        if self.0.loads.len() > 1 {
            overall(f, &self.0.overall)?;
        }
        f.write_str(
            "\nCOST: handler-seconds and the price of spawns, HANDLERS: handler-seconds alone, \
             both beside\nwhat one pays who knows the future; LATE: waited longer than they may.\n",
        )
    }
}

fn on_load(f: &mut fmt::Formatter<'_>, load: &OnLoad) -> fmt::Result {
    let (requests, time) = (count(load.requests as u64), age(load.duration_s));
    writeln!(
        f,
        "\n{}: {requests} requests in {time}, {:.1} served at once",
        load.load, load.offered
    )?;
    writeln!(
        f,
        "{:<24}   COST HANDLERS   LATE %     P50     P99   P99.9 SPAWNS/H  PEAK REACTION",
        "RULE"
    )?;
    load.rules.iter().try_for_each(|it| row(f, it))
}

fn row(f: &mut fmt::Formatter<'_>, it: &Figures) -> fmt::Result {
    let mark = if it.meets_slo { ' ' } else { '!' };
    let [p50, p99, p999] = [it.wait_p50_ms, it.wait_p99_ms, it.wait_p999_ms].map(milliseconds);
    let reaction = it.reaction_s.map_or_else(|| "-".into(), seconds);
    let (rule, cost, handlers, late) = (&it.rule, it.cost, it.handlers, it.late_percent);
    let (spawns, peak) = (it.spawns_per_hour, it.peak);
    writeln!(
        f,
        "{rule:<24} {cost:>6.2} {handlers:>8.2} {late:>7.2}{mark} {p50:>7} {p99:>7} {p999:>7} \
         {spawns:>8.0} {peak:>5} {reaction:>8}"
    )
}

fn overall(f: &mut fmt::Formatter<'_>, overall: &[Overall]) -> fmt::Result {
    writeln!(f, "\nover all, geometric means")?;
    writeln!(f, "{:<24}   COST HANDLERS  WORST LATE %  MEETS THE OBJECTIVE ON", "RULE")?;
    overall.iter().try_for_each(|it| {
        let (meets, loads) = (it.meets_slo, it.loads);
        let (cost, handlers, late) = (it.cost, it.handlers, it.worst_late_percent);
        writeln!(f, "{:<24} {cost:>6.2} {handlers:>8.2} {late:>13.2}  {meets} of {loads}", it.rule)
    })
}

/// Writes a time of waiting; who was refused has none.
fn milliseconds(ms: Option<f64>) -> String {
    match ms {
        None => "refused".into(),
        Some(ms) if ms < 0.05 => "0".into(),
        Some(ms) if ms < 100.0 => format!("{ms:.1}ms"),
        Some(ms) if ms < 10_000.0 => format!("{ms:.0}ms"),
        Some(ms) => format!("{:.0}s", ms / 1000.0),
    }
}

pub(crate) fn seconds(seconds: f64) -> String {
    match seconds {
        short if short < 0.9995 => format!("{:.0}ms", short * 1000.0),
        short if short < 10.0 => format!("{short:.1}s"),
        long => format!("{long:.0}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_short() {
        let check = |ms: Option<f64>, expected: &str| assert_eq!(milliseconds(ms), expected);
        check(None, "refused");
        check(Some(0.0), "0");
        check(Some(12.34), "12.3ms");
        check(Some(1234.0), "1234ms");
        check(Some(98_765.0), "99s");
        assert_eq!([seconds(0.005), seconds(2.0), seconds(60.0)], ["5ms", "2.0s", "60s"]);
    }
}
