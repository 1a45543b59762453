//! The settings of a [`Builder`] about asynchronous handlers and HTTP.

use super::Builder;
use super::builder::check_range;
use crate::error::Result;
use crate::scoreboard::telemetry::MAX_THREADS;

/// More connections than a process may have descriptors (`fs.nr_open`, unless it was raised).
const MOST_CONNECTIONS: usize = 1 << 20;

/// How asynchronous handlers serve.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asynchronous {
    pub(super) connections: usize,
    pub(super) runtime_threads: usize,
    #[cfg_attr(not(feature = "http"), allow(dead_code))]
    pub(super) label_requests: bool,
}

impl Default for Asynchronous {
    fn default() -> Self {
        Self { connections: 1024, runtime_threads: 1, label_requests: false }
    }
}

impl Asynchronous {
    pub(super) fn check(&self) -> Result<()> {
        check_range("connections", self.connections, MOST_CONNECTIONS)?;
        check_range("runtime threads", self.runtime_threads, MAX_THREADS)
    }
}

impl Builder {
    /// Sets how many threads the runtime behind each gate has, 1 to 1024; default 1.
    ///
    /// With 1 it is tokio's current-thread runtime: one thread alone accepts a connection and touches
    /// what it needs, and more processors are used by more handlers. More make it tokio's
    /// multi-thread runtime, beside which another thread accepts: right where few connections need
    /// many processors, or where what they share is too large for one copy a process. Behind each
    /// of [`threads`](Self::threads) is one such runtime, so that is best left at 1 then.
    #[must_use]
    pub const fn runtime_threads(mut self, threads: usize) -> Self {
        self.asynchronous.runtime_threads = threads;
        self
    }

    /// Sets how many connections a thread of a handler holds at once over HTTP, 1 to 1,048,576;
    /// default 1024.
    ///
    /// Idle ones and those that have become something else (WebSockets) count. A thread that has so
    /// many accepts no more: newcomers go to other threads and handlers, and where all are full they
    /// wait in the buffer. A connection of HTTP/2 carries many requests at once; who wants to bound
    /// those puts a layer around the service, as tower's `ConcurrencyLimit` is one.
    /// [`Server::run_async`](crate::Server::run_async) is told its limit itself.
    #[cfg(feature = "http")]
    #[must_use]
    pub const fn connections(mut self, most: usize) -> Self {
        self.asynchronous.connections = most;
        self
    }

    /// Sets whether requests over HTTP are labelled with their method and path; default no.
    ///
    /// A label is shown by `status` as long as its request is the oldest of its handler, and by the
    /// journal and the log when the handler is ended for it (`hard_deadline`). Paths can hold what
    /// is secret (tokens, names), and whoever may ask for the status reads them; the query is not
    /// shown. What a service says itself by [`Deadline::label`](crate::Deadline::label) is
    /// shown either way.
    #[cfg(feature = "http")]
    #[must_use]
    pub const fn label_requests(mut self, label: bool) -> Self {
        self.asynchronous.label_requests = label;
        self
    }
}
