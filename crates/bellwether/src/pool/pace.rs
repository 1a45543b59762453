//! How many requests a second are served, on average lately.

use std::time::Duration;

/// The time in which the rate of before is forgotten to a third.
const MEMORY: f64 = 2.0;

/// A rate, from a count that was looked at now and then.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pace {
    last: Option<(Duration, u64)>,
    per_second: f64,
}

impl Pace {
    /// Looks at the count; the time between two looks may be anything.
    pub(super) fn note(&mut self, now: Duration, count: u64) {
        let Some((then, before)) = self.last.replace((now, count)) else { return };
        let passed = now.saturating_sub(then).as_secs_f64();
        if passed <= 0.0 {
            self.last = Some((then, before));
            return;
        }
        let rate = count.saturating_sub(before) as f64 / passed;
        self.per_second += (1.0 - (-passed / MEMORY).exp()) * (rate - self.per_second);
    }

    pub(super) const fn per_second(&self) -> f64 {
        self.per_second
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_of_lately_counts() {
        let (mut pace, ms) = (Pace::default(), Duration::from_millis);
        pace.note(ms(0), 1_000_000);
        assert_eq!(pace.per_second(), 0.0, "what was before is nobody's rate");
        (1..=100).for_each(|i| pace.note(ms(100 * i), 1_000_000 + 50 * i));
        assert!((pace.per_second() - 500.0).abs() < 5.0, "{pace:?}");
        pace.note(ms(10_000), 1_005_000);
        assert!((pace.per_second() - 500.0).abs() < 5.0, "no time has passed: {pace:?}");
        pace.note(ms(60_000), 1_005_000);
        assert!(pace.per_second() < 1.0, "{pace:?}");
    }
}
