//! Suite `cycles`: up and down again and again, under requests that must all be answered.
//!
//! `scaled` orders each change at the control socket while clients ask without a pause; `loaded`
//! sends bursts and pauses that make the rule decide. Both count what came of every request.

mod loaded;
mod scaled;

use std::time::Duration;

use anyhow::Result;
use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use crate::condition::Condition;
use crate::machine::Machine;
use crate::open_loop::{Outcome, Record};
use crate::pool::OurPool;
use crate::table::Table;

#[derive(Args)]
pub(crate) struct Options {
    /// Who changes the number of handlers
    #[arg(long, value_enum, default_value = "scale")]
    by: By,
    /// Times up and down [default: 10000; with --quick 200]
    #[arg(long)]
    cycles: Option<u32>,
    /// Handlers at the top; at the bottom there is one
    #[arg(long, default_value_t = 8)]
    peak: usize,
    /// Milliseconds from burst to burst, with --by load
    #[arg(long, default_value_t = 1500)]
    period: u64,
    /// Look whether it works
    #[arg(long)]
    quick: bool,
    /// Where server and client run
    #[arg(long, value_enum, default_value = "s")]
    condition: Condition,
    /// Print JSON instead of tables
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum By {
    /// Orders at the control socket
    Scale,
    /// The rule, by bursts and pauses
    Load,
}

impl Options {
    fn cycles(&self) -> u32 {
        self.cycles.unwrap_or(if self.quick { 200 } else { 10_000 })
    }
}

/// What came of all cycles.
#[derive(Clone, Copy, Debug, Default)]
struct Toll {
    cycles: u32,
    elapsed: Duration,
    answered: usize,
    reset: usize,
    wrong: usize,
    refused: usize,
    unanswered: usize,
    not_sent: usize,
    /// The longest wait in ms.
    longest: f64,
    /// As the server counts.
    spawned: u64,
    exited: u64,
    crashed: u64,
}

impl Toll {
    fn new(cycles: u32, elapsed: Duration, records: &[Record], pool: &OurPool) -> Result<Self> {
        let count = |outcome| records.iter().filter(|record| record.outcome == outcome).count();
        let status = pool.pool()?;
        let total = |name: &str| status["totals"][name].as_u64().unwrap_or_default();
        let longest = records.iter().map(Record::wait).max().unwrap_or_default();
        Ok(Self {
            cycles,
            elapsed,
            answered: count(Outcome::Answered),
            reset: count(Outcome::Reset),
            wrong: count(Outcome::Wrong),
            refused: count(Outcome::Refused),
            unanswered: count(Outcome::Unanswered),
            not_sent: count(Outcome::NotSent),
            longest: longest.as_secs_f64() * 1e3,
            spawned: total("spawned"),
            exited: total("exited"),
            crashed: total("crashed"),
        })
    }

    /// Requests that a client would miss; those that were never sent are nobody's fault but ours.
    fn lost(&self) -> usize {
        self.reset + self.wrong + self.refused + self.unanswered
    }

    fn verdict(&self) -> &'static str {
        match (self.lost() == 0 && self.crashed == 0, self.not_sent == 0) {
            (true, true) => "good",
            (true, false) => "unclear",
            (false, _) => "bad",
        }
    }
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let machine = Machine::look(options.condition);
    options.condition.apply()?;
    let toll = match options.by {
        By::Scale => scaled::run(options.cycles(), options.peak)?,
        By::Load => loaded::run(options)?,
    };
    if options.json {
        println!("{}", to_json(&machine, &toll));
    } else {
        let (heading, verdict) = (machine.heading(), toll.verdict());
        print!("{heading}\n{}\nGoal: nothing lost, verdict {verdict}.\n", table(&toll));
    }
    Ok(())
}

fn table(toll: &Toll) -> Table {
    let mut table = Table::new(&[
        "cycles",
        "s",
        "spawned",
        "exited",
        "crashed",
        "answered",
        "reset",
        "wrong",
        "refused",
        "unanswered",
        "not sent",
        "longest wait ms",
    ]);
    table.push(vec![
        toll.cycles.to_string(),
        format!("{:.1}", toll.elapsed.as_secs_f64()),
        toll.spawned.to_string(),
        toll.exited.to_string(),
        toll.crashed.to_string(),
        toll.answered.to_string(),
        toll.reset.to_string(),
        toll.wrong.to_string(),
        toll.refused.to_string(),
        toll.unanswered.to_string(),
        toll.not_sent.to_string(),
        format!("{:.1}", toll.longest),
    ]);
    table
}

fn to_json(machine: &Machine, toll: &Toll) -> Value {
    json!({
        "suite": "cycles", "machine": machine.json(), "verdict": toll.verdict(),
        "cycles": toll.cycles, "elapsed_s": toll.elapsed.as_secs_f64(),
        "spawned": toll.spawned, "exited": toll.exited, "crashed": toll.crashed,
        "answered": toll.answered, "reset": toll.reset, "wrong": toll.wrong,
        "refused": toll.refused, "unanswered": toll.unanswered, "not_sent": toll.not_sent,
        "longest_wait_ms": toll.longest,
    })
}
