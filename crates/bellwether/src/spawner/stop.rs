//! How the server ends: gracefully, or at once.

use super::Spawner;
use crate::journal::{Entry, Kind};
use crate::pool::Pool;

impl Spawner {
    /// Begins a graceful stop.
    pub(super) fn stop(&mut self, told_by: &str) {
        if self.stopping {
            return;
        }
        self.stopping = true;
        tracing::info!("stopping, told by {told_by}");
        let announce_s = self.announce.as_secs_f64();
        self.tell(
            Entry::new(Kind::Stop, "operator", format!("told by {told_by}"))
                .with("announce_s", announce_s),
        );
        self.abandon_change();
        for pool in &mut self.pools {
            pool.stop(self.announce);
        }
        (0..self.pools.len()).for_each(|pool| self.turn(pool));
    }

    pub(super) fn end_at_once(&mut self, told_by: &str) {
        tracing::warn!("ending at once, told by {told_by}");
        self.doom(told_by);
    }

    /// Ends at once what was not to end at all.
    pub(super) fn doom(&mut self, told_by: &str) {
        self.stop(told_by);
        self.pools.iter_mut().for_each(Pool::doom);
    }

    pub(super) fn is_over(&self) -> bool {
        let rehearses = self.change.rehearsal.is_some();
        self.stopping && !rehearses && self.pools.iter().all(Pool::is_over)
    }

    pub(super) fn cut(&self) -> u64 {
        self.pools.iter().map(Pool::cut).sum()
    }
}
