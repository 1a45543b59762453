//! Whom to send away when there cannot be more handlers.

use std::time::Duration;

/// The wait from which on a request is to be shed, by the idea of controlled delay.
///
/// While nothing keeps the pool from growing nobody is shed. When something does, a short burst may
/// wait for ten times the allowed wait; once the buffer has not been empty for that long the queue
/// stands, so that waiting only makes everybody late, and all who waited longer than allowed are
/// shed. Source: K. Nichols, V. Jacobson, "Controlling queue delay", 2012, in the form of B. Maurer,
/// "Fail at scale", 2015, where the times are 5 ms and 100 ms.
///
/// ```
/// use std::time::Duration;
/// use bellwether::balance::Overload;
/// let allowed = Duration::from_millis(50);
/// let mut overload = Overload::default();
/// let mut shed = |ms, binds, depth| {
///     overload.shed_from(Duration::from_millis(ms), binds, depth, allowed)
/// };
/// assert_eq!(shed(0, true, 9), Some(Duration::from_millis(500)));
/// assert_eq!(shed(500, true, 9), Some(allowed));
/// assert_eq!(shed(510, false, 9), None);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Overload {
    /// Since when the buffer was never found empty.
    standing: Option<Duration>,
}

/// How much longer than allowed a burst may wait, and how long a queue stands before it is one.
pub(crate) const BURST: u32 = 10;

impl Overload {
    /// Returns the wait from which on requests are to be shed; `None`: nobody.
    ///
    /// `binds` says whether something keeps the pool from growing now: the decision has a
    /// [`limit`](super::Decision::limit), or the pool has the most handlers allowed. `depth` is the
    /// number of requests in the buffers; ask whenever it is known, `now` never runs backwards.
    pub fn shed_from(
        &mut self,
        now: Duration,
        binds: bool,
        depth: u32,
        allowed: Duration,
    ) -> Option<Duration> {
        let burst = allowed.saturating_mul(BURST);
        self.standing = self.standing.or(Some(now)).filter(|_| depth > 0);
        let stands = self.standing.is_some_and(|since| now.saturating_sub(since) >= burst);
        binds.then_some(if stands { allowed } else { burst })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// At which millisecond, whether a ceiling binds, how many wait: from which wait on to shed.
    fn check(rows: &[(u64, bool, u32, Option<u64>)]) {
        let mut overload = Overload::default();
        let allowed = Duration::from_millis(20);
        for &(ms, binds, depth, expected) in rows {
            let shed = overload.shed_from(Duration::from_millis(ms), binds, depth, allowed);
            assert_eq!(shed, expected.map(Duration::from_millis), "at {ms} ms of {rows:?}");
        }
    }

    #[test]
    fn a_burst_may_wait_and_a_standing_queue_may_not() {
        check(&[
            (0, true, 1, Some(200)),
            (199, true, 50, Some(200)),
            (200, true, 50, Some(20)),
            (900, true, 1, Some(20)),
            (901, true, 0, Some(200)),
            (902, true, 1, Some(200)),
            (1101, true, 1, Some(200)),
            (1102, true, 1, Some(20)),
        ]);
    }

    #[test]
    fn nobody_is_shed_while_there_can_be_more_handlers() {
        check(&[(0, false, 9, None), (5000, false, 9, None)]);
    }

    #[test]
    fn a_queue_that_stood_before_the_ceiling_was_reached_stands() {
        check(&[(0, false, 9, None), (300, true, 9, Some(20)), (301, false, 9, None)]);
    }

    #[test]
    fn absurd_times_are_no_error() {
        let mut overload = Overload::default();
        overload.shed_from(Duration::MAX, true, u32::MAX, Duration::MAX);
        let shed = overload.shed_from(Duration::ZERO, true, 1, Duration::MAX);
        assert_eq!(shed, Some(Duration::MAX));
    }
}
