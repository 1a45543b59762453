//! Suite `step`: ten times the load from one moment to the next, and who waits for it; then, with
//! `--back`, the first load again, and who leaves.
//!
//! `entrant` is who serves and with which settings, `oracle` the size that a seer would choose,
//! `trial` one server through one schedule. All entrants meet the same arrivals, one after the
//! other, in each repetition those of another seed; `report` says what came out.

mod entrant;
mod oracle;
mod report;
mod trial;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use clap::Args;

use self::entrant::Entrant;
use self::oracle::fewest_handlers;
use self::trial::Sample;
use crate::arrivals::{Arrival, Phase, Work, poisson};
use crate::condition::Condition;
use crate::document;
use crate::figure::Figure;
use crate::machine::Machine;

#[derive(Args)]
pub(crate) struct Options {
    /// Who serves [default: all]
    #[arg(long = "entrant", value_enum, value_delimiter = ',')]
    entrants: Vec<Entrant>,
    /// Repetitions [default: 5; with --quick 1]
    #[arg(long)]
    reps: Option<u64>,
    /// Requests per second before the step
    #[arg(long, default_value_t = 20.0)]
    from: f64,
    /// Requests per second after it
    #[arg(long, default_value_t = 200.0)]
    to: f64,
    /// Seconds before the step [default: 10; with --quick 2]
    #[arg(long)]
    before: Option<f64>,
    /// Seconds after it [default: 20; with --quick 4]
    #[arg(long)]
    after: Option<f64>,
    /// Seconds at the first rate again, after that: shows how many handlers are kept
    #[arg(long, default_value_t = 0.0)]
    back: f64,
    /// Milliseconds that a handler sleeps for each request
    #[arg(long, default_value_t = 100)]
    service: u64,
    /// Seed of the arrivals
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Let apt-get bring the rivals that are missing
    #[arg(long)]
    install: bool,
    /// Look whether it works: too short to judge
    #[arg(long)]
    quick: bool,
    /// Where server and client run
    #[arg(long, value_enum, default_value = "s")]
    condition: Condition,
    /// Write the tables into this folder's program-costs.md
    #[arg(long, value_name = "DOCS", conflicts_with = "json")]
    write: Option<PathBuf>,
    /// Print JSON instead of tables
    #[arg(long)]
    json: bool,
}

impl Options {
    fn entrants(&self) -> &[Entrant] {
        if self.entrants.is_empty() { &Entrant::ALL } else { &self.entrants }
    }

    fn repetitions(&self) -> u64 {
        self.reps.unwrap_or(if self.quick { 1 } else { 5 })
    }

    fn schedule(&self) -> Result<Schedule> {
        ensure!(self.from > 0.0 && self.to > 0.0, "rates must be more than 0");
        let seconds = |given: Option<f64>, quick, full| {
            let seconds = given.unwrap_or(if self.quick { quick } else { full });
            Duration::try_from_secs_f64(seconds).context("a length of time is impossible")
        };
        let (before, after) = (seconds(self.before, 2.0, 10.0)?, seconds(self.after, 4.0, 20.0)?);
        let back = seconds(Some(self.back), 0.0, 0.0)?;
        Ok(Schedule {
            phases: [
                Phase { rate: self.from, length: before },
                Phase { rate: self.to, length: after },
                Phase { rate: self.from, length: back },
            ],
            work: Work { cpu: Duration::ZERO, sleep: Duration::from_millis(self.service) },
            seed: self.seed,
        })
    }
}

/// The load.
struct Schedule {
    phases: [Phase; 3],
    work: Work,
    seed: u64,
}

impl Schedule {
    fn step(&self) -> Duration {
        self.phases[0].length
    }

    /// When the load falls again.
    fn fall(&self) -> Duration {
        self.step() + self.phases[1].length
    }

    fn end(&self) -> Duration {
        self.phases.iter().map(|phase| phase.length).sum()
    }

    fn arrivals(&self, repetition: u64) -> Vec<Arrival> {
        poisson(&self.phases, self.work, self.seed.wrapping_add(repetition))
    }
}

/// All samples of one entrant.
struct Trials {
    entrant: Entrant,
    samples: Vec<Sample>,
}

impl Trials {
    fn figure(&self, quantity: fn(&Sample) -> f64) -> Figure {
        Figure::of(self.samples.iter().map(quantity))
    }
}

/// All trials of all entrants.
struct Contest {
    trials: Vec<Trials>,
    /// Who could not take part, and why.
    skipped: Vec<String>,
    /// The handlers that a seer would choose, repetition by repetition.
    needed: Vec<usize>,
}

impl Contest {
    fn hold(options: &Options, schedule: &Schedule) -> Result<Self> {
        let mut contest = Self::invite(options);
        for repetition in 0..options.repetitions() {
            let arrivals = schedule.arrivals(repetition);
            let fall = arrivals.partition_point(|arrival| arrival.due < schedule.fall());
            contest.needed.push(fewest_handlers(&arrivals[..fall]));
            contest.repeat(repetition, &arrivals, schedule)?;
        }
        Ok(contest)
    }

    fn invite(options: &Options) -> Self {
        let mut contest = Self { trials: Vec::new(), skipped: Vec::new(), needed: Vec::new() };
        for &entrant in options.entrants() {
            match entrant.missing(options.install) {
                Some(why) => contest.skipped.push(format!("{entrant}: {why}")),
                None => contest.trials.push(Trials { entrant, samples: Vec::new() }),
            }
        }
        contest.skipped.iter().for_each(|line| eprintln!("SKIPPED: {line}"));
        contest
    }

    /// Who goes first changes, so that nobody always follows the same.
    fn repeat(&mut self, repetition: u64, arrivals: &[Arrival], schedule: &Schedule) -> Result<()> {
        let (count, needed) = (self.trials.len(), self.needed[self.needed.len() - 1]);
        for turn in 0..count {
            let trials = &mut self.trials[(turn + usize::try_from(repetition)?) % count];
            let sample = Sample::take(trials.entrant, needed, arrivals, schedule)?;
            let (p99, late) = (sample.waits.p99, sample.late * 100.0);
            let entrant = trials.entrant;
            eprintln!(
                "repetition {}, {entrant}: wait p99 {p99:.1} ms, {late:.2} % late",
                repetition + 1
            );
            trials.samples.push(sample);
        }
        Ok(())
    }
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let machine = Machine::look(options.condition);
    options.condition.apply()?;
    let schedule = options.schedule()?;
    let contest = Contest::hold(options, &schedule)?;
    if options.json {
        println!("{}", report::json(&machine, &schedule, &contest));
        return Ok(());
    }
    let text = report::markdown(&machine, &schedule, &contest);
    match &options.write {
        Some(docs) => document::put(&docs.join("program-costs.md"), "step", &text),
        None => {
            print!("{text}");
            Ok(())
        }
    }
}
