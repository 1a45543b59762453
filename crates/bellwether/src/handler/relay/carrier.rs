//! The thread of a relay: hears what has changed, and carries on where it has.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rustix::fs::OFlags;
use rustix::net::sockopt::set_socket_linger;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::door::{Came, Door};
use super::passage::{End, Passage, State};
use super::pipes::Pipes;
use super::{Order, Shared};
use crate::handler::Departure;
use crate::handler::post::Post;
use crate::notification::{Waiter, Wake};
use crate::program::private_port::call;
use crate::sys::{clock, process};

/// How many changes are heard of at once.
const BATCH: usize = 64;

/// The number of the warden's word among a waiter's messages; the ends of passages follow the rope.
const WORD: u64 = 0;
const FIRST_END: u64 = 2;

/// A connection may need two sockets and a pipe in each direction.
const DESCRIPTORS: u64 = 6;
/// What a warden has open beside them, and some air.
const OTHERS: u64 = 64;
/// More than one thread can carry.
const MOST: u64 = 20_000;

/// How often it is looked who has become idle, when no more are accepted.
const LOOKS: Duration = Duration::from_millis(50);

/// The inside of a relay.
pub(super) struct Carrier {
    post: Arc<Post>,
    shared: Arc<Shared>,
    waiter: Waiter,
    door: Door,
    /// Where the program accepts.
    program: SocketAddr,
    passages: Vec<Option<Passage>>,
    /// The places that are free among them.
    free: Vec<usize>,
    /// How many there are, and how many of them the program has not taken up yet.
    open: usize,
    calling: usize,
    most: usize,
    /// Those with something to do of which nobody will say so.
    unfinished: Vec<usize>,
    pipes: Pipes,
    /// When somebody may have lingered long enough.
    sweep: Option<Duration>,
}

impl Carrier {
    pub(super) fn new(
        post: Arc<Post>,
        shared: Arc<Shared>,
        program: SocketAddr,
        most: Option<usize>,
    ) -> io::Result<Self> {
        // Here they must not block; they do where programs have them themselves.
        for listener in &post.listeners {
            let flags = rustix::fs::fcntl_getfl(listener)?;
            rustix::fs::fcntl_setfl(listener, flags | OFlags::NONBLOCK)?;
        }
        let waiter = Waiter::of_many(post.notification, post.seat.rank(), BATCH)?;
        waiter.also(&shared.word, WORD)?;
        let mut carrier = Self {
            door: Door::new(Arc::clone(&post)),
            post,
            shared,
            waiter,
            program,
            passages: Vec::new(),
            free: Vec::new(),
            open: 0,
            calling: 0,
            most: most.unwrap_or(usize::MAX).min(room()),
            unfinished: Vec::new(),
            pipes: Pipes::default(),
            sweep: None,
        };
        carrier.mind_the_door(clock::now())?;
        Ok(carrier)
    }

    /// Carries until no more is accepted and all is done.
    pub(super) fn carry(mut self) {
        while !self.is_done() {
            if let Err(error) = self.once() {
                tracing::error!(%error, "a relay cannot wait any more");
                process::exit_now(Departure::Broken.code());
            }
        }
    }

    fn is_done(&self) -> bool {
        self.open == 0 && self.shared.is_closed.load(Ordering::Acquire)
    }

    fn once(&mut self) -> io::Result<()> {
        let wakes = self.waiter.wait_for_all(self.patience(clock::now()))?;
        let now = clock::now();
        for wake in wakes {
            self.hear(wake, now)?;
        }
        for place in std::mem::take(&mut self.unfinished) {
            self.proceed(place, now);
        }
        if self.sweep.is_some_and(|time| time <= now) {
            self.sweep_out(now);
        }
        self.mind_the_door(now)
    }

    /// Returns how long nothing need happen until there is something to do.
    fn patience(&self, now: Duration) -> Option<Duration> {
        if !self.unfinished.is_empty() {
            return Some(Duration::ZERO);
        }
        let look = self.shared.has_order(Order::Close).then_some(now + LOOKS);
        let next = [self.door.until(), self.sweep, look].into_iter().flatten().min();
        next.map(|time| time.saturating_sub(now))
    }

    fn mind_the_door(&mut self, now: Duration) -> io::Result<()> {
        if !self.shared.has_order(Order::Close) {
            // Who has yet to take a call up is given no other: the others may be quicker.
            let has_room = self.open < self.most && self.calling == 0;
            return self.door.mind(&self.waiter, (self.open, has_room), now);
        }
        self.door.close(&self.waiter)?;
        let busy = self.passages.iter().flatten().filter(|it| !it.is_idle(now)).count();
        self.shared.unanswered.store(busy, Ordering::Release);
        self.shared.open.store(self.open, Ordering::Release);
        self.shared.is_closed.store(true, Ordering::Release);
        Ok(())
    }

    fn hear(&mut self, wake: Wake, now: Duration) -> io::Result<()> {
        match wake {
            Wake::Request(listener) => self.look(listener, now).map(drop),
            Wake::Message { number: WORD, .. } => {
                let _ = rustix::io::read(&self.shared.word, &mut [0; 8]);
                if self.shared.has_order(Order::Finish) {
                    self.sweep_out(now);
                }
                self.look_everywhere(now)
            }
            Wake::Message { number: Door::ROPE, .. } => {
                self.door.hear_rope();
                self.look_everywhere(now)
            }
            Wake::Message { number, .. } => {
                let (place, end) = end_of(number);
                if let Some(passage) = self.passages.get_mut(place).and_then(Option::as_mut) {
                    passage.has_changed(end);
                    self.proceed(place, now);
                }
                Ok(())
            }
            Wake::Nothing => Ok(()),
        }
    }

