//! One thread's part in the race: waits at its place, accepts, stays out when it should.
//!
//! Blocking handlers and both kinds of gates race alike; only how they wait differs ([`Place`]).

use std::cell::Cell;
use std::io;
use std::time::Duration;

use rustix::net::SocketFlags;

use super::Departure;
use super::connection::{Accepted, Connection};
use super::patience::Patience;
use super::post::{CHANNEL, Order, Post, ROPE};
use super::refusal::{OncePerSecond, Pauses, Refusal};
use crate::buffer::Buffer;
use crate::notification::{Place, Waiter, Wake};
use crate::scoreboard::telemetry::Line;
use crate::sys::clock;

/// What one wake-up came to.
pub(crate) enum Outcome {
    /// A connection to serve.
    Won(Connection),
    /// Another was first, or nothing was there.
    Lost,
    /// Nothing for this thread.
    Nothing,
    /// A message other than the spawner's.
    #[cfg_attr(not(feature = "tokio"), allow(dead_code))] // only gates have other messages
    Message,
}

/// Why a racer stops racing.
pub(crate) enum Stop {
    /// The spawner's order, or the end of the orphan grace.
    Order(Order),
    /// It cannot go on.
    Depart(Departure),
}

impl From<Order> for Stop {
    fn from(order: Order) -> Self {
        Self::Order(order)
    }
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        tracing::error!(%error, "a handler cannot wait any more");
        Self::Depart(Departure::Broken)
    }
}

/// After so many losses in a row a handler looks whether the listener still listens.
const SUSPICIOUS: u32 = 64;

static SHORTAGE: OncePerSecond = OncePerSecond::new();

/// What to try against a shortage.
const fn hint(errno: rustix::io::Errno) -> &'static str {
    match errno {
        rustix::io::Errno::MFILE => "; allow more descriptors (ulimit -n, LimitNOFILE=)",
        rustix::io::Errno::NFILE => "; the machine has no descriptors left (sysctl fs.file-max)",
        _ => "",
    }
}

/// One thread's part in the race.
pub(crate) struct Racer<'a, P> {
    pub(crate) post: &'a Post,
    pub(crate) waiter: Waiter<P>,
    pub(crate) line: Line<'a>,
    /// Whether the thread counts as one that waits.
    is_free: Cell<bool>,
    /// Whether requests wake it.
    is_in: bool,
    patience: Patience,
    pauses: Pauses,
    losses_in_a_row: u32,
    flags: SocketFlags,
}

