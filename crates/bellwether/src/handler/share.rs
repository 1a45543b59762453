//! A handler's fair share of its pool's connections, for handlers that hold many at once.
//!
//! Who has room for many wakes first every time, and would collect all keep-alive connections.

use std::time::Duration;

use super::post::Post;

/// How far above the average a thread may be before it leaves newcomers to others.
const SLACK: u64 = 4;

/// How long a handler above its fair share leaves newcomers to others, before it takes one all
/// the same: the others may be stuck.
pub(super) const COURTESY: Duration = Duration::from_millis(5);

/// How long it then takes whatever comes.
pub(super) const RUDENESS: Duration = Duration::from_millis(250);

impl Post {
    /// Tells whether so many connections of one thread are clearly more than the average of all.
    pub(super) fn is_over_its_share(&self, open: usize) -> bool {
        open as u64 > self.average() + SLACK
    }

    /// Tells whether they are so many more that it is worth a new connection to change that.
    #[cfg(feature = "http")]
    pub(super) fn is_far_over_its_share(&self, open: usize) -> bool {
        let average = self.average();
        open as u64 > average + average / 2 + SLACK
    }

    fn average(&self) -> u64 {
        self.bell.open() / (self.control.handlers() * self.seat.threads as u64)
    }
}
