//! What one would pay who knows the future and lets nobody wait.
//!
//! The number of requests in service, as if nobody ever waited, is cut into levels: level k is
//! occupied while more than k requests are served. In the gap between two occupations a handler is
//! either kept, which costs the gap, or let go and made anew, which costs the time to make it
//! and its price. Knowing how long the gap will be, the cheaper of the two is chosen for each level by
//! itself, which is optimal where nobody may wait (Lu and Chen, "Simple and effective dynamic
//! provisioning for power-proportional data centers", arXiv:1112.0442). It is no lower bound for
//! rules that let some wait.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::outcome::Moment;
use super::{Regime, Workload};

/// What was paid, in handler-seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Bill {
    /// Seconds for which handlers were there, those in the making included.
    pub handler_seconds: f64,
    /// The same, and the price of every handler made.
    pub total: f64,
}

/// Returns the bill of one who knows the future.
#[must_use]
pub fn bill(workload: &Workload, regime: &Regime) -> Bill {
    let again = regime.spawn + regime.cost;
    let mut levels = Levels::default();
    let mut bill = Bill::default();
    for request in workload.requests() {
        let gap = levels.enter(request.at, request.at + request.service);
        let (kept, paid) = match gap {
            Some(gap) if gap < again => (gap, gap),
            _ => (regime.spawn, again),
        };
        bill.handler_seconds += request.service + kept;
        bill.total += request.service + paid;
    }
    bill
}

/// Since when each level is free, the lowest first.
#[derive(Debug, Default)]
struct Levels {
    ends: BinaryHeap<Reverse<Moment>>,
    free_since: Vec<f64>,
}

impl Levels {
    /// Takes the next level, and returns for how long it had been free; `None`: never used.
    fn enter(&mut self, at: f64, end: f64) -> Option<f64> {
        while let Some(Reverse(Moment(left))) = self.ends.peek().copied().filter(|it| it.0.0 <= at)
        {
            self.ends.pop();
            self.free_since[self.ends.len()] = left;
        }
        let level = self.ends.len();
        self.ends.push(Reverse(Moment(end)));
        let gap = self.free_since.get(level).map(|since| at - since);
        if gap.is_none() {
            self.free_since.push(at);
        }
        gap
    }
}

#[cfg(test)]
mod tests {
    use super::super::Request;
    use super::*;

    const REGIME: Regime = Regime { spawn: 1.0, cost: 9.0, wait: 0.05, late: 0.01 };

    #[track_caller]
    fn check(requests: &[(f64, f64)], handler_seconds: f64, total: f64) {
        let requests = requests.iter().map(|&(at, service)| Request { at, service }).collect();
        let found = bill(&Workload::new("w", requests), &REGIME);
        assert!((found.handler_seconds - handler_seconds).abs() < 1e-9, "{found:?}");
        assert!((found.total - total).abs() < 1e-9, "{found:?}");
    }

    #[test]
    fn a_handler_is_kept_over_a_short_gap_and_made_anew_after_a_long_one() {
        check(&[], 0.0, 0.0);
        check(&[(0.0, 2.0)], 3.0, 12.0);
        check(&[(0.0, 2.0), (6.0, 2.0)], 1.0 + 8.0, 10.0 + 8.0);
        check(&[(0.0, 2.0), (60.0, 2.0)], 2.0 * 3.0, 2.0 * 12.0);
    }

    #[test]
    fn requests_at_once_have_a_handler_each() {
        check(&[(0.0, 5.0), (1.0, 5.0)], 2.0 * 6.0, 2.0 * 15.0);
        check(&[(0.0, 5.0), (5.0, 5.0)], 11.0, 20.0);
    }

    #[test]
    fn the_level_that_was_free_last_is_taken_first() {
        // Two at once until 4; the upper level is free since 2, the lower since 4.
        check(&[(0.0, 4.0), (0.0, 2.0), (5.0, 1.0)], 2.0 + 6.0 + 1.0 + 1.0, 20.0 + 6.0 + 1.0 + 1.0);
    }
}
