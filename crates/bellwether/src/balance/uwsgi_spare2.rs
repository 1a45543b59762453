//! So many free handlers: uWSGI's cheaper algorithm `spare2`.

use std::time::Duration;

use super::pace::{self, Pace, Paced, Step};
use super::parameter::{MOST, Named, Parameter};
use super::{Balance, Decision, Reading};

/// Keeps `cheaper` free handlers, as uWSGI's cheaper algorithm `spare2` does.
///
/// Once a second: with fewer free ones (one that starts is free) it starts what is lacking, at
/// most `step`; after `idle` seconds with more it ends one. Source: `uwsgi_cheaper_algo_spare2`
/// in uWSGI's `core/master_checks.c`, where `step` is 0 unless set, so that it never grows; here
/// it is 1.
///
/// ```
/// use bellwether::balance::{Balance, Reading, UwsgiSpare2};
/// assert_eq!(UwsgiSpare2::default().decide(&Reading::default()).target, 2);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UwsgiSpare2 {
    /// Free handlers: `cheaper`, 2 unless set.
    pub cheaper: usize,
    /// Handlers at the start: `cheaper-initial`; `None`: as `cheaper`.
    pub initial: Option<usize>,
    /// The most handlers to start at once: `cheaper-step`, 1 unless set.
    pub step: usize,
    /// Seconds with too many free handlers before one ends: `cheaper-idle`, 10 unless set.
    pub idle: usize,
    idled: usize,
    pace: Pace,
}

impl Default for UwsgiSpare2 {
    fn default() -> Self {
        let pace = Pace::every(Duration::from_secs(1));
        Self { cheaper: 2, initial: None, step: 1, idle: 10, idled: 0, pace }
    }
}

impl Balance for UwsgiSpare2 {
    fn decide(&mut self, reading: &Reading) -> Decision {
        pace::decide(self, reading)
    }
}

impl Paced for UwsgiSpare2 {
    fn pace(&mut self) -> &mut Pace {
        &mut self.pace
    }

    fn begin(&self) -> usize {
        self.initial.unwrap_or(self.cheaper)
    }

    fn step(&mut self, reading: &Reading) -> Step {
        let free = reading.idle().saturating_add(reading.starting);
        let wanted = self.cheaper;
        if free <= wanted {
            self.idled = 0;
            let more = (wanted - free).min(self.step);
            return match more {
                0 => Step::Stay(format!("{free} free, as wanted")),
                _ => Step::Grow(more, format!("{free} free, fewer than {wanted}: {more} more")),
            };
        }
        self.idled += 1;
        if self.idled < self.idle {
            let idled = self.idled;
            return Step::Stay(format!("{free} free, more than {wanted}, for {idled} s"));
        }
        self.idled = 0;
        Step::Shrink(format!("{free} free, more than {wanted}, for {} s: one less", self.idle))
    }

    fn rests(&mut self, reading: &Reading) -> bool {
        // At the fewest allowed it counts in circles.
        let stuck = reading.idle() > self.cheaper && reading.alive() <= reading.min;
        let free = reading.idle().saturating_add(reading.starting);
        let lacks = free < self.cheaper && self.step > 0 && reading.room() > 0;
        stuck || (free <= self.cheaper && !lacks && self.idled == 0)
    }
}

impl Named for UwsgiSpare2 {
    const NAME: &'static str = "uwsgi-spare2";
    const ABOUT: &'static str = "CHEAPER free handlers, as uWSGI's spare2.";

    fn parameters(&mut self) -> Vec<Parameter<'_>> {
        vec![
            Parameter::count("cheaper", "free handlers", 1..=MOST, &mut self.cheaper),
            Parameter::maybe_count(
                "initial",
                "handlers at the start, as cheaper unless set",
                &mut self.initial,
            ),
            Parameter::count("step", "the most to start at once", 1..=MOST, &mut self.step),
            Parameter::count("idle", "seconds before one ends", 1..=86_400, &mut self.idle),
        ]
    }
}
