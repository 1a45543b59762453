//! Growing pauses between attempts, so that what fails does not fail in a loop.

use std::time::Duration;

use crate::journal::{Entry, Kind};

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

/// A leaky bucket: so many a minute, and what was not used for up to ten seconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    interval: Duration,
    burst: Duration,
    /// When the bucket will be empty (the "theoretical arrival time" of the leaky bucket as a
    /// meter, ITU-T I.371).
    empty_at: Duration,
}

impl Budget {
    pub(crate) fn per_minute(number: u32) -> Self {
        let interval = Duration::from_secs(60) / number.max(1);
        Self { interval, burst: Duration::from_secs(10).max(interval), empty_at: Duration::ZERO }
    }

    /// Takes one out of the budget and returns when it may be spent.
    pub(crate) fn next(&mut self, now: Duration) -> Duration {
        let may = self.empty_at.saturating_sub(self.burst).max(now);
        self.empty_at = self.empty_at.max(now) + self.interval;
        may
    }
}

/// Tells when handlers die so often that somebody should know.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Alarm {
    meter: Option<Budget>,
    last: Duration,
    rings: bool,
}

impl Alarm {
    /// How long nobody must have died until the alarm is over.
    const QUIET: Duration = Duration::from_secs(10);

    /// Counts a death; returns what to tell if it is one too many.
    ///
    /// Too many are more than 60 + 10 times the root of `max` a minute, over ten seconds.
    pub(crate) fn crashed(&mut self, now: Duration, max: usize) -> Option<Entry> {
        let limit = 60.0 + 10.0 * (max as f64).sqrt();
        // The number is small and positive: at most 60 + 10 * 64.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let meter = self.meter.get_or_insert_with(|| Budget::per_minute(limit as u32));
        let too_many = meter.next(now) > now;
        self.last = now;
        if !too_many || std::mem::replace(&mut self.rings, true) {
            return None;
        }
        let reason = "handlers die again and again; those that live serve on, the others are \
                      replaced within the budget";
        Some(Entry::new(Kind::CrashLoop, "crash_loop", reason).with("a_minute", limit))
    }

    /// Returns what to tell when it is over.
    pub(crate) fn calm(&mut self, now: Duration) -> Option<Entry> {
        if self.due().is_none_or(|at| at > now) {
            return None;
        }
        self.rings = false;
        let reason = "no handler has died for 10 s: the crash loop is over";
        Some(Entry::new(Kind::CrashLoop, "crash_loop", reason))
    }

    /// Returns when it may be over.
    pub(crate) fn due(&self) -> Option<Duration> {
        self.rings.then(|| self.last + Self::QUIET)
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

    #[test]
    fn a_budget_keeps_ten_seconds_worth_and_no_more() {
        let mut budget = Budget::per_minute(60);
        let now = Duration::from_secs(100);
        let spent_at_once = (0..30).take_while(|_| budget.next(now) == now).count();
        assert_eq!(spent_at_once, 11);
        let later = now + Duration::from_secs(3600);
        assert_eq!((0..30).take_while(|_| budget.next(later) == later).count(), 11);
    }

    #[test]
    fn the_alarm_rings_once_and_is_over_after_ten_quiet_seconds() {
        let mut alarm = Alarm::default();
        let mut now = Duration::from_secs(100);
        let mut rung = 0;
        for _ in 0..200 {
            now += Duration::from_millis(20);
            rung += usize::from(alarm.crashed(now, 4).is_some());
        }
        assert_eq!(rung, 1);
        assert!(alarm.calm(now + Duration::from_secs(9)).is_none());
        assert!(alarm.calm(now + Duration::from_secs(10)).is_some());
        assert!(alarm.due().is_none());
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
