//! Blocking handlers: each thread waits, races and serves on its own.

use std::cell::Cell;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::net::SocketFlags;

use super::connection::{Accepted, Connection};
use super::patience::Patience;
use super::post::{CHANNEL, Order, Post, ROPE};
use super::refusal::{OncePerSecond, Pauses, Refusal};
use super::requests::Requests;
use super::{Departure, Handler};
use crate::buffer::Buffer;
use crate::notification::{Waiter, Wake};
use crate::scoreboard::telemetry::Line;
use crate::sys::clock;

/// Serves with all threads of this handler until it is time to leave.
pub(crate) fn live<H: Handler>(handler: &H, post: &Post) -> Departure {
    // A handler may be sent to another thread, but not shared between threads.
    let clones: Vec<_> = std::iter::repeat_with(|| Mutex::new(Some(handler.clone())))
        .take(post.seat.threads)
        .collect();
    super::together(post, |thread| {
        let clone = clones.get(thread).and_then(|clone| clone.lock().ok()?.take());
        clone.map_or(Departure::Broken, |clone| one_thread(clone, post, thread))
    })
}

fn one_thread<H: Handler>(mut handler: H, post: &Post, thread: usize) -> Departure {
    let pristine = handler.clone();
    let started = handler.start(&post.seat(thread));
    match started.and_then(|()| Ok(Racer::new(post, thread)?)) {
        Ok(racer) => racer.serving().race(&mut handler, &pristine),
        Err(error) => post.not_started(&error),
    }
}

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
pub(crate) struct Racer<'a> {
    pub(crate) post: &'a Post,
    pub(crate) waiter: Waiter,
    pub(crate) line: Line<'a>,
    /// Whether the thread counts as one that waits.
    is_free: Cell<bool>,
    thread: usize,
    patience: Patience,
    pauses: Pauses,
    losses_in_a_row: u32,
    flags: SocketFlags,
    /// The requests that this thread itself serves, where they have deadlines.
    requests: Option<Arc<Requests>>,
}

