//! When a relay waits for newcomers, and when it leaves them to others.

use std::sync::Arc;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::SocketFlags;

use crate::handler::post::{Post, ROPE};
use crate::handler::refusal::{OncePerSecond, Pauses, Refusal};
use crate::handler::share::{COURTESY, RUDENESS};
use crate::notification::Waiter;

/// After so many losses in a row it is looked whether the listener still listens.
const SUSPICIOUS: u32 = 64;

static SHORTAGE: OncePerSecond = OncePerSecond::new();

/// What a look into a buffer came to.
#[derive(Debug)]
pub(super) enum Came {
    Somebody(std::os::fd::OwnedFd),
    Nobody,
    /// The listener is broken.
    Broken,
}

/// How a relay stands to the listeners.
pub(super) struct Door {
    post: Arc<Post>,
    /// Whether it waits at the listeners.
    pub(super) is_open: bool,
    /// Until when it leaves newcomers to others.
    stays_out: Option<Stay>,
    /// Until when it takes more than its fair share, because others do not take theirs.
    rude_until: Duration,
    pauses: Pauses,
    losses_in_a_row: u32,
}

/// For how long newcomers are left to others, and whether out of courtesy.
#[derive(Clone, Copy, Debug)]
struct Stay {
    until: Duration,
    is_courtesy: bool,
}

impl Door {
    pub(super) fn new(post: Arc<Post>) -> Self {
        Self {
            post,
            is_open: false,
            stays_out: None,
            rude_until: Duration::ZERO,
            pauses: Pauses::default(),
            losses_in_a_row: 0,
        }
    }

    /// Begins to wait at the listeners or leaves them to others, as it should be now.
    ///
    /// `open` connections are carried; `has_room` tells whether another could be.
    pub(super) fn mind(
        &mut self,
        waiter: &Waiter,
        (open, has_room): (usize, bool),
        now: Duration,
    ) -> std::io::Result<()> {
        if let Some(stay) = self.stays_out.filter(|stay| stay.until <= now) {
            self.stays_out = None;
            if stay.is_courtesy && self.post.requests_wait() {
                // Nobody took them: the others are stuck, frozen or gone.
                self.rude_until = now + RUDENESS;
            }
        }
        if self.stays_out.is_none()
            && has_room
            && self.post.is_over_its_share(open)
            && now >= self.rude_until
        {
            self.stays_out = Some(Stay { until: now + COURTESY, is_courtesy: true });
        }
        self.set(waiter, has_room && self.stays_out.is_none())
    }

    fn set(&mut self, waiter: &Waiter, open: bool) -> std::io::Result<()> {
        if open == self.is_open {
            return Ok(());
        }
        self.is_open = open;
        if open { self.post.join(waiter) } else { self.post.step_out(waiter) }
    }

    /// Leaves what comes to others for good.
    pub(super) fn close(&mut self, waiter: &Waiter) -> std::io::Result<()> {
        self.set(waiter, false)
    }

    /// Returns when it is to be looked at again, if not before.
    pub(super) fn until(&self) -> Option<Duration> {
        self.stays_out.map(|stay| stay.until)
    }

    /// Looks once into a buffer.
    pub(super) fn accept(&mut self, listener: usize, now: Duration) -> Came {
        let Some(listener) = self.post.listeners.get(listener) else { return Came::Nobody };
        match listener.accept(SocketFlags::NONBLOCK) {
            Ok(client) => {
                self.losses_in_a_row = 0;
                Came::Somebody(client)
            }
            Err(Errno::AGAIN) => {
                self.losses_in_a_row += 1;
                let is_suspicious = self.losses_in_a_row.is_multiple_of(SUSPICIOUS);
                // A Unix listener that was shut down wakes for ever and never has anybody.
                if is_suspicious && listener.is_shut_down() { Came::Broken } else { Came::Nobody }
            }
            Err(errno) => self.refused(errno, now),
        }
    }

    fn refused(&mut self, errno: Errno, now: Duration) -> Came {
        let refusal = Refusal::of(errno);
        if refusal == Refusal::Leave {
            return Came::Broken;
        }
        if refusal == Refusal::Pause && SHORTAGE.allows() {
            tracing::warn!(slot = self.post.seat.slot, "cannot accept, staying out: {errno}");
        }
        self.pause_after(refusal, now);
        Came::Nobody
    }

    /// The program does not take what it is given: others may be better off.
    ///
    /// Who refuses at once has room at once, and would draw all that comes.
    pub(super) fn was_in_vain(&mut self, now: Duration) {
        self.pause_after(Refusal::Pause, now);
    }

    fn pause_after(&mut self, refusal: Refusal, now: Duration) {
        if let Some(pause) = self.pauses.after(refusal) {
            self.stays_out = Some(Stay { until: now + pause, is_courtesy: false });
        }
    }

    /// The program has taken what it was given; goes to the end of the line where the mode rotates.
    pub(super) fn was_well(&mut self) {
        self.pauses.reset();
    }

    /// After a win: goes to the end of the line, where the mode rotates.
    pub(super) fn after_win(&self, waiter: &Waiter) -> std::io::Result<()> {
        if self.is_open { waiter.after_win(&self.post.listeners) } else { Ok(()) }
    }

    /// Somebody thinks that something was overlooked.
    pub(super) fn hear_rope(&self) {
        self.post.bell.heard();
    }

    /// The number of the rope among a waiter's messages.
    pub(super) const ROPE: u64 = ROPE;
}
