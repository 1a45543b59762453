//! Growing pauses between attempts, so that what fails does not fail in a loop.

use std::time::Duration;

/// An exponential back-off with jitter.
///
/// Failures within one pause count as one: a whole pool that fails together fails once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Backoff {
    first: Duration,
    longest: Duration,
    /// How many failures in a row cost no pause.
    free: u32,
    in_a_row: u32,
    until: Duration,
}

impl Backoff {
    /// Pauses from `first`, doubling, up to `longest`.
    const fn new(first: Duration, longest: Duration, free: u32) -> Self {
        Self { first, longest, free, in_a_row: 0, until: Duration::ZERO }
    }

    /// For handlers that never became ready: 100 ms up to 30 s.
    pub(crate) const fn boot() -> Self {
        Self::new(Duration::from_millis(100), Duration::from_secs(30), 0)
    }

    /// For handlers that had served: the first death costs no pause, a slot that keeps dying is
    /// filled at most four times a second.
    pub(crate) const fn crash() -> Self {
        Self::new(Duration::from_millis(5), Duration::from_millis(250), 1)
    }

    /// Counts a failure; `jitter` from 0 to 1 spreads the pause by up to a fifth either way.
    pub(crate) fn fail(&mut self, now: Duration, jitter: f64) -> Duration {
        if now >= self.until {
            let pause = match self.in_a_row.checked_sub(self.free) {
                None => Duration::ZERO,
                Some(k) => self.first.saturating_mul(1 << k.min(20)).min(self.longest),
            };
            self.in_a_row = self.in_a_row.saturating_add(1);
            self.until = now + pause.mul_f64(0.8 + 0.4 * jitter.clamp(0.0, 1.0));
        }
        self.until
    }

    /// All is well: the next failure is the first again.
    pub(crate) const fn reset(&mut self) {
        self.in_a_row = 0;
        self.until = Duration::ZERO;
    }

    /// Returns how many pauses there were in a row.
    pub(crate) const fn in_a_row(&self) -> u32 {
        self.in_a_row
    }

    /// Returns the end of the pause, if one is going on.
    pub(crate) fn pausing(&self, now: Duration) -> Option<Duration> {
        (self.until > now).then_some(self.until)
    }
}

/// Returns a number from 0 to 1 that differs between processes and calls.
pub(crate) fn jitter() -> f64 {
    use std::hash::{BuildHasher, RandomState};
    // The standard library seeds every RandomState from the system's randomness.
    let random = RandomState::new().hash_one(crate::sys::clock::now_ns());
    (random >> 11) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn pauses_double_and_end_at_the_longest() {
        let mut backoff = Backoff::boot();
        let mut now = Duration::from_secs(1);
        let pauses: Vec<_> = (0..10)
            .map(|_| {
                let until = backoff.fail(now, 0.5);
                let pause = until - now;
                now = until;
                pause.as_millis()
            })
            .collect();
        assert_eq!(&pauses[..4], [100, 200, 400, 800]);
        assert_eq!(pauses[9], 30_000);
    }

    #[test]
    fn failures_within_one_pause_count_once() {
        let mut backoff = Backoff::boot();
        let now = Duration::from_secs(1);
        let until = backoff.fail(now, 0.5);
        assert_eq!(backoff.fail(now, 0.5), until);
        assert_eq!(backoff.in_a_row(), 1);
    }

    #[test]
    fn the_first_crash_costs_no_pause() {
        let (mut backoff, now) = (Backoff::crash(), Duration::from_secs(1));
        assert_eq!(backoff.fail(now, 0.5), now);
        assert_eq!(backoff.fail(now, 0.5), now + Duration::from_millis(5));
    }

    proptest! {
        #[test]
        fn attempts_are_bounded_whatever_the_jitter(jitters in proptest::collection::vec(0.0..1.0, 64)) {
            let mut backoff = Backoff::crash();
            let mut now = Duration::from_secs(1);
            for jitter in &jitters {
                now = backoff.fail(now, *jitter);
            }
            // 64 failures, 7 of them on the way up to 250 ms less a fifth.
            prop_assert!(now > Duration::from_secs(1) + Duration::from_millis(57 * 200));
        }
    }
}