    /// Something may have been overlooked: one connection is taken, and another relay woken for more.
    fn look_everywhere(&mut self, now: Duration) -> io::Result<()> {
        for listener in 0..self.post.listeners.len() {
            if self.look(listener, now)? {
                self.post.pass_on();
                return Ok(());
            }
        }
        Ok(())
    }

    /// Looks once into a buffer, if there is room; returns whether somebody was there.
    fn look(&mut self, listener: usize, now: Duration) -> io::Result<bool> {
        // What has come in this very batch may have filled the room.
        if !self.door.is_open || self.open >= self.most || self.shared.has_order(Order::Close) {
            return Ok(false);
        }
        match self.door.accept(listener, now) {
            Came::Somebody(client) => {
                self.door.after_win(&self.waiter)?;
                self.admit(client, now);
                Ok(true)
            }
            Came::Nobody => Ok(false),
            Came::Broken => {
                tracing::warn!(
                    slot = self.post.seat.slot,
                    "a listener is broken, the handler leaves"
                );
                self.shared.lost_listener.store(true, Ordering::Release);
                self.shared.say(Order::Close);
                Ok(false)
            }
        }
    }

    /// Calls the program for a client.
    fn admit(&mut self, client: OwnedFd, now: Duration) {
        let place = self.free.last().copied().unwrap_or(self.passages.len());
        match self.begin(place, client, now) {
            Ok(passage) if place < self.passages.len() => self.passages[place] = Some(passage),
            Ok(passage) => self.passages.push(Some(passage)),
            Err(error) => {
                tracing::debug!(slot = self.post.seat.slot, %error, "the program is not reached");
                return self.door.was_in_vain(now);
            }
        }
        self.free.pop();
        (self.open, self.calling) = (self.open + 1, self.calling + 1);
        self.post.bell.opened();
        self.proceed(place, now);
    }

    /// Begins to carry; a client for whom that fails is not kept waiting.
    fn begin(&self, place: usize, client: OwnedFd, now: Duration) -> io::Result<Passage> {
        let program = call(self.program).inspect_err(|_| break_off(&client))?;
        let passage = Passage::new(client, program, now);
        for end in [End::Client, End::Program] {
            let watched = self.waiter.also_for_changes(passage.socket(end), number_of(place, end));
            watched.inspect_err(|_| passage.reset())?;
        }
        Ok(passage)
    }

    /// Does for one connection what can be done now.
    fn proceed(&mut self, place: usize, now: Duration) {
        let Some(passage) = self.passages.get_mut(place).and_then(Option::as_mut) else { return };
        let was_called = passage.is_called();
        let state = passage.proceed(&mut self.pipes, now);
        let lingers = passage.lingers_until();
        if !was_called && state != State::Calling {
            self.calling -= 1;
            match state {
                State::Refused => self.door.was_in_vain(now),
                _ => self.door.was_well(),
            }
        }
        match state {
            State::Over | State::Refused => return self.end(place),
            // By a change at either end it may come here twice at once.
            State::Unfinished if !self.unfinished.contains(&place) => self.unfinished.push(place),
            State::Unfinished | State::Carried | State::Calling => {}
        }
        if lingers.is_some() && self.shared.has_order(Order::Finish) {
            self.end(place);
        } else {
            self.sweep = self.sweep.into_iter().chain(lingers).min();
        }
    }

    fn end(&mut self, place: usize) {
        self.passages[place] = None;
        self.free.push(place);
        self.open -= 1;
        self.post.bell.closed();
    }

    /// Ends those whose clients have heard all that will be said, and do not go for long.
    fn sweep_out(&mut self, now: Duration) {
        let finishes = self.shared.has_order(Order::Finish);
        self.sweep = None;
        for place in 0..self.passages.len() {
            match self.passages[place].as_ref().and_then(Passage::lingers_until) {
                Some(until) if finishes || until <= now => self.end(place),
                until => self.sweep = self.sweep.into_iter().chain(until).min(),
            }
        }
    }
}

/// Lets a client know at once that it was not served.
fn break_off(client: &OwnedFd) {
    let _ = set_socket_linger(client, Some(Duration::ZERO));
}

/// How many connections there are descriptors for, all that may be had taken.
fn room() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
    let descriptors = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let room = (descriptors.saturating_sub(OTHERS) / DESCRIPTORS).clamp(1, MOST);
    usize::try_from(room).unwrap_or(1)
}

/// The number of one end of a passage among a waiter's messages.
fn number_of(place: usize, end: End) -> u64 {
    FIRST_END + 2 * place as u64 + u64::from(end == End::Program)
}

fn end_of(number: u64) -> (usize, End) {
    let number = number.saturating_sub(FIRST_END);
    let end = if number.is_multiple_of(2) { End::Client } else { End::Program };
    (usize::try_from(number / 2).unwrap_or(usize::MAX), end)
}
