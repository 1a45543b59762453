//! More time for programs that ask for it (EXTEND_TIMEOUT_USEC of sd_notify(3)), within bounds.

use std::time::Duration;

use super::Pool;
use super::life::State;
use crate::sys::clock;

/// How many times as long as it was meant to something may take in all.
const TIMES: u32 = 10;

impl Pool {
    /// Gives a program that is to become ready, or to end, the time that it asks for.
    pub(super) fn grants_more(&mut self, index: usize) -> bool {
        let slot = &mut self.slots[index];
        let may_ask = matches!(slot.state, State::Starting | State::Leaving);
        let occupant = slot.occupant.as_ref().filter(|it| it.foreign && may_ask);
        let patience = slot.state.patience(&self.rules.times);
        let (Some(occupant), Some(patience)) = (occupant, patience) else { return false };
        let (asked, now) = (occupant.telemetry.asked_until(), clock::now());
        let most = *slot.most.get_or_insert_with(|| now.saturating_add(patience * (TIMES - 1)));
        let Some(until) = extended(asked, now, patience, most) else { return false };
        let (slot, more_s) = (slot.number, (until - now).as_secs_f64());
        tracing::info!(slot, more_s, "a program asked for more time");
        self.slots[index].until = Some(until);
        true
    }
}

/// Until when: as was asked, but at once for no longer than it was meant to, and in all for `most`.
fn extended(
    asked: Duration,
    now: Duration,
    patience: Duration,
    most: Duration,
) -> Option<Duration> {
    let until = asked.min(now.saturating_add(patience)).min(most);
    (until > now).then_some(until)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_time_is_bounded_at_once_and_in_all() {
        let check = |asked, now, expected: Option<u64>| {
            let seconds = Duration::from_secs;
            let until = extended(seconds(asked), seconds(now), seconds(10), seconds(100));
            assert_eq!(until, expected.map(seconds), "{asked} at {now}");
        };
        check(0, 10, None);
        check(10, 10, None);
        check(13, 10, Some(13));
        check(1000, 10, Some(20));
        check(1000, 95, Some(100));
        check(1000, 100, None);
    }
}
