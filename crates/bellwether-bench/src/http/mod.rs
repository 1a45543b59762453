//! Suite `http`: the same small reply, and files, from bellwether and from servers that are known.
//!
//! `entrant` is who takes part: libraries in this executable (`serving`) and programs with their
//! configurations (`rivals`); `running` one that runs, `trial` what it is put to. A `contest` starts
//! its entrants side by side and measures them in turn, repetition by repetition; a ratio is that of
//! one repetition. `report` says what came out.

mod contest;
mod entrant;
mod report;
mod rivals;
mod running;
mod serving;
mod trial;

pub(crate) use serving::{Options as ServerOptions, serve};

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};

use self::contest::{Contest, Skipped};
use self::entrant::Entrant;
use self::trial::{FILES, Trial};
use crate::condition::Condition;
use crate::machine::Machine;
use crate::wrk::{self, Load};

/// What can be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// The small reply, from everybody
    Hello,
    /// 32 handlers beside 32 processes
    Many,
    /// Files, beside nginx
    Files,
}

#[derive(Args)]
pub(crate) struct Options {
    /// What is compared
    #[arg(long = "part", value_enum, value_delimiter = ',', default_value = "hello,many,files")]
    parts: Vec<Part>,
    /// Repetitions [default: 7; with --quick 3]
    #[arg(long)]
    reps: Option<usize>,
    /// Whole seconds of load for each figure [default: 3; with --quick 1]
    #[arg(long)]
    seconds: Option<u64>,
    /// Let apt-get bring wrk
    #[arg(long)]
    install: bool,
    /// Look whether it works: too short to believe
    #[arg(long)]
    quick: bool,
    /// Where servers and clients run
    #[arg(long, value_enum, default_value = "u")]
    condition: Condition,
    /// Print JSON instead of tables
    #[arg(long)]
    json: bool,
}

impl Options {
    fn repetitions(&self) -> usize {
        self.reps.unwrap_or(if self.quick { 3 } else { 7 })
    }

    fn seconds(&self) -> u64 {
        self.seconds.unwrap_or(if self.quick { 1 } else { 3 }).max(1)
    }
}

impl Part {
    fn invite(self, skipped: &mut Skipped) -> Contest {
        let hello = Trial::hello;
        let (title, entrants, trials) = match self {
            Self::Hello => {
                let trials = vec![hello(Load::Kept), hello(Load::Short), Trial::Open];
                ("The small reply, two workers", &Entrant::ALL[..], trials)
            }
            Self::Many => {
                ("32 handlers, 32 processes", &Entrant::MANY[..], vec![hello(Load::Short)])
            }
            Self::Files => {
                let trials = FILES.iter().map(Trial::file).collect();
                ("Files, two workers", &Entrant::FILES[..], trials)
            }
        };
        Contest::invite(title, entrants, trials, skipped)
    }
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let machine = Machine::look(options.condition);
    if let Some(why) = wrk::missing(options.install) {
        bail!("{why}");
    }
    options.condition.apply()?;
    let mut skipped = Skipped::default();
    let mut contests: Vec<_> = options.parts.iter().map(|part| part.invite(&mut skipped)).collect();
    for repetition in 0..options.repetitions() {
        for contest in &mut contests {
            contest.repeat(repetition, options.seconds())?;
        }
    }
    if options.json {
        println!("{}", report::json(&machine, &contests, &skipped));
    } else {
        print!("{}", report::markdown(&machine, options, &contests, &skipped));
    }
    Ok(())
}
