//! How a pool ends: announced, closed to newcomers, drained, or at once.

use std::time::Duration;

use super::Pool;
use super::life::Event;
use super::template::Template;
use crate::address::Listener;
use crate::journal::{Cause, Entry, Kind};
use crate::sys::clock;

/// What a pool does on the whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// It serves.
    Serving,
    /// It serves, and says that it will not for long.
    Announcing {
        /// Until when newcomers are let in.
        until: Duration,
    },
    /// It lets nobody in and finishes what it has.
    Closing,
}

impl Pool {
    pub(crate) const fn phase(&self) -> Phase {
        self.phase
    }

    /// Begins a graceful stop: after the announcement no newcomers, then everybody finishes.
    pub(crate) fn stop(&mut self, announce: Duration) {
        match self.phase {
            Phase::Serving if !announce.is_zero() => {
                let until = clock::now().saturating_add(announce);
                self.phase = Phase::Announcing { until };
                self.tell(
                    Entry::new(Kind::Stop, "announce", "newcomers are still served")
                        .with("announce_s", announce.as_secs_f64()),
                );
            }
            Phase::Serving => self.close(),
            Phase::Announcing { .. } if announce.is_zero() => self.close(),
            Phase::Announcing { .. } | Phase::Closing => {}
        }
    }

    /// Stops, or goes on, making handlers.
    pub(crate) fn hold(&mut self, held: bool) {
        self.held = held;
        if held {
            // The next program cannot write the page that the handlers of this one read.
            self.page.shed_above(None);
        }
    }

    /// Keeps what is there until the change is done that leaves the pool out.
    pub(crate) const fn retire(&mut self) {
        self.retiring = true;
    }

    /// Tells whether nothing is left of a pool that the configuration does not know any more.
    pub(crate) fn has_retired(&self) -> bool {
        self.retiring && self.is_over()
    }

    /// Lets nobody in any more; everybody empties the buffers, finishes and leaves.
    pub(super) fn close(&mut self) {
        if self.phase == Phase::Closing {
            return;
        }
        let alive = self.count(|slot| slot.state.has_process());
        let grace = self.rules.times.grace;
        tracing::info!(pool = self.name, handlers = alive, grace_s = grace.as_secs(), "stopping");
        self.phase = Phase::Closing;
        self.page.shed_above(None);
        self.listeners.iter().for_each(Listener::close_door);
        self.dismiss_templates();
        self.tell(
            Entry::new(Kind::Stop, "grace", "newcomers are refused, handlers finish and leave")
                .with("handlers", alive as f64)
                .with("grace_s", grace.as_secs_f64()),
        );
    }

    /// Ends everything at once.
    pub(crate) fn doom(&mut self) {
        self.close();
        self.doomed = true;
        for index in 0..self.slots.len() {
            self.slots[index].cause.get_or_insert(Cause::Stop);
            self.apply(index, Event::Doom);
        }
        self.templates.iter_mut().for_each(Template::kill);
    }

    /// Tells whether nothing is left of the pool after a stop.
    pub(crate) fn is_over(&self) -> bool {
        self.phase == Phase::Closing
            && self.templates.is_empty()
            && !self.slots.iter().any(|slot| slot.state.has_process())
    }

    /// Connections that were cut off because their time was up.
    pub(crate) const fn cut(&self) -> u64 {
        self.cut
    }
}
