//! What a handler is given by the spawner, and how it speaks back.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::Pid;

use super::{Deadlines, Departure};
use crate::address::Listener;
use crate::error::BoxError;
use crate::notification::{Notification, Place, Waiter};
use crate::program::evidence::Evidence;
use crate::scoreboard::bell::Bell;
use crate::scoreboard::control::ControlView;
use crate::scoreboard::telemetry::Telemetry;

/// The byte by which a handler says that it waits for requests; a warden says in a second one what
/// showed that its program does.
pub(crate) const READY: u8 = b'R';

/// The byte after which a handler says why it cannot start, up to a byte of zero.
pub(crate) const NOT_STARTED: u8 = b'E';

/// The byte by which a warden says that its program ends by itself, before the channel closes.
pub(crate) const ENDS: u8 = b'S';

/// The most bytes that are heard of such words.
pub(crate) const LAST_WORDS: usize = 512;

/// The byte by which the spawner asks an idle handler to look into the buffer.
pub(crate) const NUDGE: u8 = b'N';

/// The byte by which the spawner orders a handler to leave.
pub(crate) const LEAVE: u8 = b'L';

/// The byte by which the spawner orders a handler to empty the buffers before it leaves: nobody
/// serves them after it.
pub(crate) const FINISH: u8 = b'F';

/// The byte by which the spawner orders a handler to leave with addresses that only it serves.
///
/// Others serve on, but not everywhere; where, the handler is not told. So it takes out of each
/// buffer what waits there at that moment and no more: where others serve, it would find newcomers
/// without end.
pub(crate) const EMPTY: u8 = b'E';

/// What the spawner wants of a handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Wait, accept, serve.
    Serve,
    /// Finish what was accepted, accept nothing more, leave.
    Leave,
    /// Take what waits in the buffers now, finish, leave; others serve on.
    Empty,
    /// Empty the buffers, finish, leave; the whole pool does.
    Finish,
}

/// The number of the channel among a waiter's messages.
pub(crate) const CHANNEL: u64 = 0;

/// The number of the bell's rope among a waiter's messages.
pub(crate) const ROPE: u64 = 1;

/// Where a handler sits: its slot, its generation and, in a thread, which thread it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seat {
    pub(crate) slot: usize,
    pub(crate) generation: u64,
    pub(crate) thread: usize,
    pub(crate) threads: usize,
}

impl Seat {
    /// Returns the slot, from 0; slots are filled from the lowest.
    #[must_use]
    pub const fn slot(&self) -> usize {
        self.slot
    }

    /// Returns the generation of the program and its configuration, from 1.
    #[must_use]
    pub const fn generation(&self) -> u64 {
        self.generation
    }

    /// Returns the number of this thread within its handler, from 0.
    #[must_use]
    pub const fn thread(&self) -> usize {
        self.thread
    }

    /// The rank among all threads of the pool, from the lowest slot on.
    pub(super) const fn rank(&self) -> usize {
        self.slot * self.threads + self.thread
    }
}

/// Everything that a handler has: nothing else survives the fork.
pub(crate) struct Post {
    pub(crate) seat: Seat,
    pub(crate) spawner: Pid,
    pub(crate) listeners: Vec<Listener>,
    pub(crate) notification: Notification,
    pub(crate) orphan_grace: Duration,
    /// How long what a handler has in hand may take after that.
    pub(crate) orphan_limit: Duration,
    pub(crate) deadlines: Deadlines,
    /// How long a connection may wait in the buffer before it is late.
    pub(crate) slo_wait: Duration,
    pub(crate) telemetry: Telemetry,
    pub(crate) control: ControlView,
    pub(crate) bell: Bell,
    /// The way to the spawner: readable for a nudge or an order, closed when it is time to leave.
    pub(crate) channel: OwnedFd,
    /// The last order heard over the channel.
    pub(crate) order: Mutex<Order>,
    pub(crate) not_ready: AtomicUsize,
    /// One thread cannot go on, so the others leave too.
    pub(crate) broken_up: AtomicBool,
}

impl Post {
    /// Returns the seat of one thread.
    pub(crate) const fn seat(&self, thread: usize) -> Seat {
        Seat { thread, ..self.seat }
    }

    /// Returns what a channel means that has closed: an order, or `Serve` when its spawner died.
    ///
    /// The spawner says its order before it closes its half of the channel, and keeps the other
    /// half; when it dies both are closed, which epoll and poll tell apart (unix(7), POLLHUP).
    pub(crate) fn order_at_the_end(&self) -> Order {
        if self.broken_up.load(Ordering::Acquire) {
            return Order::Leave;
        }
        match self.hear() {
            Order::Serve if !self.spawner_is_gone() => Order::Leave, // the word found no room
            order => order,
        }
    }

