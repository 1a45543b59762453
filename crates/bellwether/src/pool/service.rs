//! What a service manager wants to know of a pool: is it ready, how long may it take, where is it.

use std::time::Duration;

use super::{Phase, Pool};
use crate::address::Listener;

impl Pool {
    /// Returns where it listens, and where it did before the change that is going on.
    pub(crate) fn opened(&self) -> impl Iterator<Item = &Listener> {
        self.listeners.iter().chain(&self.spare)
    }

    /// Tells whether as many handlers serve as there must be at least.
    pub(crate) fn has_its_minimum(&self) -> bool {
        self.ever_ready && self.serving() >= self.bounds.min.min(self.want)
    }

    /// Returns how many handlers there may be at most.
    pub(crate) const fn limit_of_handlers(&self) -> usize {
        self.bounds.max
    }

    /// Returns the longest time in which the next handler is ready and, of a new generation, has
    /// proven itself.
    pub(crate) fn longest_birth(&self) -> Duration {
        let times = self.rules.times;
        times.boot.saturating_add(times.last).saturating_add(self.rules.change.canary)
    }

    /// Returns how long a stop may take after its announcement.
    pub(crate) fn longest_end(&self) -> Duration {
        let times = self.rules.times;
        times.grace.saturating_add(times.last.saturating_mul(2))
    }

    /// Says in one line what it does.
    pub(crate) fn in_short(&self) -> String {
        match self.phase {
            Phase::Closing if self.is_over() => "drained".into(),
            Phase::Closing => match self.count(|slot| slot.state.has_process()) {
                1 => "1 handler finishes".into(),
                many => format!("{many} handlers finish"),
            },
            Phase::Serving | Phase::Announcing { .. } => {
                let addresses: Vec<_> = self.listeners.iter().map(Listener::address).collect();
                let (crew, at) = (self.crew(), addresses.join(", "));
                format!("{crew} at {at}; generation {}", self.serving_generation())
            }
        }
    }

    fn crew(&self) -> String {
        match (self.serving(), self.want) {
            (1, 0 | 1) => "1 handler".into(),
            (serving, want) if serving >= want => format!("{serving} handlers"),
            (serving, want) => format!("{serving} of {want} handlers"),
        }
    }
}
