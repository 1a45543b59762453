//! What a rule may know about a pool.

use std::time::Duration;

/// What a rule may know about a pool at one moment.
///
/// Counts that grow (`accepted`, `late`, the times in [`Resources`]) begin anywhere; only their
/// differences mean something. Make one with `Reading::default()` and set what matters.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Reading {
    /// Time since an arbitrary fixed moment; never runs backwards.
    pub now: Duration,
    /// What has happened that a decision is asked for.
    pub occasion: Occasion,
    /// Handlers that are ready.
    pub handlers: usize,
    /// Handlers that were started and are not ready yet.
    pub starting: usize,
    /// Threads a handler has, at least 1.
    pub threads: usize,
    /// Threads that serve a request, over all handlers.
    ///
    /// Of handlers that serve many connections on one thread: how many such threads would be full
    /// with the processor time that they want.
    pub busy: f64,
    /// Requests that wait in the buffers.
    ///
    /// Of handlers that serve many connections on one thread: how many threads could hold them.
    pub depth: u32,
    /// Requests taken out of the buffers since the server started, shed ones included.
    pub accepted: u64,
    /// Those of them that had waited longer than the [`Slo`](super::Slo) allows, or were shed.
    pub late: u64,
    /// The fewest handlers allowed.
    pub min: usize,
    /// The most handlers allowed.
    pub max: usize,
    /// From the order for a handler until it is ready, as measured.
    pub spawn_time: Duration,
    /// For how long one idle handler could be kept for what it costs to make another.
    pub spawn_cost: Duration,
    /// What the machine has, and what handlers take of it.
    pub resources: Resources,
}

/// Why a decision is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Occasion {
    /// Time has passed: ten times a second while requests come, every two milliseconds while some
    /// wait and more handlers are possible, and when a decision said so ([`Decision::again`]).
    ///
    /// [`Decision::again`]: super::Decision::again
    Tick,
    /// A handler has taken the last free thread, or a request has come where there is no handler.
    Doorbell,
    /// A handler has become ready.
    Ready,
    /// A handler has ended.
    Ended,
}

/// What the machine has for a pool, and what its handlers take of it, as far as it is known.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Resources {
    /// Processors that the pool may use at once; 0 when that is not known.
    pub processors: f64,
    /// Processor time that the handlers have used, the dead included.
    pub processor_time: Duration,
    /// Time for which threads of handlers could have run and waited for a processor.
    pub run_delay: Duration,
    /// Memory that one more handler takes, in bytes.
    pub handler_memory: Option<u64>,
    /// Memory that handlers may still take, in bytes.
    pub free_memory: Option<u64>,
    /// Percent of the last ten seconds in which somebody waited for memory, 0 to 100.
    pub memory_pressure: f64,
    /// Percent of the last ten seconds in which everybody did, 0 to 100.
    pub memory_stall: f64,
}

impl Reading {
    /// Returns the handlers that are ready or on their way.
    #[must_use]
    pub const fn alive(&self) -> usize {
        self.handlers.saturating_add(self.starting)
    }

    /// Returns the requests that are served or wait: the demand of this moment, in threads.
    #[must_use]
    pub fn demand(&self) -> f64 {
        self.busy + f64::from(self.depth)
    }

    /// Returns how many ready handlers serve nothing.
    ///
    /// Where handlers have several threads, those that would be idle if the busy threads were
    /// packed into as few handlers as possible.
    #[must_use]
    pub fn idle(&self) -> usize {
        self.handlers.saturating_sub(whole(self.busy / self.threads.max(1) as f64))
    }
}

impl Reading {
    /// Returns the demand in handlers, rounded up.
    pub(super) fn wanted(&self) -> usize {
        whole(sane(self.demand()) / self.threads.max(1) as f64)
    }

    /// Returns how many more handlers are allowed.
    pub(super) const fn room(&self) -> usize {
        self.max.saturating_sub(self.alive())
    }

    /// Brings a number of handlers between the fewest and the most allowed.
    pub(super) fn within(&self, handlers: usize) -> usize {
        handlers.max(self.min).min(self.max)
    }
}

/// Turns whatever a float may be into something to calculate with: 0 to 10^12.
pub(super) fn sane(value: f64) -> f64 {
    // Nothing is greater than what is no number, nor the other way round.
    if value > 0.0 { value.min(1e12) } else { 0.0 }
}

/// Rounds up to a whole number of handlers; what is no number is none.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // `as` saturates
pub(super) fn whole(handlers: f64) -> usize {
    // A hair above a whole number is that number, not the next.
    (handlers - 1e-9).ceil().max(0.0) as usize
}

impl Default for Reading {
    fn default() -> Self {
        Self {
            now: Duration::ZERO,
            occasion: Occasion::Tick,
            handlers: 0,
            starting: 0,
            threads: 1,
            busy: 0.0,
            depth: 0,
            accepted: 0,
            late: 0,
            min: 0,
            max: usize::MAX,
            spawn_time: Duration::from_millis(5),
            spawn_cost: Duration::from_secs(1),
            resources: Resources::default(),
        }
    }
}

impl Default for Resources {
    fn default() -> Self {
        Self {
            processors: 0.0,
            processor_time: Duration::ZERO,
            run_delay: Duration::ZERO,
            handler_memory: None,
            free_memory: None,
            memory_pressure: 0.0,
            memory_stall: 0.0,
        }
    }
}
