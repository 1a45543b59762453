//! So many spare handlers, started by events: the rule of NGINX Unit.

use std::cmp::Reverse;
use std::time::Duration;

use super::parameter::{MOST, Named, Parameter};
use super::recent::Recent;
use super::{Balance, Decision, Reading};

/// Keeps `spare` idle handlers and ends others that idle, as NGINX Unit does.
///
/// Whenever it is asked: while there are more requests than handlers, or fewer than `spare` idle
/// ones, those that start included, it starts some, but so that never more than `spare` (at least
/// one) start at a time. Beyond `spare`, a handler ends that was idle for `idle`. Source:
/// `nxt_router_app_can_start`, `nxt_router_app_need_start` and `nxt_router_adjust_idle_timer` in
/// Unit's `src/nxt_router.c`. Unit has a timer for each handler; here so many have idled for so
/// long as were idle at any moment of it, which is the same where requests go to those that were
/// busy last, and does not depend on who gets them.
///
/// ```
/// use bellwether::balance::{Balance, Reading, Unit};
/// let mut unit = Unit::default();
/// unit.spare = 2;
/// assert_eq!(unit.decide(&Reading::default()).target, 2);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unit {
    /// Idle handlers to keep: `processes.spare`, 0 unless set.
    pub spare: usize,
    /// How long a handler beyond them may be idle: `processes.idle_timeout`, 15 s unless set.
    pub idle: Duration,
    /// Of the idle handlers, the fewest.
    fewest: Recent<Reverse<usize>>,
}

impl Default for Unit {
    fn default() -> Self {
        Self { spare: 0, idle: Duration::from_secs(15), fewest: Recent::new() }
    }
}

impl Balance for Unit {
    fn decide(&mut self, reading: &Reading) -> Decision {
        if self.fewest.is_empty() {
            // For how long they have idled is not known.
            self.fewest.push(reading.now, self.idle, Reverse(0));
        }
        let (alive, idle) = (reading.alive(), reading.idle());
        let Reverse(fewest) = self.fewest.push(reading.now, self.idle, Reverse(idle));
        let more = self.lacking(reading).min(self.startable(reading));
        let less = fewest.saturating_sub(self.spare).min(alive.saturating_sub(reading.min));
        let (target, what) = match (more, less) {
            (0, 0) => (alive, String::from("enough")),
            (0, _) => (alive - less, format!("{less} idle for {:?}: {less} less", self.idle)),
            _ => (alive.saturating_add(more), format!("{more} more")),
        };
        let demand = reading.wanted();
        let why = format!("unit: {idle} idle of {alive}, {demand} wanted: {what}");
        let again = self.again(reading);
        Decision { again, ..Decision::new(target, why) }
    }
}

impl Unit {
    /// How many are lacking.
    fn lacking(&self, reading: &Reading) -> usize {
        let for_requests = reading.wanted().saturating_sub(reading.alive());
        let idle = reading.idle().saturating_add(reading.starting);
        for_requests.max(self.spare.saturating_sub(idle))
    }

    /// How many may be started now.
    fn startable(&self, reading: &Reading) -> usize {
        self.spare.max(1).saturating_sub(reading.starting).min(reading.room())
    }

    /// When the next one has idled for so long.
    fn again(&self, reading: &Reading) -> Option<Duration> {
        let can_end = reading.idle() > self.spare && reading.alive() > reading.min;
        self.fewest.next_fall(self.idle).filter(|_| can_end)
    }
}

impl Named for Unit {
    const NAME: &'static str = "unit";
    const ABOUT: &'static str = "SPARE idle handlers, others end when they idle, as NGINX Unit.";

    fn parameters(&mut self) -> Vec<Parameter<'_>> {
        vec![
            Parameter::count("spare", "idle handlers to keep", 0..=MOST, &mut self.spare),
            Parameter::time("idle", "how long others may be idle", &mut self.idle),
        ]
    }
}
