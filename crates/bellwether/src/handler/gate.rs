//! What lets connections into a room: races, accepts, and is shut while the room is full or holds
//! more than its fair share.

use std::io;
use std::time::Duration;

use super::Departure;
use super::connection::Connection;
use super::guest::Arrival;
use super::post::ROPE;
use super::race::{Outcome, Racer, Stop};
use super::room::Room;
use super::share::{COURTESY, RUDENESS};
use crate::notification::Place;
use crate::sys::clock;

/// The number of the "a connection has ended" descriptor among a waiter's messages.
const FREED: u64 = ROPE + 1;

/// How long the gate of a full room sleeps at most before it looks again.
const A_MOMENT: Duration = Duration::from_millis(50);

/// Takes a room's place among those who wait.
pub(super) fn racer<'a, P: Place<'a>>(room: &'a Room, place: P) -> io::Result<Racer<'a, P>> {
    let racer = Racer::new(&room.post, room.thread, place)?.nonblocking();
    racer.waiter.also(room.freed(), FREED)?;
    Ok(racer)
}

/// The gate of a room.
pub(super) struct Gate<'a, F> {
    room: &'a Room,
    /// Gives a connection to the runtime.
    take_in: F,
    /// Until when it takes more than its fair share, because others do not take theirs.
    rude_until: Duration,
}

impl<'a, F: FnMut(Arrival) -> Result<(), Stop>> Gate<'a, F> {
    pub(super) const fn new(room: &'a Room, take_in: F) -> Self {
        Self { room, take_in, rude_until: Duration::ZERO }
    }

    /// Lets connections in until it is time to leave.
    pub(super) async fn keep<P: Place<'a>>(mut self, mut racer: Racer<'a, P>) -> Departure {
        racer.ready();
        let stop = loop {
            if let Err(stop) = self.once(&mut racer).await {
                break stop;
            }
        };
        racer.take();
        match stop {
            Stop::Order(order) => {
                let let_in = async |racer: &mut Racer<'a, P>, connection| {
                    self.wait_until_room(racer).await?;
                    self.admit(connection)
                };
                racer.empty_buffers(order, let_in).await
            }
            Stop::Depart(departure) => {
                self.room.post.break_up();
                departure
            }
        }
    }

    async fn once<P: Place<'a>>(&mut self, racer: &mut Racer<'a, P>) -> Result<(), Stop> {
        if self.room.is_full() {
            return self.wait_for_room(racer, None).await;
        }
        if self.room.is_over_its_share() && clock::now() >= self.rude_until {
            self.wait_for_room(racer, Some(COURTESY)).await?;
            if self.room.post.requests_wait() {
                // Nobody took them: the others are stuck, frozen or gone.
                self.rude_until = clock::now() + RUDENESS;
            }
        }
        match racer.next(None).await? {
            Outcome::Won(connection) if racer.sheds(&connection) => {
                racer.line.shed();
                self.let_in(Arrival { connection: connection.unwanted(), request: None })?;
            }
            Outcome::Won(connection) => self.admit(connection)?,
            Outcome::Message => self.room.hear_freed(),
            Outcome::Lost | Outcome::Nothing => {}
        }
        Ok(())
    }

    fn admit(&mut self, connection: Connection) -> Result<(), Stop> {
        let requests = self.room.requests.as_ref();
        let arrival = match requests.filter(|_| self.room.terms.connection_is_request) {
            Some(requests) => Arrival::with_deadline(connection, requests),
            None => Arrival { connection, request: None },
        };
        self.let_in(arrival)
    }

    /// Gives a connection to the runtime: the only one that counts how connections end.
    fn let_in(&mut self, arrival: Arrival) -> Result<(), Stop> {
        self.room.enter();
        (self.take_in)(arrival)
    }

    /// Waits until a connection has ended, at a time when nothing else is heard.
    async fn wait_until_room<P: Place<'a>>(&self, racer: &mut Racer<'a, P>) -> Result<(), Stop> {
        while self.room.is_full() {
            self.room.gate_waits(true);
            if self.room.is_full() {
                racer.waiter.wait(Some(A_MOMENT)).await?;
            }
            self.room.hear_freed();
        }
        Ok(())
    }

    async fn wait_for_room<P: Place<'a>>(
        &self,
        racer: &mut Racer<'a, P>,
        limit: Option<Duration>,
    ) -> Result<(), Stop> {
        self.room.gate_waits(true);
        // A connection may have ended before the flag was seen.
        let is_full = self.room.is_full();
        if limit.is_some() || is_full {
            // Whoever only lets others go first has room, and needs nobody beside it.
            if is_full {
                racer.take();
            }
            racer.stay_out(limit).await?;
            racer.free();
            self.room.hear_freed();
        }
        self.room.gate_waits(false);
        Ok(())
    }
}
