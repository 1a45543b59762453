//! One free handler, with patience: uWSGI's cheaper algorithm `spare`.

use std::time::Duration;

use super::pace::{self, Pace, Paced, Step};
use super::parameter::{MOST, Named, Parameter};
use super::{Balance, Decision, Reading};

/// Starts handlers when none was free for some seconds, as uWSGI's cheaper algorithm `spare` does.
///
/// Once a second: when no handler was free (one that starts is) for `overload` seconds, it starts
/// `step`; while more than one is free, it ends one every `overload` seconds, down to `cheaper`.
/// Source: `uwsgi_cheaper_algo_spare` in uWSGI's `core/master_checks.c`.
///
/// ```
/// use bellwether::balance::{Balance, Reading, UwsgiSpare};
/// assert_eq!(UwsgiSpare::default().decide(&Reading::default()).target, 1);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UwsgiSpare {
    /// The fewest handlers: `cheaper`, 1 unless set.
    pub cheaper: usize,
    /// Handlers at the start: `cheaper-initial`; `None`: as `cheaper`.
    pub initial: Option<usize>,
    /// Handlers to start at once: `cheaper-step`, 1 unless set.
    pub step: usize,
    /// Seconds without a free handler before one is started: `cheaper-overload`, 3 unless set.
    pub overload: usize,
    overloaded: usize,
    idle: usize,
    pace: Pace,
}

impl Default for UwsgiSpare {
    fn default() -> Self {
        let pace = Pace::every(Duration::from_secs(1));
        Self { cheaper: 1, initial: None, step: 1, overload: 3, overloaded: 0, idle: 0, pace }
    }
}

impl Balance for UwsgiSpare {
    fn decide(&mut self, reading: &Reading) -> Decision {
        pace::decide(self, reading)
    }
}

impl Paced for UwsgiSpare {
    fn pace(&mut self) -> &mut Pace {
        &mut self.pace
    }

    fn begin(&self) -> usize {
        self.initial.unwrap_or(self.cheaper)
    }

    fn step(&mut self, reading: &Reading) -> Step {
        let free = reading.idle().saturating_add(reading.starting);
        let overload = self.overload.max(1);
        if free > 0 {
            self.overloaded = self.overloaded.saturating_sub(1);
        } else {
            self.overloaded = self.overloaded.saturating_add(1);
            self.idle = 0;
        }
        if self.overloaded >= overload {
            self.overloaded = 0;
            return Step::Grow(self.step.max(1), format!("nobody free for {overload} s"));
        }
        // Counted only where it leads to something: what was counted at the fewest handlers is
        // forgotten before there are more.
        if self.overloaded > 0 || free == 1 || reading.alive() <= self.cheaper {
            return Step::Stay(format!("{free} free, overloaded for {} s", self.overloaded));
        }
        self.idle = (self.idle + 1) % overload;
        match self.idle {
            0 => Step::Shrink(format!("{free} free for {overload} s: one less")),
            idle => Step::Stay(format!("{free} free for {idle} of {overload} s")),
        }
    }
}

impl Named for UwsgiSpare {
    const NAME: &'static str = "uwsgi-spare";
    const ABOUT: &'static str = "STEP more when nobody was free for OVERLOAD s, as uWSGI's spare.";

    fn parameters(&mut self) -> Vec<Parameter<'_>> {
        vec![
            Parameter::count("cheaper", "the fewest handlers", 1..=MOST, &mut self.cheaper),
            Parameter::maybe_count(
                "initial",
                "handlers at the start, as cheaper unless set",
                &mut self.initial,
            ),
            Parameter::count("step", "handlers to start at once", 1..=MOST, &mut self.step),
            Parameter::count(
                "overload",
                "seconds without a free handler",
                1..=86_400,
                &mut self.overload,
            ),
        ]
    }
}
