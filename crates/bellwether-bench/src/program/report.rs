//! What the contests showed, as tables for people and as JSON for scripts.

use serde_json::{Value, json};

use super::{Contest, Entrant, Findings, Options, Sample};
use crate::figure::{Figure, Goal, Verdict};
use crate::load::CLIENTS;
use crate::machine::Machine;
use crate::table::Table;
use crate::wrk::Load;

/// For the ways in which nothing stands between client and program.
const RATE_GOAL: Goal = Goal::AtLeast(0.98);
const CPU_GOAL: Goal = Goal::AtMost(1.02);

type Quantity = fn(&Sample) -> f64;

const FIGURES_NOTE: &str = "\
Medians; ±: distance of the quartiles / median. Kept: connections that are kept; short: a connection
for each request. CPU and private memory: all processes of the server, those of bellwether included. Failed: in all
repetitions. Elsewhere: processor time that neither server nor client used (in U: its neighbours did; the more, the
less the rates mean).";

const RATIOS_NOTE: &str = "\
Median and quartiles of the ratios within each repetition. noise: the goal, or without one 1, lies between the
quartiles, so the ratio says nothing; too few: under 7 repetitions. good: even the worse quartile meets the goal;
bad: even the better one misses it.";

pub(super) fn markdown(machine: &Machine, options: &Options, findings: &Findings) -> String {
    let (heading, load) = (machine.heading(), load_line(options, findings));
    let (figures, ratios) = (figures(findings), ratios(findings));
    let skipped: String = findings.skipped.iter().map(|it| format!("\nSKIPPED: {it}\n")).collect();
    format!("{heading}{load}\n{figures}\n{FIGURES_NOTE}\n\n{ratios}\n{RATIOS_NOTE}\n{skipped}")
}

fn load_line(options: &Options, findings: &Findings) -> String {
    let version = |it: &Contest| format!("{} {}", it.app, it.version);
    let versions: Vec<String> = findings.contests.iter().map(version).collect();
    format!(
        "* load: wrk, {CLIENTS} closed-loop connections from one thread, {} s for each figure, {} \
         repetitions, all ways of a program in turn\n* programs: {}\n",
        options.seconds(),
        options.repetitions(),
        versions.join(", ")
    )
}

/// One line per program, load and way.
fn figures(findings: &Findings) -> Table {
    let mut table = Table::new(&[
        "program",
        "connections",
        "way",
        "requests/s",
        "CPU µs/request",
        "p99 ms",
        "private MiB",
        "failed",
        "elsewhere",
    ]);
    for contest in &findings.contests {
        for load in 0..Load::ALL.len() {
            contest.entrants.iter().for_each(|it| table.push(line(contest, load, it)));
        }
    }
    table
}

fn line(contest: &Contest, load: usize, entrant: &Entrant) -> Vec<String> {
    let of = |quantity: Quantity| entrant.figure(load, quantity);
    let (rate, cpu) = (of(|sample| sample.rate), of(|sample| sample.cpu));
    vec![
        contest.app.to_string(),
        Load::ALL[load].to_string(),
        entrant.way.to_string(),
        format!("{:.0} ± {:.0} %", rate.median, rate.spread() * 100.0),
        format!("{:.1} ± {:.0} %", cpu.median, cpu.spread() * 100.0),
        format!("{:.2}", of(|sample| sample.p99).median),
        format!("{:.1}", of(|sample| sample.memory).median / 1024.0),
        format!("{:.0}", entrant.samples[load].iter().map(|sample| sample.failed).sum::<f64>()),
        format!("{:.0} %", of(|sample| sample.elsewhere).median * 100.0),
    ]
}

/// A way beside the program alone.
struct Ratio {
    figure: Figure,
    goal: Option<Goal>,
}

impl Ratio {
    /// Without a goal it says at least whether there is a difference.
    fn verdict(&self) -> Verdict {
        self.figure.judge(self.goal.unwrap_or(Goal::AtLeast(1.0)))
    }

    /// The ratio, unless it says nothing.
    fn text(&self) -> String {
        let Figure { median, lower, upper, .. } = self.figure;
        match self.verdict() {
            Verdict::TooFew => "too few".into(),
            Verdict::Noise => format!("noise ({lower:.3} to {upper:.3})"),
            Verdict::Good | Verdict::Bad => format!("{median:.3} ({lower:.3} to {upper:.3})"),
        }
    }

