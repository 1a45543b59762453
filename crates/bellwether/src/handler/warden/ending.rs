//! How a warden ends: as its program did.

use std::time::Duration;

use rustix::process::{Signal, WaitStatus};

use super::lines::Lines;
use super::{Stage, Warden, family, signal_all};
use crate::handler::Departure;
use crate::sys::{process, signal};

const IN_THE_BACKGROUND: &str = "the program put itself into the background; tell it to stay in \
                                 the foreground (often --no-daemon, -D FOREGROUND or `daemon off`)";

impl Warden<'_> {
    /// The process that was started has ended; ends as it did.
    pub(super) fn end(&self, status: WaitStatus, all_ended: bool) -> Departure {
        // What is left of the group the spawner ends; without one, nobody else would.
        for pid in family() {
            let _ = rustix::process::kill_process(pid, Signal::KILL);
        }
        // Nobody is left who could write more.
        self.lines.iter().for_each(Lines::finish);
        match self.stage {
            // It was told to end; how it did is its own affair. Who ends by itself is to do it well.
            Stage::Stopping if self.departure != Departure::Recycle || self.ended_well(status) => {
                self.departure
            }
            Stage::Starting if !all_ended && status.exit_status() == Some(0) => {
                self.post.not_started(&IN_THE_BACKGROUND.into())
            }
            Stage::Starting => {
                let how = describe(status);
                let seen = self.seen.iter().map(|why| format!("; {why}")).collect::<String>();
                self.post
                    .not_started(&format!("the program {how} before it was ready{seen}").into())
            }
            Stage::Serving | Stage::Emptying | Stage::Parting | Stage::Stopping => {
                if !all_ended && status.exit_status() == Some(0) {
                    self.post.say_why_not(IN_THE_BACKGROUND);
                }
                if let Some(number) = status.terminating_signal() {
                    signal::die_of(number);
                }
                process::exit_now(status.exit_status().map_or(1, own_code))
            }
        }
    }

    /// The spawner has died, and the time is up until which a successor could have come.
    pub(super) fn end_without_spawner(&mut self, now: Duration) {
        self.carries_until = self.carries_until.map(|_| Duration::ZERO);
        if self.stage == Stage::Stopping {
            signal_all(Signal::KILL);
        } else {
            self.stop();
        }
        self.orphaned = Some(now.saturating_add(self.post.orphan_limit));
    }
}

/// What a program means by an exit status is not what we mean by our own.
fn own_code(code: i32) -> i32 {
    match Departure::from_code(code) {
        Some(Departure::NotStarted | Departure::Listener | Departure::Broken | Departure::Cut) => 1,
        _ => code,
    }
}

fn describe(status: WaitStatus) -> String {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => format!("ended with exit status {code}"),
        (_, Some(number)) => format!("was ended by {}", signal::name(number)),
        _ => "ended".into(),
    }
}
