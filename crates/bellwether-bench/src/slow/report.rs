//! What the client noticed, as a table for people and as JSON for scripts.

use serde_json::{Value, json};

use super::client::Experience;
use super::{Contest, Options};
use crate::figure::{Figure, Goal};
use crate::machine::Machine;
use crate::table::Table;

const GOAL: Goal = Goal::AtMost(2.0);

const NOTE: &str = "\
Medians of all repetitions; the ratio is that of p99 within each repetition, with its quartiles. Failed: of all requests beside the
attack. Noise: the goal lies between the quartiles; too few: under 7 repetitions; good: even the worse quartile meets
the goal.";

fn of(all: &[Experience], quantity: fn(&Experience) -> f64) -> Figure {
    Figure::of(all.iter().map(quantity))
}

/// p99 beside the attack, divided by p99 alone, repetition by repetition.
fn ratio(contest: &Contest) -> Figure {
    let pairs = contest.beside.iter().zip(&contest.alone);
    Figure::of(pairs.map(|(beside, alone)| beside.p99 / alone.p99))
}

pub(super) fn markdown(machine: &Machine, options: &Options, contests: &[Contest]) -> String {
    let heading = machine.heading();
    let (connections, seconds) = (options.connections, options.time().as_secs());
    let repetitions = options.repetitions();
    format!(
        "{heading}* load: 100 requests a second on connections of their own, {seconds} s for each \
         figure, {repetitions} repetitions; slowhttptest with {connections} connections\n* server: \
         `bellwether serve` with 2 handlers and nothing else set\n\n{}\n{NOTE}\n",
        table(contests)
    )
}

fn table(contests: &[Contest]) -> Table {
    let goal = GOAL.to_string();
    let mut table = Table::new(&[
        "attack",
        "p50 alone, ms",
        "p50 beside, ms",
        "p99 alone, ms",
        "p99 beside, ms",
        "failed",
        "p99 beside / alone",
        &goal,
    ]);
    contests.iter().for_each(|contest| table.push(line(contest)));
    table
}

fn line(contest: &Contest) -> Vec<String> {
    let median = |all: &[Experience], quantity| format!("{:.2}", of(all, quantity).median);
    let failed: usize = contest.beside.iter().map(|it| it.failed).sum();
    let asked: usize = contest.beside.iter().map(|it| it.asked).sum();
    let ratio = ratio(contest);
    vec![
        contest.attack.to_string(),
        median(&contest.alone, |it| it.p50),
        median(&contest.beside, |it| it.p50),
        median(&contest.alone, |it| it.p99),
        median(&contest.beside, |it| it.p99),
        format!("{failed} of {asked}"),
        format!("{:.2} ({:.2} to {:.2})", ratio.median, ratio.lower, ratio.upper),
        ratio.judge(GOAL).to_string(),
    ]
}

pub(super) fn json(machine: &Machine, contests: &[Contest]) -> Value {
    let all = contests.iter().map(|contest| {
        json!({
            "attack": contest.attack.to_string(),
            "alone": of(&contest.alone, |it| it.p99).json(),
            "beside": of(&contest.beside, |it| it.p99).json(),
            "ratio": ratio(contest).json(),
            "failed": contest.beside.iter().map(|it| it.failed).sum::<usize>(),
        })
    });
    json!({ "machine": machine.json(), "attacks": all.collect::<Vec<_>>() })
}
