//! A copy of a telemetry page, after the check.

use std::time::Duration;

use super::histogram::Histogram;
use super::telemetry::WAIT_BUCKETS;

/// What a handler says about itself, checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Snapshot {
    /// Threads that wait.
    pub(crate) idle: usize,
    /// Threads that serve.
    pub(crate) busy: usize,
    pub(crate) wakeups: u64,
    pub(crate) wins: u64,
    pub(crate) losses: u64,
    pub(crate) completed: u64,
    pub(crate) aborted: u64,
    pub(crate) requests: u64,
    /// Connections accepted and not yet ended.
    pub(crate) open: u64,
    pub(crate) accept_errors: u64,
    /// Of the wins, those that had waited longer than they should have.
    pub(crate) late: u64,
    /// Of the late ones, those that were not served, but sent away.
    pub(crate) shed: u64,
    /// Since when (time since boot) the oldest unfinished request waits or is served; never in the
    /// future, and known only where requests have deadlines.
    pub(crate) oldest: Option<Duration>,
    /// Since when the thread serves that has served for longest; never in the future.
    pub(crate) busy_since: Option<Duration>,
    /// From the fork to the first accepted connection.
    pub(crate) first_accept: Option<Duration>,
    pub(crate) waits: [u64; WAIT_BUCKETS],
    /// How long requests were served.
    pub(crate) served: Histogram,
    /// Whether the page contradicts itself, so that nothing of it can be believed.
    pub(crate) corrupt: bool,
}

/// Beyond any count a handler can reach in a life (10^6 a second for 35 years).
pub(super) const BELIEVABLE: u64 = 1 << 50;

impl Snapshot {
    pub(super) fn is_consistent(&self) -> bool {
        let small = self.wakeups < BELIEVABLE
            && self.requests < BELIEVABLE
            && self.accept_errors < BELIEVABLE
            && self.waits.iter().all(|&count| count <= self.wakeups)
            && self.served.counts.iter().all(|&count| count < BELIEVABLE);
        !self.corrupt
            && small
            && (self.oldest.is_none() || self.wins > 0)
            && self.completed.saturating_add(self.aborted) <= self.wins
            && self.wins.saturating_add(self.losses) <= self.wakeups
            && self.late <= self.wins
            && self.shed <= self.late
    }

    /// Returns how long the oldest unfinished request has waited and been served; 0 if the
    /// handler's word for it is absurd.
    pub(crate) fn age_of_oldest(&self, now: Duration) -> Option<Duration> {
        self.oldest.map(|since| now.saturating_sub(since))
    }

    /// Tells whether counters ran backwards since an earlier snapshot of the same handler.
    pub(crate) const fn contradicts(&self, earlier: &Self) -> bool {
        self.wins < earlier.wins
            || self.wakeups < earlier.wakeups
            || self.losses < earlier.losses
            || self.late < earlier.late
            || self.shed < earlier.shed
    }
}
