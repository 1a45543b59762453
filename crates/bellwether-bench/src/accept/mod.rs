//! Suite `accept`: accept-and-answer of a 100-byte reply, ours beside a raw loop of the same mode.
//!
//! `cell` measures one rival once; this file repeats that, both rivals in turn, so that whatever
//! slows the machine slows both; `report` says what came out.

mod cell;
mod report;

use std::time::Duration;

use anyhow::Result;
use clap::Args;

use self::cell::{Cell, Sample};
use crate::condition::Condition;
use crate::figure::Figure;
use crate::machine::Machine;
use crate::mode::Mode;
use crate::pool::Rival;

#[derive(Args)]
pub(crate) struct Options {
    /// Notification modes
    #[arg(long = "mode", value_delimiter = ',', default_value = "all,some:2,one,turn")]
    modes: Vec<Mode>,
    /// Numbers of handlers [default: 1,2,8,32,128; with --quick 1,8]
    #[arg(long, value_delimiter = ',')]
    handlers: Vec<usize>,
    /// Repetitions of each cell [default: 7; with --quick 3]
    #[arg(long)]
    reps: Option<usize>,
    /// Seconds of load per cell and repetition [default: 1; with --quick 0.2]
    #[arg(long)]
    seconds: Option<f64>,
    /// Look whether it works: too short to judge
    #[arg(long)]
    quick: bool,
    /// Put a second raw loop in our place: shows what noise alone makes of the ratios
    #[arg(long)]
    null: bool,
    /// Where server and client run
    #[arg(long, value_enum, default_value = "u")]
    condition: Condition,
    /// Print JSON instead of tables
    #[arg(long)]
    json: bool,
}

impl Options {
    fn handlers(&self) -> &[usize] {
        match (self.handlers.is_empty(), self.quick) {
            (false, _) => &self.handlers,
            (true, true) => &[1, 8],
            (true, false) => &[1, 2, 8, 32, 128],
        }
    }

    fn repetitions(&self) -> usize {
        self.reps.unwrap_or(if self.quick { 3 } else { 7 })
    }

    fn window(&self) -> Duration {
        let seconds = self.seconds.unwrap_or(if self.quick { 0.2 } else { 1.0 });
        Duration::try_from_secs_f64(seconds).unwrap_or(Duration::from_secs(1))
    }

    /// The reference and its challenger.
    fn rivals(&self) -> [Rival; 2] {
        [Rival::Raw, if self.null { Rival::RawAgain } else { Rival::Ours }]
    }

    fn cells(&self) -> Vec<Cell> {
        let of_mode =
            |&mode: &Mode| self.handlers().iter().map(move |&handlers| Cell { mode, handlers });
        self.modes.iter().flat_map(of_mode).collect()
    }
}

/// All samples of one cell: the reference's and the challenger's, repetition by repetition.
struct Contest {
    cell: Cell,
    rivals: [Rival; 2],
    samples: [Vec<Sample>; 2],
}

impl Contest {
    fn names(&self) -> String {
        let [reference, challenger] = self.rivals;
        format!("{challenger}/{reference}")
    }

    /// The challenger divided by the reference of the same repetition: what both suffered cancels.
    fn ratio(&self, quantity: fn(&Sample) -> f64) -> Figure {
        let [reference, challenger] = &self.samples;
        let pairs = challenger.iter().zip(reference);
        Figure::of(pairs.map(|(challenger, reference)| quantity(challenger) / quantity(reference)))
    }

    /// Who goes first changes, so that neither always inherits the other's warm caches.
    fn repeat(&mut self, repetition: usize, window: Duration) -> Result<()> {
        for turn in [repetition % 2, (repetition + 1) % 2] {
            let sample = self.cell.measure(self.rivals[turn], window)?;
            eprint!(" {} {:.0}/s", self.rivals[turn], sample.rate);
            self.samples[turn].push(sample);
        }
        Ok(())
    }
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let machine = Machine::look(options.condition);
    options.condition.apply()?;
    let contests = measure(options)?;
    if options.json {
        println!("{}", report::json(&machine, &contests));
    } else {
        print!("{}", report::markdown(&machine, options, &contests));
    }
    Ok(())
}

fn measure(options: &Options) -> Result<Vec<Contest>> {
    let (rivals, repetitions) = (options.rivals(), options.repetitions());
    let start = |cell| Contest { cell, rivals, samples: Default::default() };
    let mut contests: Vec<Contest> = options.cells().into_iter().map(start).collect();
    for repetition in 0..repetitions {
        for contest in &mut contests {
            eprint!("repetition {} of {repetitions}, {}:", repetition + 1, contest.cell);
            contest.repeat(repetition, options.window())?;
            eprintln!();
        }
    }
    Ok(contests)
}
