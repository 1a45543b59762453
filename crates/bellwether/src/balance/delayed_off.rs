//! On when a request finds all busy, off after a time: the rule DELAYEDOFF.

use std::time::Duration;

use super::parameter::{Named, Parameter};
use super::recent::Recent;
use super::{Balance, Decision, Reading};

/// Starts a handler for each request that finds all busy, and ends it when it idled for so long.
///
/// The number of handlers is the greatest number of requests, served or waiting, of the last
/// `idle`. Source: A. Gandhi, V. Gupta, M. Harchol-Balter, M. A. Kozuch, "Optimality analysis of
/// energy-performance trade-off for server farm management", 2010. There each server has a timer
/// and requests go to the server that was busy last; counted like this the rule does the same, and
/// does not depend on who gets the requests.
///
/// ```
/// use bellwether::balance::{Balance, DelayedOff, Reading};
/// let mut reading = Reading::default();
/// (reading.busy, reading.depth) = (2.0, 3);
/// assert_eq!(DelayedOff::default().decide(&reading).target, 5);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DelayedOff {
    /// How long a handler may be idle; `None`: as long as idling costs less than making it again,
    /// `spawn_cost + spawn_time` of the [`Reading`].
    pub idle: Option<Duration>,
    most: Recent<usize>,
}

impl Default for DelayedOff {
    fn default() -> Self {
        Self { idle: None, most: Recent::new() }
    }
}

impl Balance for DelayedOff {
    fn decide(&mut self, reading: &Reading) -> Decision {
        let worth = reading.spawn_cost.saturating_add(reading.spawn_time);
        let span = self.idle.unwrap_or(worth);
        if self.most.is_empty() {
            // For how long they have idled is not known.
            self.most.push(reading.now, span, reading.alive());
        }
        let wanted = reading.wanted();
        let target = reading.within(self.most.push(reading.now, span, wanted));
        let why = format!("{}: {wanted} wanted, {target} at most for {span:?}", Self::NAME);
        let again = self.most.next_fall(span).filter(|_| target > reading.min);
        Decision { again, ..Decision::new(target, why) }
    }
}

impl Named for DelayedOff {
    const NAME: &'static str = "delayed-off";
    const ABOUT: &'static str = "One more when a request finds all busy, less when idle for IDLE.";

    fn parameters(&mut self) -> Vec<Parameter<'_>> {
        vec![Parameter::maybe_time(
            "idle",
            "how long a handler may be idle, as long as that is cheaper than a new one unless set",
            &mut self.idle,
        )]
    }
}
