//! Suite `predict`: the same arrivals through the real server and through the simulator.

use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};
use bellwether::Notification;
use bellwether::balance::Demand;
use bellwether::simulation::{Regime, Request, Scenario, Workload};
use clap::Args;

use crate::arrivals::{Arrival, Phase, Work, poisson};
use crate::census::Census;
use crate::condition::Condition;
use crate::elastic_server::{self, Rule};
use crate::machine::Machine;
use crate::open_loop::{self, LATE};
use crate::site::{OurSite, Site as _};

const PATIENCE: Duration = Duration::from_secs(10);
const SETTLING: Duration = Duration::from_millis(500);
const MOST: usize = 256;
/// What a small native handler is worth to the server: a millisecond of work at the price of a
/// processor, for the memory that a process takes at least (`pool/meter.rs`).
const COST: f64 = 1.024;

#[derive(Args)]
pub(crate) struct Options {
    /// Repetitions, each with other arrivals
    #[arg(long, default_value_t = 3)]
    reps: u64,
    /// Seed of the first arrivals
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Where server and client run
    #[arg(long, value_enum, default_value = "s")]
    condition: Condition,
}

/// The loads: their names, and rates with their seconds.
const LOADS: [(&str, &[(f64, u64)]); 2] = [
    ("step", &[(20.0, 10), (200.0, 20), (20.0, 10)]),
    (
        "bursts",
        &[
            (10.0, 4),
            (200.0, 2),
            (10.0, 4),
            (200.0, 2),
            (10.0, 4),
            (200.0, 2),
            (10.0, 4),
            (200.0, 2),
            (10.0, 4),
        ],
    ),
];

/// What was measured, and what was foretold.
struct Pair {
    load: &'static str,
    real: Figures,
    foretold: Figures,
    /// Median milliseconds from the order for a handler until it was ready.
    spawn_ms: f64,
}

#[derive(Clone, Copy)]
struct Figures {
    handler_seconds: f64,
    late_percent: f64,
    peak: usize,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let machine = Machine::look(options.condition);
    options.condition.apply()?;
    let mut pairs = Vec::new();
    for seed in (0..options.reps).map(|repetition| options.seed.wrapping_add(repetition)) {
        for (load, phases) in LOADS {
            let pair = Pair::take(load, phases, seed)?;
            eprintln!(
                "{load}: {:.0} handler-seconds, {:.0} foretold",
                pair.real.handler_seconds, pair.foretold.handler_seconds
            );
            pairs.push(pair);
        }
    }
    print!("{}\n{}", machine.heading(), table(&pairs));
    Ok(())
}

impl Pair {
    fn take(load: &'static str, phases: &[(f64, u64)], seed: u64) -> Result<Self> {
        let phase = |&(rate, seconds)| Phase { rate, length: Duration::from_secs(seconds) };
        let phases: Vec<_> = phases.iter().map(phase).collect();
        let work = Work { cpu: Duration::ZERO, sleep: Duration::from_millis(100) };
        let arrivals = poisson(&phases, work, seed);
        let (real, spawn_ms) = measure(&arrivals)?;
        let foretold = foretell(&arrivals, spawn_ms / 1e3, seed);
        Ok(Self { load, real, foretold, spawn_ms })
    }
}

fn measure(arrivals: &[Arrival]) -> Result<(Figures, f64)> {
    let (rule, notification) = (Rule::Demand, Notification::One);
    let server = elastic_server::Options { rule, min: 1, max: MOST, notification };
    let site = OurSite::start(&server)?;
    thread::sleep(SETTLING);
    let census = Census::start(&site);
    let run = open_loop::run(site.target(), arrivals, PATIENCE)?;
    let population = census.finish()?;
    let end = arrivals.last().context("no arrivals")?.due;
    let mut took = Box::new(site).finish()?.context("no journal")?.inputs("took_ms");
    took.sort_by(f64::total_cmp);
    let late = run.records.iter().filter(|record| record.is_late(LATE)).count();
    let figures = Figures {
        handler_seconds: population.handler_seconds(end),
        late_percent: 100.0 * late as f64 / run.records.len() as f64,
        peak: population.peak(),
    };
    Ok((figures, took.get(took.len() / 2).copied().unwrap_or(1.0)))
}

fn foretell(arrivals: &[Arrival], spawn: f64, seed: u64) -> Figures {
    let request =
        |it: &Arrival| Request { at: it.due.as_secs_f64(), service: it.work.total().as_secs_f64() };
    let workload = Workload::new("arrivals", arrivals.iter().map(request).collect());
    let regime = Regime { spawn, cost: COST, ..Regime::START };
    let scenario = Scenario { min: 1, max: MOST, ..Scenario::new(regime) };
    let outcome = scenario.run(&workload, &mut Demand::new(regime.slo()), seed, &mut |_| {});
    Figures {
        handler_seconds: outcome.handler_seconds,
        late_percent: outcome.late_percent(),
        peak: outcome.peak,
    }
}

fn table(pairs: &[Pair]) -> String {
    let mut text = "| load | spawn ms | handler-s | foretold | ratio | late % | foretold | peak | foretold |\n\
                    |---|---|---|---|---|---|---|---|---|\n"
        .to_owned();
    for Pair { load, real, foretold, spawn_ms } in pairs {
        let ratio = real.handler_seconds / foretold.handler_seconds;
        text += &format!(
            "| {load} | {spawn_ms:.1} | {:.0} | {:.0} | {ratio:.2} | {:.2} | {:.2} | {} | {} |\n",
            real.handler_seconds,
            foretold.handler_seconds,
            real.late_percent,
            foretold.late_percent,
            real.peak,
            foretold.peak
        );
    }
    text + "\nHandlers are counted 20 times a second; late: waited longer than 50 ms. Goal: ratio 0.85 to 1.15.\n"
}
