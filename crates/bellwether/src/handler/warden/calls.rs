//! The calls of a program that is adopted: what it has made of the addresses.

use std::collections::BTreeSet;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use rustix::fs::OFlags;

use super::{Stage, Warden};
use crate::address::Listener;
use crate::program::adopt::{Adopter, Seen};
use crate::program::evidence::Evidence;

/// How long after it is ready a program may open the rest of its addresses unremarked.
const LATE: Duration = Duration::from_secs(3);

/// What answers the calls of a program, and what those were.
#[derive(Debug)]
pub(super) struct Calls {
    /// Nobody calls any more when it is gone.
    adopter: Option<Adopter>,
    /// The listeners that are in the place of its sockets.
    opened: BTreeSet<usize>,
    /// Those of IPv6 that are in the place of a socket of IPv4.
    mixed: BTreeSet<usize>,
    /// When it is looked whether it has opened all addresses.
    look_at: Option<Duration>,
}

impl Calls {
    pub(super) fn new(adopter: Adopter) -> Self {
        let (opened, mixed) = (BTreeSet::new(), BTreeSet::new());
        Self { adopter: Some(adopter), opened, mixed, look_at: None }
    }

    /// Tells whether the program has any of our addresses.
    pub(super) fn has_any(&self) -> bool {
        !self.opened.is_empty()
    }

    /// What is readable when the program calls.
    pub(super) fn source(&self) -> Option<BorrowedFd<'_>> {
        self.adopter.as_ref().map(AsFd::as_fd)
    }

    /// The program has become ready: soon all addresses should be open.
    pub(super) fn look_back(&mut self, now: Duration) {
        self.look_at = Some(now.saturating_add(LATE));
    }

    /// Returns how long it is until a look back.
    pub(super) fn patience(&self, now: Duration) -> Option<Duration> {
        self.look_at.map(|at| at.saturating_sub(now))
    }

    fn note(&mut self, seen: &Seen) {
        match seen {
            Seen::Adopted { listener, mixed, .. } => {
                self.opened.insert(*listener);
                if *mixed {
                    self.mixed.insert(*listener);
                }
            }
            Seen::Listening { listener, .. } => drop(self.opened.insert(*listener)),
            Seen::Over => self.adopter = None,
            _ => {}
        }
    }

    /// What its owner should know of the addresses, in words.
    fn remarks(&self, listeners: &[Listener]) -> Vec<String> {
        let all = listeners.iter().enumerate();
        let remark = |(i, listener): (usize, &Listener)| {
            let address = listener.address();
            if !self.opened.contains(&i) {
                return Some(format!(
                    "the program has not opened {address}: nobody is served there; is it in its \
                     configuration?"
                ));
            }
            self.mixed.contains(&i).then(|| {
                format!(
                    "the program opened a socket of IPv4 and has {address} in its place: it may read \
                     the addresses of its clients wrong; name an address of IPv4, as in 0.0.0.0:PORT"
                )
            })
        };
        all.filter_map(remark).collect()
    }
}

/// What is to be said of an address that is none of ours.
fn elsewhere(address: &str) -> String {
    format!(
        "it opens {address}, which is none of its addresses here; name that one (--listen), or tell the \
         program ours (PORT does)"
    )
}

impl Warden<'_> {
    /// Answers the calls that the program has made to open an address of its own.
    pub(super) fn answer_calls(&mut self) {
        let Some(Calls { adopter: Some(adopter), .. }) = &self.calls else { return };
        for seen in adopter.attend(&self.post.listeners) {
            self.calls.iter_mut().for_each(|it| it.note(&seen));
            match seen {
                Seen::Adopted { listener, nonblocking: true, .. } => self.do_not_block(listener),
                Seen::Listening { .. } if self.sees() => self.become_ready(Evidence::Listen),
                Seen::Elsewhere { address, .. } => {
                    self.explain(elsewhere(&address));
                }
                Seen::Failed { why } => self.explain(why),
                Seen::Adopted { .. }
                | Seen::Listening { .. }
                | Seen::Spared { .. }
                | Seen::Muted
                | Seen::Over => {}
            }
        }
    }

    /// Its own socket was so, and one of ours is in its place.
    fn do_not_block(&self, listener: usize) {
        let Some(listener) = self.post.listeners.get(listener) else { return };
        if let Ok(flags) = rustix::fs::fcntl_getfl(listener) {
            let _ = rustix::fs::fcntl_setfl(listener, flags | OFlags::NONBLOCK);
        }
    }

    /// Says what is odd about the addresses, once: of the first handler.
    pub(super) fn mind_the_addresses(&mut self, now: Duration) {
        let is_due = |it: &Calls| it.look_at.is_some_and(|at| at <= now);
        let Some(calls) = self.calls.as_mut().filter(|it| is_due(it)) else { return };
        calls.look_at = None;
        if self.stage == Stage::Serving && self.post.seat.slot == 0 {
            let remarks = calls.remarks(&self.post.listeners);
            remarks.iter().for_each(|remark| tracing::warn!("{remark}"));
        }
    }
}
