//! What follows from what a program says of itself.

use std::time::Duration;

use rustix::process::WaitStatus;

use super::notices::{Notice, Notices};
use super::{Relay, Stage, Warden};
use crate::handler::Departure;
use crate::program::evidence::Evidence;
use crate::sys::clock;

/// How many times as long as it was meant to the end of a program may take that ends by itself.
const MOST_TIMES: u32 = 10;

const READY_NOWHERE: &str = "it said READY=1, but has opened none of its addresses";

const SAID_THAT_IT_STOPS: &str = "it said STOPPING=1";

impl Warden<'_> {
    pub(super) fn hear_notices(&mut self) {
        let now = clock::now();
        let heard = self.notices.as_ref().map(Notices::heard).unwrap_or_default();
        heard.into_iter().for_each(|notice| self.heed(notice, now));
    }

    fn heed(&mut self, notice: Notice, now: Duration) {
        match notice {
            Notice::Ready if self.is_nowhere() => self.explain(READY_NOWHERE.into()),
            Notice::Ready if self.believes() => self.become_ready(Evidence::Notify),
            Notice::Ready => {}
            Notice::Stopping => self.let_it_end(now),
            Notice::Alive => self.watchdog.iter_mut().for_each(|it| it.hear(now)),
            Notice::Stuck => self.abort(now, "it said WATCHDOG=trigger"),
            Notice::Extend(time) => self.ask_for_time(now, time),
            Notice::Busy(count) => {
                self.in_hand = Some(count);
                self.post.telemetry.has_in_hand(count);
            }
            Notice::Status(words) => self.post.telemetry.says(&words),
        }
    }

    /// Tells whether it is to open an address itself, and has opened none: its word is not enough.
    fn is_nowhere(&self) -> bool {
        self.calls.as_ref().is_some_and(|calls| !calls.has_any())
    }

    /// The spawner sees it when the time that the program has now is up, and bounds it.
    fn ask_for_time(&mut self, now: Duration, time: Duration) {
        let until = now.saturating_add(time);
        self.post.telemetry.asks_for_time(until);
        let most = self.since.saturating_add(self.post.orphan_limit * MOST_TIMES);
        if let Some(end) = self.orphaned.as_mut().filter(|_| self.departure == Departure::Recycle) {
            // Who ends by itself has to do with us alone.
            *end = until.min(most).max(*end);
        }
    }

    /// The program ends by itself: it takes nothing more, and what it has it finishes.
    fn let_it_end(&mut self, now: Duration) {
        match self.stage {
            Stage::Starting => self.explain(SAID_THAT_IT_STOPS.into()),
            Stage::Serving if self.aborted.is_none() => {
                self.departure = Departure::Recycle;
                self.post.say_that_it_ends();
                self.hang_up(now, SAID_THAT_IT_STOPS);
                self.enter(Stage::Stopping);
                self.relay.iter().for_each(Relay::close);
            }
            // It was to be told so itself.
            Stage::Emptying | Stage::Parting => {
                self.enter(Stage::Stopping);
                self.release();
            }
            Stage::Serving | Stage::Stopping => {}
        }
    }

    /// Tells whether a program that ended by itself did so as programs do that are told to.
    pub(super) fn ended_well(&self, status: WaitStatus) -> bool {
        let signal = status.terminating_signal();
        let is_usual = |it: i32| it == libc::SIGTERM || it == self.program.ways.stop;
        status.exit_status() == Some(0) || signal.is_some_and(is_usual)
    }
}
