//! Between so few and so many idle handlers: the rule of php-fpm's `pm = dynamic`.

use std::time::Duration;

use super::pace::{self, Pace, Paced, Step};
use super::parameter::{MOST, Named, Parameter};
use super::{Balance, Decision, Reading};

/// Keeps between `min` and `max` idle handlers, as php-fpm does with `pm = dynamic`.
///
/// Once a second: with fewer than `min` idle ones (one that starts is not idle) it starts what is
/// lacking, at most 1 handler, then 2, 4 and so on up to `rate` while that lasts; with more than
/// `max` it ends one. Source: `fpm_pctl_perform_idle_server_maintenance` in php-src's
/// `sapi/fpm/fpm/fpm_process_ctl.c`; the defaults are those of the `www.conf` that comes with it.
///
/// ```
/// use bellwether::balance::{Balance, FpmDynamic, Reading};
/// let mut rule = FpmDynamic::default();
/// (rule.min, rule.max) = (5, 35);
/// assert_eq!(rule.decide(&Reading::default()).target, 20); // halfway
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FpmDynamic {
    /// The fewest idle handlers: `pm.min_spare_servers`, 1 unless set.
    pub min: usize,
    /// The most idle handlers: `pm.max_spare_servers`, 3 unless set.
    pub max: usize,
    /// Handlers at the start: `pm.start_servers`; `None`: halfway between `min` and `max`.
    pub start: Option<usize>,
    /// The most handlers to start at once: `pm.max_spawn_rate`, 32 unless set.
    pub rate: usize,
    /// How many to start next time.
    next: usize,
    pace: Pace,
}

impl Default for FpmDynamic {
    fn default() -> Self {
        let pace = Pace::every(Duration::from_secs(1));
        Self { min: 1, max: 3, start: None, rate: 32, next: 1, pace }
    }
}

impl Balance for FpmDynamic {
    fn decide(&mut self, reading: &Reading) -> Decision {
        pace::decide(self, reading)
    }
}

impl Paced for FpmDynamic {
    fn pace(&mut self) -> &mut Pace {
        &mut self.pace
    }

    fn begin(&self) -> usize {
        self.start.unwrap_or_else(|| self.min + self.max.saturating_sub(self.min) / 2)
    }

    fn step(&mut self, reading: &Reading) -> Step {
        let (idle, min, max) = (reading.idle(), self.min, self.max);
        let free = self.next.min(min.saturating_sub(idle)).min(reading.room());
        if idle <= max && free > 0 {
            if self.next < self.rate {
                self.next = self.next.saturating_mul(2);
            }
            return Step::Grow(free, format!("{idle} idle, fewer than {min}: {free} more"));
        }
        self.next = 1;
        match idle {
            _ if idle > max => Step::Shrink(format!("{idle} idle, more than {max}: one less")),
            _ if idle < min => Step::Stay(format!("{idle} idle, fewer than {min}, but no room")),
            _ => Step::Stay(format!("{idle} idle, from {min} to {max}: enough")),
        }
    }
}

impl Named for FpmDynamic {
    const NAME: &'static str = "fpm-dynamic";
    const ABOUT: &'static str = "Between MIN and MAX idle handlers, as php-fpm's pm = dynamic.";

    fn parameters(&mut self) -> Vec<Parameter<'_>> {
        vec![
            Parameter::count("min", "the fewest idle handlers", 1..=MOST, &mut self.min),
            Parameter::count("max", "the most idle handlers", 1..=MOST, &mut self.max),
            Parameter::maybe_count(
                "start",
                "handlers at the start, halfway unless set",
                &mut self.start,
            ),
            Parameter::count("rate", "the most to start at once", 1..=MOST, &mut self.rate),
        ]
    }

    fn contradiction(&self) -> Option<String> {
        (self.min > self.max).then(|| format!("min={} is more than max={}", self.min, self.max))
    }
}
