//! Suite `program`: what a program costs more when `bellwether run` keeps it, in a pool of one.
//!
//! `app` is what is run, `way` how it is started, `server` one that runs. All ways of one program
//! stand side by side and are measured in turn, so that whatever slows the machine slows all; a ratio
//! is that of one repetition. `report` says what came out.

mod app;
mod report;
mod server;
mod way;

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::Args;

use self::app::App;
use self::server::{Sample, Server};
use self::way::Way;
use crate::condition::Condition;
use crate::figure::Figure;
use crate::machine::Machine;
use crate::turns::order;
use crate::wrk::{self, Load};
use crate::{document, executable};

#[derive(Args)]
pub(crate) struct Options {
    /// What is run
    #[arg(long = "app", value_enum, value_delimiter = ',', default_value = "node,go,uvicorn")]
    apps: Vec<App>,
    /// How, beside the program alone
    #[arg(long = "way", value_enum, value_delimiter = ',', default_value = "auto,adopt,port")]
    ways: Vec<Way>,
    /// Repetitions [default: 15; with --quick 1]
    #[arg(long)]
    reps: Option<usize>,
    /// Whole seconds of load for each figure [default: 3; with --quick 1]
    #[arg(long)]
    seconds: Option<u64>,
    /// Let apt-get and pip bring what is missing
    #[arg(long)]
    install: bool,
    /// Look whether it works: too short to judge
    #[arg(long)]
    quick: bool,
    /// Where server and client run
    #[arg(long, value_enum, default_value = "u")]
    condition: Condition,
    /// Write the tables into this folder's program-costs.md
    #[arg(long, value_name = "DOCS", conflicts_with = "json")]
    write: Option<PathBuf>,
    /// Print JSON instead of tables
    #[arg(long)]
    json: bool,
}

impl Options {
    fn repetitions(&self) -> usize {
        self.reps.unwrap_or(if self.quick { 1 } else { 15 })
    }

    fn seconds(&self) -> u64 {
        self.seconds.unwrap_or(if self.quick { 1 } else { 3 }).max(1)
    }

    /// The ways that are asked for, each once, behind the program alone.
    fn ways(&self, app: App) -> Vec<Way> {
        let mut ways = vec![Way::Alone];
        for &way in self.ways.iter().filter(|way| !app.has_same_as_auto(**way)) {
            if !ways.contains(&way) {
                ways.push(way);
            }
        }
        ways
    }
}

/// All samples of one way, load by load.
struct Entrant {
    way: Way,
    samples: [Vec<Sample>; 2],
}

/// One program in all ways; the first of them is the program alone.
struct Contest {
    app: App,
    version: String,
    entrants: Vec<Entrant>,
}

impl Contest {
    fn repeat(&mut self, repetition: usize, seconds: u64) -> Result<()> {
        let start = |it: &Entrant| {
            let server = Server::start(self.app, it.way);
            server.with_context(|| format!("cannot start {}, {}", self.app, it.way))
        };
        let servers = self.entrants.iter().map(start).collect::<Result<Vec<_>>>()?;
        for (index, load) in Load::ALL.into_iter().enumerate() {
            servers.iter().try_for_each(|server| server.warm_up(load))?;
            for turn in order(repetition, servers.len()) {
                let entrant = &mut self.entrants[turn];
                let sample = servers[turn].measure(load, seconds)?;
                eprintln!(
                    "repetition {}, {}, {}, {load}: {:.0}/s",
                    repetition + 1,
                    self.app,
                    entrant.way,
                    sample.rate
                );
                entrant.samples[index].push(sample);
            }
        }
        Ok(())
    }
}

/// What was found.
struct Findings {
    contests: Vec<Contest>,
    /// What could not take part, and why.
    skipped: Vec<String>,
}

impl Findings {
    fn invite(options: &Options) -> Self {
        let mut findings = Self { contests: Vec::new(), skipped: Vec::new() };
        for &app in &options.apps {
            match app.missing(options.install) {
                Some(why) => findings.skip(format!("{app}: {why}")),
                None => findings.add(app, options),
            }
        }
        findings
    }

    /// Tells it once, whatever the number of programs.
    fn skip(&mut self, line: String) {
        if !self.skipped.contains(&line) {
            eprintln!("SKIPPED: {line}");
            self.skipped.push(line);
        }
    }

    fn add(&mut self, app: App, options: &Options) {
        let mut entrants = Vec::new();
        for way in options.ways(app) {
            match way.missing() {
                Some(why) => self.skip(format!("{way}: {why}")),
                None => entrants.push(Entrant { way, samples: Default::default() }),
            }
        }
        self.contests.push(Contest { app, version: app.version(), entrants });
    }
}

impl Entrant {
    fn figure(&self, load: usize, quantity: fn(&Sample) -> f64) -> Figure {
        Figure::of(self.samples[load].iter().map(quantity))
    }

    /// This divided by the program alone, repetition by repetition.
    fn ratio(&self, alone: &Self, load: usize, quantity: fn(&Sample) -> f64) -> Figure {
        let pairs = self.samples[load].iter().zip(&alone.samples[load]);
        Figure::of(pairs.map(|(this, alone)| quantity(this) / quantity(alone)))
    }
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let machine = Machine::look(options.condition);
    executable::bellwether()?;
    if let Some(why) = wrk::missing(options.install) {
        anyhow::bail!("{why}");
    }
    // What is installed and compiled may use all processors.
    let mut findings = Findings::invite(options);
    options.condition.apply()?;
    for repetition in 0..options.repetitions() {
        for contest in &mut findings.contests {
            contest.repeat(repetition, options.seconds())?;
        }
    }
    if options.json {
        println!("{}", report::json(&machine, &findings));
        return Ok(());
    }
    let text = report::markdown(&machine, options, &findings);
    match &options.write {
        Some(docs) => document::put(&docs.join("program-costs.md"), "program", &text),
        None => {
            print!("{text}");
            Ok(())
        }
    }
}