    fn judgement(&self) -> String {
        self.goal.map_or_else(|| "-".into(), |_| self.verdict().to_string())
    }

    fn json(&self) -> Value {
        json!({ "ratio": self.figure.json(), "says": self.text(), "verdict": self.judgement() })
    }
}

/// Of rate and processor time.
fn ratios_of(contest: &Contest, load: usize, entrant: &Entrant) -> [Ratio; 2] {
    let alone = &contest.entrants[0];
    let ratio = |quantity: Quantity, goal| {
        let figure = entrant.ratio(alone, load, quantity);
        Ratio { figure, goal: entrant.way.is_direct().then_some(goal) }
    };
    [ratio(|sample| sample.rate, RATE_GOAL), ratio(|sample| sample.cpu, CPU_GOAL)]
}

/// One line per program, load and way but the program alone.
fn ratios(findings: &Findings) -> Table {
    let (rate_goal, cpu_goal) = (RATE_GOAL.to_string(), CPU_GOAL.to_string());
    let mut table = Table::new(&[
        "program",
        "connections",
        "way",
        "rate / alone",
        &rate_goal,
        "CPU a request / alone",
        &cpu_goal,
    ]);
    for contest in &findings.contests {
        for (index, load) in Load::ALL.iter().enumerate() {
            for entrant in &contest.entrants[1..] {
                let [rate, cpu] = ratios_of(contest, index, entrant);
                table.push(vec![
                    contest.app.to_string(),
                    load.to_string(),
                    entrant.way.to_string(),
                    rate.text(),
                    rate.judgement(),
                    cpu.text(),
                    cpu.judgement(),
                ]);
            }
        }
    }
    table
}

pub(super) fn json(machine: &Machine, findings: &Findings) -> Value {
    let programs: Vec<Value> = findings.contests.iter().map(contest_json).collect();
    let (machine, skipped) = (machine.json(), &findings.skipped);
    json!({ "suite": "program", "machine": machine, "programs": programs, "skipped": skipped })
}

fn contest_json(contest: &Contest) -> Value {
    let cells = (0..Load::ALL.len())
        .flat_map(|load| contest.entrants.iter().map(move |it| cell_json(contest, load, it)));
    let cells: Vec<Value> = cells.collect();
    json!({ "program": contest.app.to_string(), "version": contest.version, "cells": cells })
}

fn cell_json(contest: &Contest, load: usize, entrant: &Entrant) -> Value {
    let of = |quantity: Quantity| entrant.figure(load, quantity).json();
    let [rate, cpu] = ratios_of(contest, load, entrant).map(|ratio| ratio.json());
    json!({
        "connections": Load::ALL[load].to_string(),
        "way": entrant.way.to_string(),
        "rate": of(|sample| sample.rate),
        "cpu_us": of(|sample| sample.cpu),
        "p99_ms": of(|sample| sample.p99),
        "private_kib": of(|sample| sample.memory),
        "failed": of(|sample| sample.failed),
        "elsewhere": of(|sample| sample.elsewhere),
        "rate_to_alone": rate,
        "cpu_to_alone": cpu,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_that_says_nothing_is_not_printed() {
        let check = |[lower, upper]: [f64; 2], repetitions, goal, expected: &str| {
            let median = f64::midpoint(lower, upper);
            let figure = Figure { median, lower, upper, repetitions };
            assert_eq!(Ratio { figure, goal }.text(), expected);
        };
        check([0.99, 1.0], 7, Some(RATE_GOAL), "0.995 (0.990 to 1.000)");
        check([0.5, 0.6], 7, Some(RATE_GOAL), "0.550 (0.500 to 0.600)");
        check([0.97, 1.01], 7, Some(RATE_GOAL), "noise (0.970 to 1.010)");
        check([0.5, 0.6], 7, None, "0.550 (0.500 to 0.600)");
        check([0.9, 1.1], 7, None, "noise (0.900 to 1.100)");
        check([0.99, 1.0], 6, Some(RATE_GOAL), "too few");
    }
}
