//! By the length of the buffer: uWSGI's cheaper algorithm `backlog`.

use std::time::Duration;

use super::pace::{self, Pace, Paced, Step};
use super::parameter::{MOST, Named, Parameter};
use super::{Balance, Decision, Reading};

/// Starts handlers while many requests wait, as uWSGI's cheaper algorithm `backlog` does.
///
/// Once a second: with more than `overload` waiting requests it starts `step` handlers; with fewer
/// it ends one, down to `cheaper`. Source: `uwsgi_cheaper_algo_backlog` in uWSGI's
/// `core/master_checks.c`.
///
/// ```
/// use bellwether::balance::{Balance, Reading, UwsgiBacklog};
/// assert_eq!(UwsgiBacklog::default().decide(&Reading::default()).target, 1);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UwsgiBacklog {
    /// The fewest handlers: `cheaper`, 1 unless set.
    pub cheaper: usize,
    /// Handlers at the start: `cheaper-initial`; `None`: as `cheaper`.
    pub initial: Option<usize>,
    /// Handlers to start at once: `cheaper-step`, 1 unless set.
    pub step: usize,
    /// Waiting requests that are not too many yet: `cheaper-overload`, 3 unless set.
    pub overload: usize,
    pace: Pace,
}

impl Default for UwsgiBacklog {
    fn default() -> Self {
        let pace = Pace::every(Duration::from_secs(1));
        Self { cheaper: 1, initial: None, step: 1, overload: 3, pace }
    }
}

impl Balance for UwsgiBacklog {
    fn decide(&mut self, reading: &Reading) -> Decision {
        pace::decide(self, reading)
    }
}

impl Paced for UwsgiBacklog {
    fn pace(&mut self) -> &mut Pace {
        &mut self.pace
    }

    fn begin(&self) -> usize {
        self.initial.unwrap_or(self.cheaper)
    }

    fn step(&mut self, reading: &Reading) -> Step {
        let (waiting, most) = (reading.depth as usize, self.overload);
        if waiting > most {
            let more = self.step.max(1);
            return Step::Grow(more, format!("{waiting} wait, more than {most}: {more} more"));
        }
        if waiting < most && reading.alive() > self.cheaper {
            return Step::Shrink(format!("{waiting} wait, fewer than {most}: one less"));
        }
        Step::Stay(format!("{waiting} wait, {} handlers", reading.alive()))
    }
}

impl Named for UwsgiBacklog {
    const NAME: &'static str = "uwsgi-backlog";
    const ABOUT: &'static str =
        "STEP more while more than OVERLOAD requests wait, as uWSGI's backlog.";

    fn parameters(&mut self) -> Vec<Parameter<'_>> {
        vec![
            Parameter::count("cheaper", "the fewest handlers", 1..=MOST, &mut self.cheaper),
            Parameter::maybe_count(
                "initial",
                "handlers at the start, as cheaper unless set",
                &mut self.initial,
            ),
            Parameter::count("step", "handlers to start at once", 1..=MOST, &mut self.step),
            Parameter::count("overload", "waiting requests", 0..=MOST, &mut self.overload),
        ]
    }
}