impl<'a, P: Place<'a>> Racer<'a, P> {
    /// Takes a place among those who wait; accepted connections will block.
    ///
    /// From now on it is woken for requests, so it must soon be [ready](Self::ready) to take them.
    pub(crate) fn new(post: &'a Post, thread: usize, place: P) -> io::Result<Self> {
        Ok(Self {
            post,
            waiter: post.waiter(thread, place)?,
            line: post.telemetry.line(thread),
            is_free: Cell::new(false),
            is_in: true,
            patience: Patience::Unbounded,
            pauses: Pauses::default(),
            losses_in_a_row: 0,
            flags: SocketFlags::empty(),
        })
    }

    /// Says that the thread waits for requests, for the first time.
    pub(crate) fn ready(&self) {
        self.free();
        self.post.ready();
    }

    /// The thread waits for requests from now on.
    pub(crate) fn free(&self) {
        self.line.idle();
        if !self.is_free.replace(true) && self.post.control.is_elastic() {
            self.post.bell.freed();
        }
    }

    /// The thread serves, has no room, or leaves; the last free one rings for the spawner.
    pub(crate) fn take(&self) {
        self.take_at(clock::now());
    }

    /// The same, where it is known what time it is.
    pub(crate) fn take_at(&self, now: Duration) {
        self.line.busy(now);
        if self.is_free.replace(false) && self.post.control.is_elastic() {
            self.post.bell.taken();
        }
    }

    /// Lets accepted connections not block.
    #[cfg(feature = "tokio")]
    pub(crate) const fn nonblocking(mut self) -> Self {
        self.flags = SocketFlags::NONBLOCK;
        self
    }

    /// Waits once, at most `limit`, and tries for what it was woken for.
    pub(crate) async fn next(&mut self, limit: Option<Duration>) -> Result<Outcome, Stop> {
        match self.waiter.wait(self.bounded(limit)?).await? {
            Wake::Nothing => Ok(Outcome::Nothing),
            Wake::Request(listener) => self.attempt(listener).await,
            Wake::Message { number: CHANNEL, gone } => {
                self.hear_spawner(gone)?;
                if gone { Ok(Outcome::Nothing) } else { self.look_everywhere().await }
            }
            Wake::Message { number: ROPE, .. } => {
                self.post.bell.heard();
                self.look_everywhere().await
            }
            Wake::Message { .. } => Ok(Outcome::Message),
        }
    }

    /// Somebody thinks that something was overlooked: look into each buffer.
    ///
    /// One connection is taken; if there are more, another is woken for them.
    async fn look_everywhere(&mut self) -> Result<Outcome, Stop> {
        for listener in 0..self.post.listeners.len() {
            if let Outcome::Won(connection) = self.attempt(listener).await? {
                self.post.pass_on();
                return Ok(Outcome::Won(connection));
            }
        }
        Ok(Outcome::Nothing)
    }

    /// Tries once to take a connection out of a listener's buffer.
    async fn attempt(&mut self, listener: usize) -> Result<Outcome, Stop> {
        self.line.woke();
        match self.accept(listener) {
            Ok(Accepted::Won(connection)) => {
                self.pauses.reset();
                self.losses_in_a_row = 0;
                self.line.won(connection.waited());
                self.note_lateness(&connection);
                if self.is_in {
                    self.waiter.after_win(&self.post.listeners)?;
                }
                Ok(Outcome::Won(connection))
            }
            Ok(Accepted::Lost) => self.lost(listener).await,
            Err(errno) => self.refused(listener, errno).await,
        }
    }

    /// Losing is ordinary; losing again and again may mean that there is nothing to win.
    ///
    /// A Unix listener that was shut down wakes for ever and always has "nothing pending".
    async fn lost(&mut self, listener: usize) -> Result<Outcome, Stop> {
        self.line.lost();
        self.losses_in_a_row += 1;
        if self.losses_in_a_row.is_multiple_of(SUSPICIOUS)
            && self.post.listeners.get(listener).is_some_and(|listener| listener.is_shut_down())
        {
            return self.refused(listener, rustix::io::Errno::INVAL).await;
        }
        Ok(Outcome::Lost)
    }

    fn accept(&self, listener: usize) -> Result<Accepted, rustix::io::Errno> {
        let Some(listener) = self.post.listeners.get(listener) else { return Ok(Accepted::Lost) };
        match listener.accept(self.flags) {
            Ok(fd) => Ok(Accepted::Won(Connection::new(fd, listener.kind()))),
            Err(rustix::io::Errno::AGAIN) => Ok(Accepted::Lost),
            Err(errno) => Err(errno),
        }
    }

    async fn refused(
        &mut self,
        listener: usize,
        errno: rustix::io::Errno,
    ) -> Result<Outcome, Stop> {
        let refusal = Refusal::of(errno);
        self.line.accept_failed();
        let pause = self.pauses.after(refusal);
        let slot = self.post.seat.slot;
        if refusal == Refusal::Leave {
            let address = self.post.listeners.get(listener).map(ToString::to_string);
            tracing::warn!(slot, address, %errno, "the listener is broken, the handler leaves");
            return Err(Stop::Depart(Departure::Listener));
        }
        if let Some(pause) = pause {
            if SHORTAGE.allows() {
                let pause_ms = pause.as_millis();
                tracing::warn!(
                    slot,
                    pause_ms,
                    "cannot accept, staying out: {errno}{}",
                    hint(errno)
                );
            }
            // Not idle: it need not be asked to look into the buffer.
            self.take();
            self.stay_out(Some(pause)).await?;
            self.free();
        }
        Ok(Outcome::Nothing)
    }

    /// Leaves the requests to others until something else happens, at most for `pause`.
    pub(crate) async fn stay_out(&mut self, pause: Option<Duration>) -> Result<(), Stop> {
        let was_in = self.is_in;
        self.step_out()?;
        let heard = self.waiter.wait(self.bounded(pause)?).await?;
        if let Wake::Message { number: CHANNEL, gone } = heard {
            self.hear_spawner(gone)?;
        }
        if was_in {
            self.post.join(&self.waiter)?;
            self.is_in = true;
        }
        Ok(())
    }

    /// Leaves the requests to others, and passes on a wake that it may have been given.
    fn step_out(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.is_in) { self.post.step_out(&self.waiter) } else { Ok(()) }
    }

    /// Tells whether a connection just won is to be sent away.
    ///
    /// Not by an orphan: nobody is left who would tell it that the overload is over.
    pub(crate) fn sheds(&self, connection: &Connection) -> bool {
        self.post.sheds(connection) && self.patience == Patience::Unbounded
    }

    fn note_lateness(&self, connection: &Connection) {
        if self.post.is_late(connection) {
            self.line.late();
        }
    }

    /// Reads what the spawner says: a nudge, or by its silence that it is time to leave.
    fn hear_spawner(&mut self, gone: bool) -> Result<(), Stop> {
        if gone {
            self.patience = Patience::after_hang_up(self.post, &self.waiter)?;
        } else {
            self.post.hear();
        }
        Ok(())
    }

    /// Bounds a wait by the orphan grace.
    fn bounded(&self, limit: Option<Duration>) -> Result<Option<Duration>, Stop> {
        Ok(match (self.patience.left()?, limit) {
            (Some(left), Some(limit)) => Some(left.min(limit)),
            (left, limit) => left.or(limit),
        })
    }

    /// Takes what still waits in the buffers, as far as the order goes, so that nothing is lost when
    /// an address closes.
    ///
    /// Nothing wakes it for requests any more: it may have been woken for one and told to leave
    /// before it took it, and until its connections have ended it is to take no wake of others.
    pub(crate) async fn empty_buffers(
        &mut self,
        order: Order,
        mut serve: impl AsyncFnMut(&mut Self, Connection) -> Result<(), Stop>,
    ) -> Departure {
        // The order has been heard; from here on only pauses are waited for.
        let _ = self.waiter.not_any_more(&self.post.channel);
        let _ = self.step_out();
        if matches!(order, Order::Serve | Order::Leave) {
            return Departure::Done;
        }
        for (i, listener) in self.post.listeners.iter().enumerate() {
            let most = match order {
                _ if listener.is_inherited() => 0, // the buffer is its owner's
                Order::Empty => Buffer::depth(listener),
                // An abstract name cannot be closed to newcomers, hence the bound.
                _ => listener.backlog().unwrap_or(0),
            };
            for _ in 0..most {
                let served = match self.attempt(i).await {
                    Ok(Outcome::Won(connection)) => serve(self, connection).await,
                    Ok(Outcome::Lost) => break,
                    // That one failed on its way; the next may not.
                    other => other.map(drop),
                };
                if let Err(Stop::Depart(departure)) = served {
                    return departure;
                }
            }
        }
        Departure::Done
    }
}
