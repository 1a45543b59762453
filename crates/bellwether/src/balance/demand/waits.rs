//! Who waits too long, as far as it shows from outside.

use std::collections::VecDeque;

/// Late requests by the numbers of those that came and those that wait.
///
/// The buffer is a queue: who waits now came last. If that is more than have come for as long as a
/// request may wait, the others are late. That is how late ones are known where the kernel does not tell
/// waits (Unix sockets).
#[derive(Clone, Debug, Default)]
pub(super) struct Waits {
    /// When and how many requests had come until then, for a little longer than one may wait.
    come: VecDeque<(f64, f64)>,
    /// Requests, counted from the first, up to which it is settled who is late.
    settled: f64,
}

impl Waits {
    /// Takes in the requests that came until now and those of them that still wait, and returns how
    /// many are late beyond those returned before.
    pub(super) fn observe(&mut self, now: f64, come: f64, waiting: f64, wait: f64) -> f64 {
        while self.come.get(1).is_some_and(|(time, _)| now - time > wait) {
            self.come.pop_front();
        }
        let apart = |(time, _): &(f64, f64)| now - time >= wait / 16.0;
        if self.come.back().is_none_or(apart) {
            self.come.push_back((now, come));
        }
        let overdue = |(time, _): &&(f64, f64)| now - time > wait;
        let due = self.come.front().filter(overdue).map_or(0.0, |(_, come)| *come);
        let late = (due - self.settled.max(come - waiting)).max(0.0);
        self.settled = self.settled.max(due);
        late
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_not_taken_in_time_is_late_once() {
        let mut waits = Waits::default();
        let mut check = |now, come, waiting, expected| {
            assert_eq!(waits.observe(now, come, waiting, 0.05), expected, "at {now}");
        };
        check(0.00, 3.0, 2.0, 0.0);
        check(0.04, 4.0, 3.0, 0.0);
        check(0.06, 4.0, 2.0, 1.0);
        check(0.08, 9.0, 7.0, 0.0);
        check(0.10, 9.0, 0.0, 0.0);
        check(0.90, 9.0, 0.0, 0.0);
    }
}
