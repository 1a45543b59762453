//! Hard deadlines: a handler whose oldest request takes too long is ended, and what it was doing
//! is told.

use std::time::Duration;

use super::Pool;
use super::life::{Event, State};
use super::slot::Slot;
use super::watch::TICK;
use crate::handler::refusal::OncePerSecond;
use crate::journal::{Cause, Entry, Kind};
use crate::proc::evidence::Evidence;

static OVERDUE_LINES: OncePerSecond = OncePerSecond::new();

/// A look that comes later than this was overslept: the process was stopped, or its machine.
const LATE: Duration = Duration::from_millis(250);

/// The oldest unfinished request of a handler, as far as the spawner has watched it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Term {
    /// Since when it waits or is served, as the handler says.
    since: Duration,
    first_seen: Duration,
    /// How much of that time the spawner overslept, which does not count.
    overslept: Duration,
}

impl Term {
    /// Goes on with the request seen before, or begins with another.
    fn watch(before: Option<Self>, since: Duration, now: Duration, overslept: Duration) -> Self {
        match before {
            Some(term) if term.since == since => {
                Self { overslept: term.overslept.saturating_add(overslept), ..term }
            }
            _ => {
                let overslept = overslept.min(now.saturating_sub(since));
                Self { since, first_seen: now, overslept }
            }
        }
    }

    /// Returns when the request will have taken too long.
    ///
    /// One that had waited in the buffer for as long as it may take is not yet too late when it is
    /// seen for the first time: its handler gets a moment for it all the same.
    fn ends(&self, limit: Duration) -> Duration {
        let counted = self.since.saturating_add(limit).saturating_add(self.overslept);
        counted.max(self.first_seen.saturating_add(limit.min(TICK)))
    }
}

/// Returns how much of the time until `now` was overslept by one who should have looked at `due`.
pub(super) fn overslept(due: Option<Duration>, now: Duration) -> Duration {
    let late = due.map_or(Duration::ZERO, |due| now.saturating_sub(due));
    if late > LATE { late } else { Duration::ZERO }
}

impl Pool {
    /// Watches the oldest request of every handler, and ends those whose request takes too long.
    pub(super) fn watch_deadlines(&mut self, now: Duration, overslept: Duration) {
        let Some(limit) = self.rules.deadlines.hard else { return };
        for index in 0..self.slots.len() {
            let slot = &mut self.slots[index];
            let Some(occupant) = &mut slot.occupant else { continue };
            let watch = |since| Term::watch(occupant.term, since, now, overslept);
            occupant.term = occupant.seen.oldest.map(watch);
            let late = occupant.term.is_some_and(|term| term.ends(limit) <= now);
            if late && slot.may_be_overdue() {
                self.end_overdue(index, now, limit);
            }
        }
    }

    /// Ends a handler after a look at what it does.
    fn end_overdue(&mut self, index: usize, now: Duration, limit: Duration) {
        let slot = &mut self.slots[index];
        slot.cause = Some(Cause::Deadline);
        let (Some(occupant), Some(pid)) = (&slot.occupant, slot.pid()) else { return };
        let elapsed = occupant.seen.age_of_oldest(now).unwrap_or_default().as_secs_f64();
        let label = occupant.telemetry.label_of_oldest().filter(|label| !label.is_empty());
        let request = label.map_or_else(|| "a request".into(), |label| format!("`{label}`"));
        let reason = format!("{request} took too long: {}", Evidence::of(pid));
        if OVERDUE_LINES.allows() {
            let (slot, pid) = (slot.number, pid.as_raw_pid());
            tracing::warn!(slot, pid, elapsed_s = elapsed, "ending a handler: {reason}");
        }
        let entry = Entry::new(Kind::Deadline, "hard_deadline", reason);
        let entry = entry.with("elapsed_s", elapsed).with("limit_s", limit.as_secs_f64());
        self.tell_of(index, entry);
        self.apply(index, Event::Overdue);
    }

