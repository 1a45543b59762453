//! How long somebody is waited for who should keep moving.

use std::time::Duration;

use tokio::time::Instant;

use crate::server::LEAST_RATE;

/// A time for each wait, and one for all of them that grows with what comes of it.
///
/// The first alone would bear with a byte a minute, the second alone would cut whoever had a bad
/// moment after a good hour. As `RequestReadTimeout body=30,MinRate=500` of Apache's mod_reqtimeout,
/// with the waits of our own side left out.
#[derive(Clone, Debug)]
pub(super) struct Allowance {
    grace: Duration,
    /// All waits that are over.
    waited: Duration,
    /// Since when we wait now.
    since: Option<Instant>,
    bytes: u64,
}

impl Allowance {
    pub(super) const fn new(grace: Duration) -> Self {
        Self { grace, waited: Duration::ZERO, since: None, bytes: 0 }
    }

    /// We wait, now or already.
    pub(super) fn wait(&mut self, now: Instant) {
        self.since.get_or_insert(now);
    }

    pub(super) const fn waits(&self) -> bool {
        self.since.is_some()
    }

    /// So many bytes have moved; whether more are waited for is told by who asks.
    pub(super) fn moved(&mut self, now: Instant, bytes: usize) {
        let waited = self.since.take();
        self.waited += waited.map_or(Duration::ZERO, |since| now - since);
        self.bytes = self.bytes.saturating_add(bytes as u64);
    }

    /// Nobody waits, and what was is forgiven.
    pub(super) const fn forget(&mut self) {
        *self = Self::new(self.grace);
    }

    /// Returns when the patience of this wait is over; `None` when there is no wait, or no end.
    pub(super) fn over_at(&self) -> Option<Instant> {
        let earned = Duration::from_secs(self.bytes / u64::from(LEAST_RATE));
        let left = self.grace.saturating_add(earned).saturating_sub(self.waited);
        self.since?.checked_add(left.min(self.grace))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRACE: Duration = Duration::from_secs(30);

    /// When a client is given up that is waited for at once, and at each of these seconds brings so
    /// many bytes; `None` where it is given up before.
    fn over_after(moves: &[(u64, usize)]) -> Option<u64> {
        let start = Instant::now();
        let mut allowance = Allowance::new(GRACE);
        allowance.wait(start);
        for (second, bytes) in moves {
            let now = start + Duration::from_secs(*second);
            allowance.over_at().filter(|over| *over > now)?;
            allowance.moved(now, *bytes);
            allowance.wait(now);
        }
        allowance.over_at().map(|over| (over - start).as_secs())
    }

    #[test]
    fn who_brings_nothing_has_the_grace_and_who_trickles_has_it_once() {
        let check = |moves: &[(u64, usize)], expected: Option<u64>| {
            assert_eq!(over_after(moves), expected, "{moves:?}");
        };
        check(&[], Some(30));
        check(&[(29, 1)], Some(30));
        check(&[(10, 1), (20, 1)], Some(30));
        check(&[(10, 1), (30, 1)], None);
        check(&[(20, 5000)], Some(40));
        check(&[(10, 5000), (35, 5000)], Some(50));
        check(&[(1, 1_000_000)], Some(31));
        check(&[(29, 1_000_000), (58, 1), (87, 1)], Some(117));
    }

    #[test]
    fn only_waits_count() {
        let start = Instant::now();
        let mut allowance = Allowance::new(GRACE);
        assert_eq!(allowance.over_at(), None);
        for hour in 0..100 {
            let now = start + Duration::from_secs(3600 * hour);
            allowance.wait(now);
            allowance.moved(now + Duration::from_secs(1), 500);
            assert!(!allowance.waits());
        }
        let now = start + Duration::from_secs(1_000_000);
        allowance.wait(now);
        assert_eq!(allowance.over_at(), Some(now + GRACE));
    }

    #[test]
    fn what_was_can_be_forgiven_and_some_wait_for_ever() {
        let start = Instant::now();
        let mut allowance = Allowance::new(GRACE);
        allowance.wait(start);
        allowance.moved(start + Duration::from_secs(29), 0);
        allowance.forget();
        allowance.wait(start);
        assert_eq!(allowance.over_at(), Some(start + GRACE));
        let mut endless = Allowance::new(Duration::MAX);
        endless.wait(start);
        assert_eq!(endless.over_at(), None);
    }
}
