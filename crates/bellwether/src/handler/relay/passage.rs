//! One connection that is carried: a client, the program, and a flow in each direction.

use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::net::sockopt::set_socket_linger;

use super::flow::{Flow, Side};
use super::pipes::Pipes;
use crate::program::private_port::has_come_about;

/// For so long nothing must have been said by either side until a connection counts as idle.
const A_WHILE: Duration = Duration::from_millis(500);

/// How long a client may keep its half of a connection that the program has ended, without a word:
/// as long as the kernel lets it when the program has closed (tcp_fin_timeout of tcp(7)).
const LINGER: Duration = Duration::from_secs(60);

/// How it goes with a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// The program has not taken it up yet.
    Calling,
    /// It is carried; the kernel says when there is something to do.
    Carried,
    /// There may be something to do, although nobody will say so.
    Unfinished,
    /// Nothing is left to do.
    Over,
    /// The program does not take connections.
    Refused,
}

/// Which of the two has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Client,
    Program,
}

/// A connection that is carried.
#[derive(Debug)]
pub(super) struct Passage {
    client: Side,
    program: Side,
    to_program: Flow,
    to_client: Flow,
    is_called: bool,
    /// Whether the last word was the client's, and when it was said.
    client_spoke: bool,
    last_word: Duration,
}

impl Passage {
    /// Begins to carry; the program need not have taken the call yet.
    pub(super) fn new(client: OwnedFd, program: OwnedFd, now: Duration) -> Self {
        Self {
            client: Side::new(client),
            program: Side::new(program),
            to_program: Flow::default(),
            to_client: Flow::default(),
            is_called: false,
            client_spoke: false,
            last_word: now,
        }
    }

    /// Tells whether the program has taken it up.
    pub(super) const fn is_called(&self) -> bool {
        self.is_called
    }

    /// The socket of one end, to be watched.
    pub(super) const fn socket(&self, end: End) -> &OwnedFd {
        match end {
            End::Client => &self.client.socket,
            End::Program => &self.program.socket,
        }
    }

    /// Notes that something may have changed at one end.
    pub(super) const fn has_changed(&mut self, end: End) {
        match end {
            End::Client => self.client.has_changed(),
            End::Program => self.program.has_changed(),
        }
    }

    /// Does what can be done now.
    pub(super) fn proceed(&mut self, pipes: &mut Pipes, now: Duration) -> State {
        if !self.is_called {
            match has_come_about(&self.program.socket) {
                None => return State::Calling,
                Some(Ok(())) => self.is_called = true,
                Some(Err(_)) => {
                    self.reset();
                    return State::Refused;
                }
            }
        }
        let Ok(more) = self.carry(pipes, now) else {
            // What one has broken off must not look to the other as if it had been whole.
            self.reset();
            return State::Over;
        };
        match (self.to_program.has_ended() && self.to_client.has_ended(), more) {
            (true, _) => State::Over,
            (_, true) => State::Unfinished,
            _ => State::Carried,
        }
    }

    fn carry(&mut self, pipes: &mut Pipes, now: Duration) -> rustix::io::Result<bool> {
        let Self { client, program, .. } = self;
        // First what has an end: a program that breaks off may have answered before.
        let answered = self.to_client.carry(program, client, pipes)?;
        let asked = self.to_program.carry(client, program, pipes)?;
        if asked.some || answered.some {
            (self.client_spoke, self.last_word) = (asked.some, now);
        }
        Ok(asked.more || answered.more)
    }

    /// Lets both know, where the kernel can, that this was no regular end.
    pub(super) fn reset(&self) {
        for side in [&self.client, &self.program] {
            let _ = set_socket_linger(&side.socket, Some(Duration::ZERO));
        }
    }

    /// When nobody waits any more for a client that has heard the end and keeps its half.
    pub(super) fn lingers_until(&self) -> Option<Duration> {
        self.to_client.has_ended().then(|| self.last_word + LINGER)
    }

    /// Tells whether all is answered, for a while, and nothing on its way.
    pub(super) fn is_idle(&self, now: Duration) -> bool {
        let holds_some = self.to_program.holds_some() || self.to_client.holds_some();
        self.is_called
            && !self.client_spoke
            && !holds_some
            && now.saturating_sub(self.last_word) >= A_WHILE
    }
}
