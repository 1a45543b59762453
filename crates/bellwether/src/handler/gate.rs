//! Asynchronous handlers: a gate thread races, a runtime thread serves.
//!
//! A runtime cannot race itself: its epoll is edge-triggered and not exclusive, and an exclusive
//! epoll nested in it wakes everybody (both measured). So each thread of the handler is a pair:
//! the gate waits in the chosen notification mode and accepts, the runtime serves, with one thread
//! or, if that was asked for, with several. The gate is shut while the pair holds as many connections
//! as it may, or more than its fair share.

use std::future::Future;
use std::io;
use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{Notify, mpsc as queue, watch};

use super::Departure;
use super::connection::Connection;
use super::guest::{Arrival, End, Guest};
use super::post::{Order, Post, ROPE, Seat};
use super::race::{Outcome, Racer, Stop};
use super::requests::{Requests, Unfinished};
use super::share::{COURTESY, RUDENESS};
use crate::error::BoxError;
use crate::sys::clock;

/// How many accepted connections may wait for the runtime of their own handler.
const IN_HAND: usize = 4;

/// The number of the "a connection has ended" descriptor among a waiter's messages.
const FREED: u64 = ROPE + 1;

/// What an asynchronous handler knows about its place and its time.
#[derive(Clone, Debug)]
pub struct Shift {
    seat: Seat,
    over: watch::Receiver<bool>,
    room: Arc<Room>,
}

impl Shift {
    /// Returns where this handler sits.
    #[must_use]
    pub const fn seat(&self) -> &Seat {
        &self.seat
    }

    /// Waits until the handler is to finish what it has and leave.
    pub async fn over(&mut self) {
        // An error means that the gate is gone, which is the same.
        let _ = self.over.wait_for(|over| *over).await;
    }

    /// Tells whether the whole server stops; otherwise others serve on.
    #[cfg_attr(not(feature = "http"), allow(dead_code))]
    pub(crate) fn ends_with_the_server(&self) -> bool {
        self.room.post.heard() == Order::Finish
    }

    /// Counts one request of a protocol that carries several over a connection, served for so long.
    #[cfg_attr(not(feature = "http"), allow(dead_code))]
    pub(crate) fn count_request(&self, served: Duration) {
        let line = self.room.post.telemetry.line(self.seat.thread);
        line.served(served);
        line.requested();
    }

    /// Lets the connection of a request go to others, where this thread holds far more than its share.
    #[cfg(feature = "http")]
    pub(crate) fn part(&self) -> Option<super::Parting> {
        super::Parting::of(&self.room)
    }

    /// Tells whether a request has a deadline.
    #[cfg_attr(not(feature = "http"), allow(dead_code))]
    pub(crate) fn has_deadlines(&self) -> bool {
        self.room.post.deadlines.is_set()
    }

    /// Tells whether a request is to be labelled with what it asks for.
    #[cfg_attr(not(feature = "http"), allow(dead_code))]
    pub(crate) fn labels(&self) -> bool {
        self.room.terms.labels
    }

    /// A request of such a protocol is to be served that has waited so long already.
    ///
    /// `None` where requests have neither deadlines nor labels.
    #[cfg_attr(not(feature = "http"), allow(dead_code))]
    pub(crate) fn begin(&self, waited: Option<Duration>) -> Option<Unfinished> {
        self.room.requests.as_ref().map(|requests| requests.begin(waited))
    }
}

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
    fn runtime(self) -> io::Result<Runtime> {
        let mut builder = match self.workers {
            1 => Builder::new_current_thread(),
            _ => Builder::new_multi_thread(),
        };
        builder.worker_threads(self.workers).enable_all().build()
    }
}

