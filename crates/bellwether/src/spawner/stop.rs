//! How the server ends: gracefully, or at once.

use std::time::Duration;

use super::Spawner;
use crate::journal::{Entry, Kind};
use crate::pool::{Pool, end_strays};
use crate::sys::clock;

/// How long the end of what was left behind is waited for: it is ended by force, which takes a moment,
/// unless the kernel has it wait for something.
const LAST: Duration = Duration::from_secs(1);

impl Spawner {
    /// Begins a graceful stop.
    pub(super) fn stop(&mut self, told_by: &str) {
        if self.stopping.is_some() {
            return;
        }
        self.stopping = Some(clock::now());
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

    pub(super) fn is_over(&mut self) -> bool {
        let rehearses = self.change.rehearsal.is_some();
        let pools_are =
            self.stopping.is_some() && !rehearses && self.pools.iter().all(Pool::is_over);
        pools_are && !self.lingers() && !self.companion.ends()
    }

    /// Tells whether to wait for the end of what programs have left behind.
    fn lingers(&mut self) -> bool {
        let now = clock::now();
        let until = *self.lingers.get_or_insert_with(|| now.saturating_add(LAST));
        self.end_strays() && now < until
    }

    /// Ends what programs have left behind whose wardens were killed; tells whether there is any.
    pub(super) fn end_strays(&self) -> bool {
        // Of pools that a change has left over it is not known what they ran.
        let may_be = self.succeeds || self.pools.iter().any(Pool::runs_programs);
        may_be && end_strays(|pid| self.pools.iter().any(|pool| pool.owns(pid)))
    }

    pub(super) fn cut(&self) -> u64 {
        self.pools.iter().map(Pool::cut).sum()
    }
}
