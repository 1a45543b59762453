//! Rules that decide at a pace of their own, like servers that look at their workers every second.

use std::time::Duration;

use super::parameter::Named;
use super::{Decision, Reading};

/// A rule that changes its mind only at moments of its own.
pub(super) trait Paced: Named + Clone + PartialEq {
    /// Its moments, and what it said last.
    fn pace(&mut self) -> &mut Pace;

    /// How many handlers it starts with.
    fn begin(&self) -> usize;

    /// What it does at one of its moments.
    fn step(&mut self, reading: &Reading) -> Step;

    /// Whether its next step would change nothing, neither the number nor the rule, if nothing
    /// happens until then.
    fn rests(&mut self, reading: &Reading) -> bool {
        let target = self.pace().target;
        let mut next = self.clone();
        let step = next.step(reading);
        step.target(target, reading) == target && next == *self
    }
}

/// What a rule does at one of its moments, with the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Stay(String),
    /// So many more than there are.
    Grow(usize, String),
    /// One idle handler less than there are.
    Shrink(String),
}

/// The moments of a rule: every so often from its first decision on; and what it said last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pace {
    period: Duration,
    next: Option<Duration>,
    target: usize,
    why: String,
    /// It changed the number at its last moment.
    moved: bool,
    rests: bool,
}

/// Decides for such a rule: between its moments it repeats itself.
pub(super) fn decide<R: Paced>(rule: &mut R, reading: &Reading) -> Decision {
    if rule.pace().next.is_none() {
        let start = rule.begin();
        rule.pace().begin(start, reading);
    } else if rule.pace().is_due(reading.now) {
        let step = rule.step(reading);
        rule.pace().follow(step, reading);
    }
    let rests = !rule.pace().moved && rule.rests(reading);
    rule.pace().rest(rests);
    rule.pace().decision(R::NAME)
}

impl Pace {
    pub(super) const fn every(period: Duration) -> Self {
        Self { period, next: None, target: 0, why: String::new(), moved: false, rests: false }
    }

    /// Starts the clock.
    pub(super) fn begin(&mut self, start: usize, reading: &Reading) {
        self.next = Some(reading.now.saturating_add(self.period));
        // A pool that is there already, as after a reload, is taken as it is.
        self.target = reading.within(start.max(reading.alive()));
        self.why = format!("starts with {}", self.target);
        self.moved = true;
    }

    /// Returns whether one of its moments has come; of several that were missed the last counts.
    ///
    /// Moments that a resting rule slept through would have changed nothing and do not count, so
    /// that it does not act sooner than a server that looks every second. It is not asleep while
    /// it is asked ten times a second.
    pub(super) fn is_due(&mut self, now: Duration) -> bool {
        let next = self.next.unwrap_or(now);
        let Some(late) = now.checked_sub(next) else { return false };
        let beats = late.as_nanos() / self.period.as_nanos().max(1);
        let ahead = self.period.saturating_mul(u32::try_from(beats + 1).unwrap_or(u32::MAX));
        self.next = Some(next.saturating_add(ahead).max(now.saturating_add(self.period / 1000)));
        let phase = now.saturating_sub(next.saturating_add(ahead.saturating_sub(self.period)));
        !self.rests || phase <= self.period / 10
    }

    /// Returns its next moment.
    pub(super) const fn next(&self) -> Option<Duration> {
        self.next
    }

    /// Returns whether it rested when it was asked last.
    pub(super) const fn is_resting(&self) -> bool {
        self.rests
    }

    /// Says whether nothing can change before something happens.
    pub(super) const fn rest(&mut self, rests: bool) {
        self.rests = rests;
    }

    fn follow(&mut self, step: Step, reading: &Reading) {
        let target = step.target(self.target, reading);
        self.moved = target != self.target;
        self.target = target;
        let (Step::Stay(why) | Step::Grow(_, why) | Step::Shrink(why)) = step;
        self.why = why;
    }

    fn decision(&self, name: &str) -> Decision {
        let decision = Decision::new(self.target, format!("{name}: {}", self.why));
        match self.next {
            Some(next) if !self.rests => decision.until(next),
            _ => decision,
        }
    }
}

impl Step {
    /// Returns the number of handlers that the step leads to.
    fn target(&self, before: usize, reading: &Reading) -> usize {
        let alive = reading.alive();
        match self {
            Self::Stay(_) => before,
            Self::Grow(more, _) => alive.saturating_add(*more).min(reading.max),
            // Only an idle one can go, and not below the fewest allowed.
            Self::Shrink(_) if alive <= reading.min || reading.idle() == 0 => before,
            Self::Shrink(_) => before.min(alive - 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_moment_is_due_once_and_keeps_its_beat() {
        let mut pace = Pace::every(SECOND);
        pace.begin(1, &Reading::default());
        let mut check = |ms: u64, due: bool, next: u64| {
            assert_eq!(pace.is_due(Duration::from_millis(ms)), due, "at {ms} ms");
            assert_eq!(pace.next(), Some(Duration::from_millis(next)), "at {ms} ms");
        };
        check(0, false, 1000);
        check(999, false, 1000);
        check(1040, true, 2000);
        check(1041, false, 2000);
        check(2000, true, 3000);
        check(7600, true, 8000);
    }

    #[test]
    fn a_rule_that_rested_does_not_catch_up() {
        let mut pace = Pace::every(SECOND);
        pace.begin(1, &Reading::default());
        pace.rest(true);
        for (ms, due) in [(1050, true), (9300, false), (10_000, true), (10_900, false)] {
            assert_eq!(pace.is_due(Duration::from_millis(ms)), due, "at {ms} ms");
        }
    }

    #[test]
    fn the_end_of_time_is_no_error() {
        let mut pace = Pace::every(SECOND);
        pace.begin(1, &Reading { now: Duration::MAX, ..Reading::default() });
        pace.is_due(Duration::MAX);
        assert_eq!(pace.next(), Some(Duration::MAX));
    }
}