/// The connections that one pair of gate and runtime holds.
pub(super) struct Room {
    pub(super) post: Arc<Post>,
    thread: usize,
    terms: Terms,
    /// Where requests have deadlines or labels.
    requests: Option<Arc<Requests>>,
    open: AtomicUsize,
    /// Of those, the ones whose clients were told to take another connection.
    #[cfg_attr(not(feature = "http"), allow(dead_code))]
    pub(super) parting: AtomicUsize,
    /// When the last was told so, in milliseconds since boot.
    #[cfg_attr(not(feature = "http"), allow(dead_code))]
    pub(super) parted_at: AtomicU64,
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
    fn enter(&self) {
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
    fn received(&self) {
        self.handed_over.fetch_sub(1, Ordering::SeqCst);
        self.ring();
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

    pub(super) fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }

    fn is_full(&self) -> bool {
        // A runtime that does not take what it is given is stuck: leave the rest to others.
        self.open() >= self.terms.limit || self.handed_over.load(Ordering::SeqCst) >= IN_HAND
    }

    /// Tells whether this pair holds clearly more than the average of all pairs.
    fn is_over_its_share(&self) -> bool {
        self.post.is_over_its_share(self.open())
    }
}

/// Serves with all pairs of this handler until it is time to leave.
pub(crate) fn live<S, F, H, T>(start: &S, post: &Arc<Post>, terms: Terms) -> Departure
where
    S: Fn(Shift) -> F + Sync,
    F: Future<Output = Result<H, BoxError>>,
    H: Fn(Connection) -> T + 'static,
    T: Future<Output = ()> + Send + 'static,
{
    super::together(post, |thread| one_pair(start, post, thread, terms))
}

fn one_pair<S, F, H, T>(start: &S, post: &Arc<Post>, thread: usize, terms: Terms) -> Departure
where
    S: Fn(Shift) -> F + Sync,
    F: Future<Output = Result<H, BoxError>>,
    H: Fn(Connection) -> T + 'static,
    T: Future<Output = ()> + Send + 'static,
{
    let Ok(freed) = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK) else {
        return Departure::NotStarted;
    };
    let (end_shift, over) = watch::channel(false);
    let (hand_over, arrivals) = queue::unbounded_channel();
    let (tell, started) = mpsc::channel();
    let room = Arc::new(Room {
        post: Arc::clone(post),
        thread,
        terms,
        requests: Requests::of_thread(post, thread, terms.labels),
        open: AtomicUsize::new(0),
        parting: AtomicUsize::new(0),
        parted_at: AtomicU64::new(0),
        handed_over: AtomicUsize::new(0),
        gate_waits: AtomicBool::new(false),
        freed,
        left: Notify::new(),
    });
    let shift = Shift { seat: post.seat(thread), over, room: Arc::clone(&room) };
    std::thread::scope(|scope| {
        let runtime = scope.spawn(|| serve(start, shift, arrivals, tell));
        let departure = match started.recv() {
            Ok(()) => Gate { room, hand_over, rude_until: Duration::ZERO }.keep(),
            Err(_) => Departure::NotStarted,
        };
        // The gate and with it the queue's sender are gone: the runtime finishes what it has.
        let _ = end_shift.send(true);
        departure.or(runtime.join().unwrap_or(Departure::Broken))
    })
}

/// The runtime's side: starts the handler, serves what the gate hands over, finishes.
fn serve<S, F, H, T>(
    start: &S,
    shift: Shift,
    mut arrivals: queue::UnboundedReceiver<Arrival>,
    started: mpsc::Sender<()>,
) -> Departure
where
    S: Fn(Shift) -> F,
    F: Future<Output = Result<H, BoxError>>,
    H: Fn(Connection) -> T + 'static,
    T: Future<Output = ()> + Send + 'static,
{
    let room = Arc::clone(&shift.room);
    let runtime = match room.terms.runtime() {
        Ok(runtime) => runtime,
        Err(error) => return room.post.not_started(&error.into()),
    };
    runtime.block_on(async move {
        let handler = match start(shift).await {
            Ok(handler) => handler,
            Err(error) => return room.post.not_started(&error),
        };
        let _ = started.send(());
        while let Some(Arrival { connection, request }) = arrivals.recv().await {
            room.received();
            let guest = Guest::new(Arc::clone(&room), request);
            if connection.is_unwanted() && !room.terms.sheds {
                guest.shed(connection);
                continue;
            }
            // What panics before its first await must not end the runtime either.
            match catch_unwind(AssertUnwindSafe(|| handler(connection))) {
                Ok(serving) => drop(tokio::spawn(guest.serve(serving))),
                Err(_) => guest.abort(),
            }
        }
        while room.open() > 0 {
            room.left.notified().await;
        }
        Departure::Done
    })
}

