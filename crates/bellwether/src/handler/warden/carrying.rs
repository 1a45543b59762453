//! A program with a port of its own: what reaches it, and what it has said when it ends.
//!
//! Nothing is accepted but by the relay, and what the relay has is known exactly. So nothing has to
//! be held to find a good moment to part: when the relay accepts no more and has carried all to its
//! end, the program is told to end.

use std::time::Duration;

use rustix::process::Signal;

use super::{Stage, Warden, family};
use crate::handler::Departure;
use crate::handler::relay::Relay;
use crate::program::Serves;
use crate::program::private_port::HOST;
use crate::program::uptake::takes_one_at_a_time;
use crate::sys::{clock, process};

/// How long what a program has said before its sudden end is carried on.
const CARRYING_ON: Duration = Duration::from_secs(2);

impl Warden<'_> {
    /// The program is ready: connections are carried to it from now on.
    pub(super) fn begin_to_carry(&mut self) {
        let Some(port) = &self.port else { return };
        let place = port.found(&family()).unwrap_or_else(|| port.usual());
        if self.post.seat.slot == 0 && port.is_open_to_others() {
            tracing::warn!(
                "the program listens at {} on all interfaces, where others may reach it past us; tell \
                 it to listen at {HOST}",
                port.number()
            );
        }
        let is_serial = match self.program.ways.serves {
            Serves::Serial => true,
            Serves::Concurrent => false,
            Serves::Auto => takes_one_at_a_time(port, place),
        };
        // More would wait at a program that has no use for them yet, and others may be idle.
        let most = is_serial.then_some(1);
        match Relay::start(self.post, place, most) {
            Ok(relay) => self.relay = Some(relay),
            Err(error) => {
                let problem = format!("no connections can be carried to the program: {error}");
                process::exit_now(self.post.not_started(&problem.into()).code())
            }
        }
    }

    /// A handler whose listener is broken is of no more use.
    pub(super) fn mind_the_relay(&mut self) {
        let is_lost = self.relay.as_ref().is_some_and(Relay::lost_listener);
        if is_lost && matches!(self.stage, Stage::Serving | Stage::Emptying) {
            self.departure = Departure::Listener;
            self.enter(Stage::Parting);
        }
    }

    /// Tells the program to end once nothing is carried to it any more.
    pub(super) fn part_from_the_relay(&mut self, now: Duration) {
        let Some(relay) = &self.relay else { return };
        relay.close();
        let has_patience = now.saturating_sub(self.since) < self.program.idle_patience;
        if relay.is_empty() || !has_patience && relay.is_idle() {
            self.end_the_program(now);
        }
    }

    /// The program has ended: tells whether what it has said has reached whom it was said to.
    ///
    /// What a socket of its own still held the kernel would deliver after its end.
    pub(super) fn has_carried_on(&mut self) -> bool {
        let Some(relay) = &self.relay else { return true };
        let now = clock::now();
        let until = *self.carries_until.get_or_insert_with(|| {
            for pid in family() {
                let _ = rustix::process::kill_process(pid, Signal::KILL);
            }
            relay.finish();
            // Another is to be in its place soon; one that was to end has the spawner's patience.
            if self.stage == Stage::Stopping { Duration::MAX } else { now + CARRYING_ON }
        });
        relay.is_empty() || until <= now
    }
}
