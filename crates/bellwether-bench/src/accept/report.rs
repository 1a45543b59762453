//! What the contests showed, as tables for people and as JSON for scripts.

use serde_json::{Value, json};

use super::{Contest, Options, Sample};
use crate::figure::{Figure, Goal, Verdict};
use crate::load::CLIENTS;
use crate::machine::Machine;
use crate::mode::Mode;
use crate::pool::Rival;
use crate::table::Table;

const RATE_GOAL: Goal = Goal::AtLeast(0.95);
const CPU_GOAL: Goal = Goal::AtMost(1.10);
const SCALING_GOAL: Goal = Goal::AtLeast(0.88);

type Quantity = fn(&Sample) -> f64;

const FIGURES_NOTE: &str = "\
±: distance of the quartiles / median. CPU: all processes of the server, spawner included. Switches,
losses: of the handlers. Elsewhere: processor time that neither server nor client used (in U: its
neighbours did; the more, the less the rates mean).";

const RATIOS_NOTE: &str = "\
Median and quartiles of the ratios within each repetition. good: even the worse quartile meets the
goal; bad: even the better one misses it; noise: the goal lies between; too few: under 7 repetitions.";

pub(super) fn markdown(machine: &Machine, options: &Options, contests: &[Contest]) -> String {
    let (heading, load) = (machine.heading(), load_line(options));
    let (figures, ratios) = (figures(contests), ratios(contests));
    let scaling = scaling(contests).map_or_else(String::new, |scaling| format!("\n{scaling}"));
    format!("{heading}{load}\n{figures}\n{FIGURES_NOTE}\n\n{ratios}\n{RATIOS_NOTE}\n{scaling}")
}

fn load_line(options: &Options) -> String {
    format!(
        "* load: {CLIENTS} closed-loop short connections from one thread, {:?} per cell, {} \
         repetitions, rivals in turn\n",
        options.window(),
        options.repetitions()
    )
}

/// One line per cell and rival.
fn figures(contests: &[Contest]) -> Table {
    let mut table = Table::new(&[
        "mode",
        "handlers",
        "rival",
        "conn/s",
        "CPU µs/conn",
        "switches/conn",
        "losses/conn",
        "used",
        "largest share",
        "private KiB",
        "failed",
        "elsewhere",
    ]);
    for contest in contests {
        for (rival, samples) in contest.rivals.iter().zip(&contest.samples) {
            table.push(line(contest, *rival, samples));
        }
    }
    table
}

fn line(contest: &Contest, rival: Rival, samples: &[Sample]) -> Vec<String> {
    let of = |quantity: Quantity| Figure::of(samples.iter().map(quantity));
    let (rate, cpu) = (of(|sample| sample.rate), of(|sample| sample.cpu));
    vec![
        contest.cell.mode.to_string(),
        contest.cell.handlers.to_string(),
        rival.to_string(),
        format!("{:.0} ± {:.0} %", rate.median, rate.spread() * 100.0),
        format!("{:.1} ± {:.0} %", cpu.median, cpu.spread() * 100.0),
        format!("{:.2}", of(|sample| sample.switches).median),
        format!("{:.2}", of(|sample| sample.losses).median),
        format!("{:.0}", of(|sample| sample.used).median),
        format!("{:.0} %", of(|sample| sample.largest).median * 100.0),
        format!("{:.0}", of(|sample| sample.memory).median),
        format!("{:.0}", samples.iter().map(|sample| sample.failed).sum::<f64>()),
        format!("{:.0} %", of(|sample| sample.elsewhere).median * 100.0),
    ]
}

/// One line per cell: the challenger divided by the reference.
fn ratios(contests: &[Contest]) -> Table {
    let (rate_goal, cpu_goal) = (format!("rate {RATE_GOAL}"), format!("CPU {CPU_GOAL}"));
    let between = contests.first().map_or_else(String::new, Contest::names);
    let (rate, cpu) = (format!("rate {between}"), format!("CPU {between}"));
    let mut table = Table::new(&["mode", "handlers", &rate, &rate_goal, &cpu, &cpu_goal]);
    for contest in contests {
        let (rate, cpu) = (contest.ratio(|sample| sample.rate), contest.ratio(|sample| sample.cpu));
        table.push(vec![
            contest.cell.mode.to_string(),
            contest.cell.handlers.to_string(),
            print_ratio(&rate),
            rate.judge(RATE_GOAL).to_string(),
            print_ratio(&cpu),
            cpu.judge(CPU_GOAL).to_string(),
        ]);
    }
    table
}