    /// Tells whether any request is under way that has a hard deadline.
    pub(super) fn has_deadlines(&self) -> bool {
        self.terms().next().is_some()
    }

    /// Returns when the next handler will be overdue, if its request lasts so long.
    pub(super) fn next_deadline(&self) -> Option<Duration> {
        let limit = self.rules.deadlines.hard?;
        self.terms().map(|term| term.ends(limit)).min()
    }

    fn terms(&self) -> impl Iterator<Item = &Term> {
        let waiting = self.slots.iter().filter(|slot| slot.may_be_overdue());
        waiting.filter_map(|slot| slot.occupant.as_ref()?.term.as_ref())
    }

    /// Returns when to look for requests that begin while the spawner sleeps.
    ///
    /// A handler that takes a request at once wakes nobody else, so a pool with a hard deadline is
    /// looked at often enough to see each request long before its time is up.
    pub(super) fn deadline_round(&self, now: Duration) -> Option<Duration> {
        let limit = self.rules.deadlines.hard?;
        Some(now.saturating_add((limit / 2).max(TICK)))
    }
}

impl Slot {
    /// Tells whether a request that takes too long changes anything here.
    fn may_be_overdue(&self) -> bool {
        // Until it has a name there is nobody to signal.
        matches!(self.state, State::Serving | State::Leaving | State::Ending)
            && self.pid().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(2);

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_request_has_its_time_from_its_arrival() {
        let term = Term::watch(None, ms(10_000), ms(10_050), Duration::ZERO);
        assert_eq!(term.ends(LIMIT), ms(12_000));
        let term = Term::watch(Some(term), ms(10_000), ms(11_950), Duration::ZERO);
        assert_eq!(term.ends(LIMIT), ms(12_000));
    }

    #[test]
    fn another_request_has_its_own_time() {
        let one = Term::watch(None, ms(10_000), ms(10_050), ms(0));
        let other = Term::watch(Some(one), ms(11_000), ms(11_050), ms(0));
        assert_eq!(other.ends(LIMIT), ms(13_000));
    }

    #[test]
    fn what_comes_out_of_the_buffer_too_late_has_a_moment() {
        let term = Term::watch(None, ms(10_000), ms(15_000), ms(0));
        assert_eq!(term.ends(LIMIT), ms(15_000) + TICK);
        assert_eq!(term.ends(ms(1)), ms(15_001), "but no longer than its deadline");
    }

    #[test]
    fn time_that_the_spawner_overslept_does_not_count() {
        let term = Term::watch(None, ms(10_000), ms(10_100), ms(0));
        let term = Term::watch(Some(term), ms(10_000), ms(13_200), ms(3_000));
        assert_eq!(term.ends(LIMIT), ms(15_000));
        let term = Term::watch(Some(term), ms(10_000), ms(14_500), ms(1_200));
        assert_eq!(term.ends(LIMIT), ms(16_200), "twice, and both count");
        let term = Term::watch(None, ms(13_000), ms(13_200), ms(3_000));
        assert_eq!(term.ends(LIMIT), ms(15_200), "no more than it can have lost by it");
    }

    #[test]
    fn only_a_look_that_comes_very_late_was_overslept() {
        let check = |due, expected| assert_eq!(overslept(due, ms(10_000)), expected, "{due:?}");
        check(None, ms(0));
        check(Some(ms(10_100)), ms(0));
        check(Some(ms(9_750)), ms(0));
        check(Some(ms(9_700)), ms(300));
        check(Some(ms(7_000)), ms(3_000));
    }

    #[test]
    fn no_moment_a_handler_may_name_overflows() {
        for since in [Duration::ZERO, Duration::MAX, ms(1)] {
            let term = Term::watch(None, since, ms(10_000), Duration::MAX);
            let term = Term::watch(Some(term), since, ms(10_100), Duration::MAX);
            assert!(term.ends(Duration::MAX) >= term.ends(ms(1)));
        }
    }
}
