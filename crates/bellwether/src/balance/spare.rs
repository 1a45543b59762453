//! Between so few and so many idle handlers: the rule of Apache's prefork.

use std::time::Duration;

use super::pace::{self, Pace, Paced, Step};
use super::parameter::{MOST, Named, Parameter};
use super::{Balance, Decision, Reading};

/// Keeps between `min` and `max` idle handlers, as Apache's prefork does.
///
/// Once a second: with fewer than `min` idle ones (those that start count as idle) it starts 1
/// handler, then 2, 4, 8, 16 and 32 while that lasts; with more than `max` it ends one.
/// Source: `perform_idle_server_maintenance` in Apache httpd's `server/mpm/prefork/prefork.c`.
///
/// ```
/// use bellwether::balance::{Balance, Reading, Spare};
/// let mut spare = Spare::default();
/// spare.start = 8;
/// assert_eq!(spare.decide(&Reading::default()).target, 8);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spare {
    /// The fewest idle handlers: `MinSpareServers`, 5 unless set.
    pub min: usize,
    /// The most idle handlers, at least one more than `min`: `MaxSpareServers`, 10 unless set.
    pub max: usize,
    /// Handlers at the start: `StartServers`, 5 unless set.
    pub start: usize,
    /// How many to start next time.
    rate: usize,
    pace: Pace,
}

/// `MAX_SPAWN_RATE`.
const FASTEST: usize = 32;

impl Default for Spare {
    fn default() -> Self {
        Self { min: 5, max: 10, start: 5, rate: 1, pace: Pace::every(Duration::from_secs(1)) }
    }
}

impl Balance for Spare {
    fn decide(&mut self, reading: &Reading) -> Decision {
        pace::decide(self, reading)
    }
}

impl Paced for Spare {
    fn pace(&mut self) -> &mut Pace {
        &mut self.pace
    }

    fn begin(&self) -> usize {
        self.start
    }

    fn step(&mut self, reading: &Reading) -> Step {
        let (min, max) = (self.min, self.max.max(self.min.saturating_add(1)));
        let idle = reading.idle().saturating_add(reading.starting);
        let free = self.rate.min(reading.room());
        if idle < min && free > 0 {
            // The whole rate, not what is lacking.
            self.rate = (self.rate * 2).min(FASTEST);
            return Step::Grow(free, format!("{idle} idle, fewer than {min}: {free} more"));
        }
        self.rate = 1;
        match idle {
            _ if idle < min => Step::Stay(format!("{idle} idle, fewer than {min}, but no room")),
            _ if idle > max => Step::Shrink(format!("{idle} idle, more than {max}: one less")),
            _ => Step::Stay(format!("{idle} idle, from {min} to {max}: enough")),
        }
    }
}

impl Named for Spare {
    const NAME: &'static str = "spare";
    const ABOUT: &'static str = "Between MIN and MAX idle handlers, as Apache's prefork.";

    fn parameters(&mut self) -> Vec<Parameter<'_>> {
        vec![
            Parameter::count("min", "the fewest idle handlers", 1..=MOST, &mut self.min),
            Parameter::count("max", "the most idle handlers", 1..=MOST, &mut self.max),
            Parameter::count("start", "handlers at the start", 0..=MOST, &mut self.start),
        ]
    }

    fn contradiction(&self) -> Option<String> {
        let (min, max) = (self.min, self.max);
        (min >= max).then(|| format!("max={max} is not more than min={min}"))
    }
}