    /// Returns the last order heard.
    pub(crate) fn heard(&self) -> Order {
        *self.order.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn spawner_is_gone(&self) -> bool {
        let mut polled = [PollFd::new(&self.channel, PollFlags::empty())];
        let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
        rustix::event::poll(&mut polled, Some(&at_once)).is_ok()
            && polled[0].revents().contains(PollFlags::HUP)
    }

    /// Says why this handler cannot start, and ends all its threads.
    pub(crate) fn not_started(&self, error: &BoxError) -> Departure {
        // The spawner tells it, as often as it is fit to be told.
        tracing::debug!(slot = self.seat.slot, "the handler could not start: {error}");
        self.say_why_not(&error.to_string());
        self.break_up();
        Departure::NotStarted
    }

    /// Says what is the reason should this handler not start.
    pub(crate) fn say_why_not(&self, why: &str) {
        let mut words = vec![NOT_STARTED];
        words.extend(why.bytes().filter(|byte| *byte != 0).take(LAST_WORDS - 2));
        words.push(0);
        let _ = rustix::io::write(&self.channel, &words);
    }

    /// Says that what this handler is the warden of ends by itself: another is to take its place.
    pub(crate) fn say_that_it_ends(&self) {
        let _ = rustix::io::write(&self.channel, &[ENDS, 0]);
    }

    /// Makes all threads of this handler leave, and lets the spawner see it coming.
    pub(crate) fn break_up(&self) {
        self.broken_up.store(true, Ordering::Release);
        let _ = rustix::net::shutdown(&self.channel, rustix::net::Shutdown::Both);
    }

    /// Takes a thread's place among those who wait.
    pub(crate) fn waiter<'a, P: Place<'a>>(
        &'a self,
        thread: usize,
        place: P,
    ) -> io::Result<Waiter<P>> {
        let waiter = Waiter::new(place, self.notification, self.seat(thread).rank());
        waiter.also(&self.channel, CHANNEL)?;
        self.join(&waiter)?;
        Ok(waiter)
    }

    /// Starts waiting for requests, and for a sibling's word that some wait.
    pub(crate) fn join<'a, P: Place<'a>>(&'a self, waiter: &Waiter<P>) -> io::Result<()> {
        waiter.join(&self.listeners)?;
        waiter.also_alone(self.bell.rope(), ROPE)
    }

    /// Leaves the requests to others, and tells one of them if some wait.
    pub(crate) fn step_out<'a, P: Place<'a>>(&'a self, waiter: &Waiter<P>) -> io::Result<()> {
        waiter.step_out(&self.listeners)?;
        waiter.not_any_more(self.bell.rope())?;
        self.pass_on();
        Ok(())
    }

    /// Wakes another if requests wait.
    pub(crate) fn pass_on(&self) {
        if self.requests_wait() {
            self.bell.ring();
        }
    }

    /// Tells whether something waits in a buffer.
    pub(crate) fn requests_wait(&self) -> bool {
        self.listeners.iter().any(Listener::has_pending)
    }

    /// One more thread waits; the last one tells the spawner.
    pub(crate) fn ready(&self) {
        if self.not_ready.fetch_sub(1, Ordering::AcqRel) == 1 {
            // A spawner that is gone shows at the next wait, as a closed channel.
            let _ = rustix::io::write(&self.channel, &[READY]);
        }
    }

    /// What this handler is the warden of waits for requests.
    pub(crate) fn ready_by(&self, evidence: Evidence) {
        let _ = rustix::io::write(&self.channel, &[READY, evidence.code()]);
    }

    /// Takes out of the channel what the spawner has said, and returns its last order.
    ///
    /// Any thread may be the one to hear it; what it hears holds for all.
    pub(crate) fn hear(&self) -> Order {
        let mut order = self.order.lock().unwrap_or_else(PoisonError::into_inner);
        let mut words = [0; 16];
        while let Ok(length @ 1..) = rustix::io::read(&self.channel, &mut words) {
            for word in words.iter().take(length) {
                match *word {
                    LEAVE => *order = Order::Leave,
                    EMPTY => *order = Order::Empty,
                    FINISH => *order = Order::Finish,
                    _ => {} // a nudge has done its work by waking us
                }
            }
        }
        *order
    }
}