/// The gate's side: races, accepts, hands over.
struct Gate {
    room: Arc<Room>,
    hand_over: queue::UnboundedSender<Arrival>,
    /// Until when it takes more than its fair share, because others do not take theirs.
    rude_until: Duration,
}

impl Gate {
    fn keep(mut self) -> Departure {
        let post = Arc::clone(&self.room.post);
        let racer = Racer::new(&post, self.room.thread).map(Racer::nonblocking);
        let Ok(mut racer) = racer else { return Departure::NotStarted };
        if racer.waiter.also(&self.room.freed, FREED).is_err() {
            return Departure::Broken;
        }
        let stop = loop {
            if let Err(stop) = self.once(&mut racer) {
                break stop;
            }
        };
        racer.take();
        match stop {
            Stop::Order(order) => racer.empty_buffers(order, |_, connection| {
                self.wait_until_room();
                self.admit(connection)
            }),
            Stop::Depart(departure) => {
                post.break_up();
                departure
            }
        }
    }

    fn once(&mut self, racer: &mut Racer<'_>) -> Result<(), Stop> {
        if self.room.is_full() {
            return self.wait_for_room(racer, None);
        }
        if self.room.is_over_its_share() && clock::now() >= self.rude_until {
            self.wait_for_room(racer, Some(COURTESY))?;
            if self.room.post.requests_wait() {
                // Nobody took them: the others are stuck, frozen or gone.
                self.rude_until = clock::now() + RUDENESS;
            }
        }
        match racer.next(None)? {
            Outcome::Won(connection) if racer.sheds(&connection) => {
                racer.line.shed();
                self.hand_over(Arrival { connection: connection.unwanted(), request: None })?;
            }
            Outcome::Won(connection) => self.admit(connection)?,
            Outcome::Message => self.hear_freed(),
            Outcome::Lost | Outcome::Nothing => {}
        }
        Ok(())
    }

    fn admit(&self, connection: Connection) -> Result<(), Stop> {
        let requests = self.room.requests.as_ref();
        let arrival = match requests.filter(|_| self.room.terms.connection_is_request) {
            Some(requests) => Arrival::with_deadline(connection, requests),
            None => Arrival { connection, request: None },
        };
        self.hand_over(arrival)
    }

    /// Gives a connection to the runtime: the only one that counts how connections end.
    fn hand_over(&self, arrival: Arrival) -> Result<(), Stop> {
        self.room.enter();
        // A runtime that is gone can serve nothing any more.
        self.hand_over.send(arrival).map_err(|_| Stop::Depart(Departure::Broken))
    }

    /// Waits until a connection has ended, at a time when nothing else is heard.
    fn wait_until_room(&self) {
        while self.room.is_full() {
            self.room.gate_waits.store(true, Ordering::SeqCst);
            let mut polled = [PollFd::new(&self.room.freed, PollFlags::IN)];
            let a_moment = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };
            let _ = rustix::event::poll(&mut polled, Some(&a_moment));
            self.hear_freed();
        }
    }

    fn wait_for_room(&self, racer: &mut Racer<'_>, limit: Option<Duration>) -> Result<(), Stop> {
        self.room.gate_waits.store(true, Ordering::SeqCst);
        // A connection may have ended before the flag was seen.
        let is_full = self.room.is_full();
        if limit.is_some() || is_full {
            // Whoever only lets others go first has room, and needs nobody beside it.
            if is_full {
                racer.take();
            }
            racer.stay_out(limit)?;
            racer.free();
            self.hear_freed();
        }
        self.room.gate_waits.store(false, Ordering::SeqCst);
        Ok(())
    }

    fn hear_freed(&self) {
        let _ = rustix::io::read(&self.room.freed, &mut [0; 8]);
    }
}