fn print_ratio(ratio: &Figure) -> String {
    format!("{:.3} ({:.3} to {:.3})", ratio.median, ratio.lower, ratio.upper)
}

/// How the rate of a rival changes from the fewest handlers measured to the most.
struct Scale {
    mode: Mode,
    rival: Rival,
    ratio: Figure,
    /// Only for us, and not where each handler costs by design.
    verdict: Option<Verdict>,
}

impl Scale {
    fn new(few: &Contest, many: &Contest, turn: usize) -> Self {
        let (mode, rival) = (few.cell.mode, few.rivals[turn]);
        let steps = many.samples[turn].iter().zip(&few.samples[turn]);
        let ratio = Figure::of(steps.map(|(many, few)| many.rate / few.rate));
        let judged = rival == Rival::Ours && mode.is_bounded();
        Self { mode, rival, ratio, verdict: judged.then(|| ratio.judge(SCALING_GOAL)) }
    }

    fn verdict(&self) -> String {
        self.verdict.map_or_else(String::new, |verdict| verdict.to_string())
    }

    fn json(&self) -> Value {
        let (mode, rival) = (self.mode.to_string(), self.rival.to_string());
        let (ratio, verdict) = (self.ratio.json(), self.verdict());
        json!({ "mode": mode, "rival": rival, "rate_ratio": ratio, "verdict": verdict })
    }
}

/// The fewest and the most handlers measured, when they differ.
fn ends(contests: &[Contest]) -> Option<(usize, usize)> {
    let handlers = || contests.iter().map(|contest| contest.cell.handlers);
    let (fewest, most) = (handlers().min()?, handlers().max()?);
    (fewest < most).then_some((fewest, most))
}

fn scales(contests: &[Contest]) -> Vec<Scale> {
    let Some((fewest, most)) = ends(contests) else { return Vec::new() };
    let with = |handlers| contests.iter().filter(move |contest| contest.cell.handlers == handlers);
    let pairs = with(fewest).zip(with(most));
    pairs.flat_map(|(few, many)| [0, 1].map(|turn| Scale::new(few, many, turn))).collect()
}

/// One line per mode and rival.
fn scaling(contests: &[Contest]) -> Option<Table> {
    let (fewest, most) = ends(contests)?;
    let (title, goal) = (format!("rate at {most} / at {fewest}"), format!("ours {SCALING_GOAL}"));
    let mut table = Table::new(&["mode", "rival", &title, &goal]);
    for scale in scales(contests) {
        let (mode, rival) = (scale.mode.to_string(), scale.rival.to_string());
        table.push(vec![mode, rival, print_ratio(&scale.ratio), scale.verdict()]);
    }
    Some(table)
}

pub(super) fn json(machine: &Machine, contests: &[Contest]) -> Value {
    let cell = |contest: &Contest| {
        let (rate, cpu) = (contest.ratio(|sample| sample.rate), contest.ratio(|sample| sample.cpu));
        json!({
            "mode": contest.cell.mode.to_string(),
            "handlers": contest.cell.handlers,
            "raw": samples(&contest.samples[0]),
            "ours": samples(&contest.samples[1]),
            "rate_ratio": rate.json(),
            "rate_verdict": rate.judge(RATE_GOAL).to_string(),
            "cpu_ratio": cpu.json(),
            "cpu_verdict": cpu.judge(CPU_GOAL).to_string(),
        })
    };
    let cells: Vec<Value> = contests.iter().map(cell).collect();
    let scaling: Vec<Value> = scales(contests).iter().map(Scale::json).collect();
    json!({ "suite": "accept", "machine": machine.json(), "cells": cells, "scaling": scaling })
}

fn samples(samples: &[Sample]) -> Value {
    let of = |quantity: Quantity| Figure::of(samples.iter().map(quantity)).json();
    json!({
        "rate": of(|sample| sample.rate),
        "cpu_us": of(|sample| sample.cpu),
        "switches": of(|sample| sample.switches),
        "losses": of(|sample| sample.losses),
        "used": of(|sample| sample.used),
        "largest_share": of(|sample| sample.largest),
        "private_kib": of(|sample| sample.memory),
        "failed": of(|sample| sample.failed),
        "elsewhere": of(|sample| sample.elsewhere),
    })
}
