//! The connections that one runtime holds, and how many more it may.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use rustix::event::{EventfdFlags, eventfd};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Notify;

use super::guest::End;
use super::post::Post;
use super::requests::Requests;
use crate::sys::clock;

/// How many accepted connections may wait for the runtime of their own handler.
const IN_HAND: usize = 4;

/// How a pool of asynchronous handlers counts and bounds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    /// How many connections one thread serves at once.
    pub(crate) limit: usize,
    /// Whether a connection is one request; otherwise the protocol counts its requests itself.
    pub(crate) connection_is_request: bool,
    /// Whether the handler itself sends connections away; otherwise they are just closed.
    pub(crate) sheds: bool,
    /// Whether requests are labelled with what they ask for.
    pub(crate) labels: bool,
    /// How many threads the runtime has.
    pub(crate) workers: usize,
}

impl Terms {
    /// Makes the runtime of one pair.
    pub(super) fn runtime(self) -> io::Result<Runtime> {
        let mut builder = match self.workers {
            1 => Builder::new_current_thread(),
            _ => Builder::new_multi_thread(),
        };
        builder.worker_threads(self.workers).enable_all().build()
    }
}

/// The connections that one runtime holds, as it and its gate know of them.
pub(super) struct Room {
    pub(super) post: Arc<Post>,
    pub(super) thread: usize,
    pub(super) terms: Terms,
    /// Where requests have deadlines or labels.
    pub(super) requests: Option<Arc<Requests>>,
    open: AtomicUsize,
    /// Of those, the ones whose clients were told to take another connection.
    #[cfg(feature = "http")]
    pub(super) partings: super::parting::Partings,
    /// Connections handed over that the runtime has not taken yet.
    handed_over: AtomicUsize,
    gate_waits: AtomicBool,
    freed: OwnedFd,
    left: Notify,
}

impl std::fmt::Debug for Room {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Room").field("open", &self.open).finish_non_exhaustive()
    }
}

impl Room {
    pub(super) fn new(post: &Arc<Post>, thread: usize, terms: Terms) -> io::Result<Self> {
        Ok(Self {
            post: Arc::clone(post),
            thread,
            terms,
            requests: Requests::of_thread(post, thread, terms.labels),
            open: AtomicUsize::new(0),
            #[cfg(feature = "http")]
            partings: super::parting::Partings::default(),
            handed_over: AtomicUsize::new(0),
            gate_waits: AtomicBool::new(false),
            freed: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?,
            left: Notify::new(),
        })
    }

    /// The gate has let a connection in.
    pub(super) fn enter(&self) {
        self.open.fetch_add(1, Ordering::SeqCst);
        self.handed_over.fetch_add(1, Ordering::SeqCst);
        self.post.bell.opened();
        self.post.telemetry.line(self.thread).opened();
    }

    /// A connection has ended that was served since then.
    pub(super) fn leave(&self, end: End, since: Duration) {
        let line = self.post.telemetry.line(self.thread);
        if self.terms.connection_is_request && end != End::Shed {
            line.served(clock::now().saturating_sub(since));
            line.requested();
        }
        line.closed();
        match end {
            End::Served | End::Shed => line.completed(),
            End::Aborted => line.aborted(),
        }
        self.post.bell.closed();
        self.open.fetch_sub(1, Ordering::SeqCst);
        self.ring();
        self.left.notify_one();
    }

    /// The runtime has taken a connection.
    pub(super) fn received(&self) {
        self.handed_over.fetch_sub(1, Ordering::SeqCst);
        self.ring();
    }

    /// The gate waits for room from now on, or not any more.
    pub(super) fn gate_waits(&self, waits: bool) {
        self.gate_waits.store(waits, Ordering::SeqCst);
    }

    /// What a gate that has said that it waits is woken by.
    pub(super) const fn freed(&self) -> &OwnedFd {
        &self.freed
    }

    /// Makes it still again.
    pub(super) fn hear_freed(&self) {
        let _ = rustix::io::read(&self.freed, &mut [0; 8]);
    }

    /// Wakes a gate that waits for room.
    ///
    /// The gate says that it waits and then looks; we make room and then look whether it waits.
    /// Sequential consistency makes one of the two see the other.
    fn ring(&self) {
        if self.gate_waits.load(Ordering::SeqCst) && self.gate_waits.swap(false, Ordering::SeqCst) {
            let _ = rustix::io::write(&self.freed, &1u64.to_ne_bytes());
        }
    }

    /// Waits until all have left.
    pub(super) async fn empty(&self) {
        while self.open() > 0 {
            self.left.notified().await;
        }
    }

    pub(super) fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }

    pub(super) fn is_full(&self) -> bool {
        // A runtime that does not take what it is given is stuck: leave the rest to others.
        self.open() >= self.terms.limit || self.handed_over.load(Ordering::SeqCst) >= IN_HAND
    }

    /// Tells whether it holds clearly more than the average of all.
    pub(super) fn is_over_its_share(&self) -> bool {
        self.post.is_over_its_share(self.open())
    }
}
