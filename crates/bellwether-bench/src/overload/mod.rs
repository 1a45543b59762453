//! Suite `overload`: more work than the processors can do, and what is still answered in time.
//!
//! `capacity` measures what the machine can do, in the same repetition; `trial` sends 75, 125 and
//! 75 % of that to one server; `report` says what came out.

mod capacity;
mod report;
mod trial;

use std::fmt;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use bellwether::Notification;
use clap::{Args, ValueEnum};

use self::trial::Sample;
use crate::arrivals::{Phase, Work};
use crate::condition::Condition;
use crate::elastic_server::{self, Rule};
use crate::machine::Machine;

/// As many processes as an elastic pool, and a pool of the wrong size, may have.
const MANY: usize = 256;

#[derive(Args)]
pub(crate) struct Options {
    /// Who serves
    #[arg(long = "entrant", value_enum, value_delimiter = ',', default_value = "demand,knee,many")]
    entrants: Vec<Entrant>,
    /// Repetitions [default: 5; with --quick 1]
    #[arg(long)]
    reps: Option<u64>,
    /// Milliseconds of a processor that each request takes
    #[arg(long, default_value_t = 10)]
    cpu: u64,
    /// Milliseconds that it sleeps
    #[arg(long, default_value_t = 40)]
    sleep: u64,
    /// The load before, in and after the overload, in percent of the capacity
    #[arg(long, value_delimiter = ',', num_args = 3, default_values_t = [75.0, 125.0, 75.0])]
    load: Vec<f64>,
    /// Seconds before, in and after the overload [default: 10,20,10; with --quick 2,5,5]
    #[arg(long, value_delimiter = ',', num_args = 3)]
    seconds: Vec<f64>,
    /// Seed of the arrivals
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Look whether it works: too short to judge
    #[arg(long)]
    quick: bool,
    /// Where server and client run
    #[arg(long, value_enum, default_value = "s")]
    condition: Condition,
    /// Print JSON instead of tables
    #[arg(long)]
    json: bool,
}

impl Options {
    fn repetitions(&self) -> u64 {
        self.reps.unwrap_or(if self.quick { 1 } else { 5 })
    }

    fn overload(&self) -> Result<Overload> {
        ensure!(self.cpu > 0, "a request must take some of a processor");
        let default = if self.quick { [2.0, 5.0, 5.0] } else { [10.0, 20.0, 10.0] };
        let seconds = if self.seconds.is_empty() { &default[..] } else { &self.seconds };
        let length = |&seconds| Duration::try_from_secs_f64(seconds);
        let lengths = seconds.iter().map(length).collect::<Result<Vec<_>, _>>();
        let lengths = lengths.context("a length of time is impossible")?;
        let (cpu, sleep) = (Duration::from_millis(self.cpu), Duration::from_millis(self.sleep));
        let rule = |(load, length): (&f64, Duration)| Phase { rate: load / 100.0, length };
        let phases = self.load.iter().zip(lengths).map(rule).collect();
        ensure!(self.load.iter().all(|&load| load > 0.0), "a load must be more than 0");
        Ok(Overload { phases, work: Work { cpu, sleep }, processors: self.condition.count() })
    }
}

/// The load, in parts of a capacity that is measured later.
struct Overload {
    phases: Vec<Phase>,
    work: Work,
    processors: usize,
}

impl Overload {
    /// With fewer handlers than this the processors cannot be used up: each is idle while it sleeps.
    fn knee(&self) -> usize {
        let work = self.work.total().as_nanos() * self.processors as u128;
        usize::try_from(work.div_ceil(self.work.cpu.as_nanos())).unwrap_or(MANY)
    }

    fn phases(&self, capacity: f64) -> Vec<Phase> {
        self.phases.iter().map(|&it| Phase { rate: it.rate * capacity, ..it }).collect()
    }

    fn begin(&self) -> Duration {
        self.phases[0].length
    }

    fn end(&self) -> Duration {
        self.begin() + self.phases[1].length
    }
}

/// Who serves; all are ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Entrant {
    /// The default rule, with nothing set
    Demand,
    /// As many handlers as use up the processors
    Knee,
    /// 256 handlers, whatever the load
    Many,
}

impl Entrant {
    fn options(self, knee: usize) -> elastic_server::Options {
        let notification = Notification::One;
        let (rule, min, max) = match self {
            Self::Demand => (Rule::Demand, 1, MANY),
            Self::Knee => (Rule::Fixed, knee, knee),
            Self::Many => (Rule::Fixed, MANY, MANY),
        };
        elastic_server::Options { rule, min, max, notification }
    }
}

impl fmt::Display for Entrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Demand => "demand",
            Self::Knee => "fixed at the knee",
            Self::Many => "fixed at 256",
        })
    }
}

/// All samples of one entrant.
struct Trials {
    entrant: Entrant,
    samples: Vec<Sample>,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let machine = Machine::look(options.condition);
    options.condition.apply()?;
    let overload = options.overload()?;
    let trials = measure(options, &overload)?;
    if options.json {
        println!("{}", report::json(&machine, &overload, &trials));
    } else {
        print!("{}", report::markdown(&machine, &overload, &trials));
    }
    Ok(())
}

fn measure(options: &Options, overload: &Overload) -> Result<Vec<Trials>> {
    let entrants = options.entrants.iter();
    let mut trials: Vec<_> =
        entrants.map(|&entrant| Trials { entrant, samples: Vec::new() }).collect();
    for repetition in 0..options.repetitions() {
        repeat(repetition, options.seed.wrapping_add(repetition), overload, &mut trials)?;
    }
    Ok(trials)
}

/// All entrants meet the same arrivals; who goes first changes.
fn repeat(repetition: u64, seed: u64, overload: &Overload, trials: &mut [Trials]) -> Result<()> {
    let (capacity, count) = (capacity::measure(overload)?, trials.len());
    eprintln!(
        "repetition {}: capacity {:.1}/s, {:.0} % elsewhere",
        repetition + 1,
        capacity.rate,
        capacity.elsewhere * 100.0
    );
    for turn in 0..count {
        let trials = &mut trials[(turn + usize::try_from(repetition)?) % count];
        let sample = Sample::take(trials.entrant, overload, capacity, seed)?;
        let goodput = sample.goodput * 100.0;
        eprintln!("repetition {}, {}: goodput {goodput:.1} %", repetition + 1, trials.entrant);
        trials.samples.push(sample);
    }
    Ok(())
}