impl<'a> Racer<'a> {
    /// Takes a place among those who wait; accepted connections will block.
    pub(crate) fn new(post: &'a Post, thread: usize) -> io::Result<Self> {
        let line = post.telemetry.line(thread);
        let waiter = post.waiter(thread)?;
        let racer = Self {
            post,
            waiter,
            line,
            is_free: Cell::new(false),
            thread,
            patience: Patience::Unbounded,
            pauses: Pauses::default(),
            losses_in_a_row: 0,
            flags: SocketFlags::empty(),
            requests: None,
        };
        racer.free();
        post.ready();
        Ok(racer)
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

    fn take_at(&self, now: Duration) {
        self.line.busy(now);
        if self.is_free.replace(false) && self.post.control.is_elastic() {
            self.post.bell.taken();
        }
    }

    /// Lets this thread serve what it wins.
    fn serving(mut self) -> Self {
        self.requests = Requests::of_thread(self.post, self.thread, false);
        self
    }

    /// Lets accepted connections not block.
    #[cfg(feature = "tokio")]
    pub(crate) fn nonblocking(mut self) -> Self {
        self.flags = SocketFlags::NONBLOCK;
        self
    }

    fn race<H: Handler>(&mut self, handler: &mut H, pristine: &H) -> Departure {
        let stop = loop {
            let served = match self.next(None) {
                Ok(Outcome::Won(connection)) if self.sheds(&connection) => {
                    self.shed(handler, pristine, connection)
                }
                Ok(Outcome::Won(connection)) => self.serve(handler, pristine, connection),
                other => other.map(drop),
            };
            if let Err(stop) = served {
                break stop;
            }
        };
        self.take();
        match stop {
            Stop::Order(order) => self.empty_buffers(order, |racer, connection| {
                racer.serve(handler, pristine, connection)
            }),
            Stop::Depart(departure) => {
                self.post.break_up();
                departure
            }
        }
    }

    /// Waits once, at most `limit`, and tries for what it was woken for.
    pub(crate) fn next(&mut self, limit: Option<Duration>) -> Result<Outcome, Stop> {
        match self.waiter.wait(self.bounded(limit)?)? {
            Wake::Nothing => Ok(Outcome::Nothing),
            Wake::Request(listener) => self.attempt(listener),
            Wake::Message { number: CHANNEL, gone } => {
                self.hear_spawner(gone)?;
                if gone { Ok(Outcome::Nothing) } else { self.look_everywhere() }
            }
            Wake::Message { number: ROPE, .. } => {
                self.post.bell.heard();
                self.look_everywhere()
            }
            Wake::Message { .. } => Ok(Outcome::Message),
        }
    }

    /// Somebody thinks that something was overlooked: look into each buffer.
    ///
    /// One connection is taken; if there are more, another is woken for them.
    fn look_everywhere(&mut self) -> Result<Outcome, Stop> {
        for listener in 0..self.post.listeners.len() {
            if let Outcome::Won(connection) = self.attempt(listener)? {
                self.post.pass_on();
                return Ok(Outcome::Won(connection));
            }
        }
        Ok(Outcome::Nothing)
    }

    /// Tries once to take a connection out of a listener's buffer.
    fn attempt(&mut self, listener: usize) -> Result<Outcome, Stop> {
        self.line.woke();
        match self.accept(listener) {
            Ok(Accepted::Won(connection)) => {
                self.pauses.reset();
                self.losses_in_a_row = 0;
                self.line.won(connection.waited());
                self.note_lateness(&connection);
                self.waiter.after_win(&self.post.listeners)?;
                Ok(Outcome::Won(connection))
            }
            Ok(Accepted::Lost) => self.lost(listener),
            Err(errno) => self.refused(listener, errno),
        }
    }

    /// Losing is ordinary; losing again and again may mean that there is nothing to win.
    ///
    /// A Unix listener that was shut down wakes for ever and always has "nothing pending".
    fn lost(&mut self, listener: usize) -> Result<Outcome, Stop> {
        self.line.lost();
        self.losses_in_a_row += 1;
        if self.losses_in_a_row.is_multiple_of(SUSPICIOUS)
            && self.post.listeners.get(listener).is_some_and(|listener| listener.is_shut_down())
        {
            return self.refused(listener, rustix::io::Errno::INVAL);
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

    fn refused(&mut self, listener: usize, errno: rustix::io::Errno) -> Result<Outcome, Stop> {
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
            self.stay_out(Some(pause))?;
            self.free();
        }
        Ok(Outcome::Nothing)
    }

    /// Leaves the requests to others until something else happens, at most for `pause`.
    pub(crate) fn stay_out(&mut self, pause: Option<Duration>) -> Result<(), Stop> {
        self.post.step_out(&self.waiter)?;
        let heard = self.waiter.wait(self.bounded(pause)?)?;
        if let Wake::Message { number: CHANNEL, gone } = heard {
            self.hear_spawner(gone)?;
        }
        Ok(self.post.join(&self.waiter)?)
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

    fn serve<H: Handler>(
        &self,
        handler: &mut H,
        pristine: &H,
        connection: Connection,
    ) -> Result<(), Stop> {
        let begun = clock::now();
        let served = self.attend(begun, connection, |connection| handler.handle(connection));
        self.line.served(clock::now().saturating_sub(begun));
        self.line.requested();
        self.ended(served, handler, pristine)
    }

    /// Sends a connection away, as the handler does that.
    fn shed<H: Handler>(
        &self,
        handler: &mut H,
        pristine: &H,
        connection: Connection,
    ) -> Result<(), Stop> {
        self.line.shed();
        let sent = self.attend(clock::now(), connection, |connection| handler.shed(connection));
        self.ended(sent, handler, pristine)
    }

    /// Lets the user's code have a connection; `false`: it panicked.
    fn attend(
        &self,
        begun: Duration,
        connection: Connection,
        how: impl FnOnce(Connection),
    ) -> bool {
        self.take_at(begun);
        let request = self.requests.as_ref().map(|it| it.begin(connection.waited()));
        let connection = match &request {
            Some(request) => connection.until(request.deadline()),
            None => connection,
        };
        catch_unwind(AssertUnwindSafe(|| how(connection))).is_ok()
    }

    /// Counts the end of a connection.
    fn ended<H: Handler>(&self, well: bool, handler: &mut H, pristine: &H) -> Result<(), Stop> {
        if well {
            self.line.completed();
        } else {
            self.line.aborted();
            self.replace(handler, pristine)?;
        }
        self.free();
        Ok(())
    }

    /// A panic may have left the handler half changed: go on with a fresh one.
    fn replace<H: Handler>(&self, handler: &mut H, pristine: &H) -> Result<(), Stop> {
        tracing::error!(slot = self.post.seat.slot, "a request panicked; its connection is closed");
        *handler = pristine.clone();
        let started = handler.start(&self.post.seat(self.thread));
        started.map_err(|error| Stop::Depart(self.post.not_started(&error)))
    }

    /// Takes what still waits in the buffers, as far as the order goes, so that nothing is lost when
    /// an address closes.
    pub(crate) fn empty_buffers(
        &mut self,
        order: Order,
        mut serve: impl FnMut(&mut Self, Connection) -> Result<(), Stop>,
    ) -> Departure {
        // The order has been heard; from here on only pauses are waited for.
        let _ = self.waiter.not_any_more(&self.post.channel);
        if matches!(order, Order::Serve | Order::Leave) {
            // It may have been woken for a request, and told to leave before it took it.
            let _ = self.post.step_out(&self.waiter);
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
                let served = match self.attempt(i) {
                    Ok(Outcome::Won(connection)) => serve(self, connection),
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
