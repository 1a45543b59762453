//! Telling a program to end at a moment when it has nothing in hand.
//!
//! Many programs drop what they have when they are told to end, and some end at once. So the
//! program is held for a moment (SIGSTOP) in which the others take what comes, goes on to finish
//! what it has, and is held again before it can have much more. When it has no connection as it
//! is held, the signal to end is the first thing that it finds when it goes on.

use std::path::Path;
use std::time::Duration;

use rustix::process::{Pid, Signal};

use super::{Stage, Warden, family, signal_all};
use crate::program::family::Family;
use crate::program::farewell::{forbid_to_accept, stop_waiting};
use crate::program::in_hand::{Entrance, Homes, unanswered};
use crate::sys::clock;

/// For how long it is held, if it has something in hand.
const HELD: Duration = Duration::from_millis(5);
/// How long it then goes on: at first, and at last.
const SHORT: Duration = Duration::from_micros(300);
const LONG: Duration = Duration::from_millis(100);
/// For how long it does not end while something waits: it may be the one that was woken for it.
const WOKEN: Duration = Duration::from_secs(1);
/// How often a process is asked whether it has stopped: it does so when it next leaves the kernel.
const LOOKS: usize = 200;

/// How far the search for a good moment is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Search {
    held: bool,
    /// Until when it is as it is.
    until: Duration,
    /// How long it goes on next time.
    run: Duration,
}

impl Search {
    pub(super) const fn new() -> Self {
        Self { held: false, until: Duration::ZERO, run: SHORT }
    }

    pub(super) fn pause(&self) -> Duration {
        self.until.saturating_sub(clock::now())
    }
}

impl Warden<'_> {
    /// Tells the program to end if this is a good moment, or the last.
    pub(super) fn part(&mut self, now: Duration) {
        if self.relay.is_some() {
            return self.part_from_the_relay(now);
        }
        if now < self.search.until {
            return;
        }
        let others = family();
        if self.search.held {
            tell(&others, Signal::CONT);
            let run = self.search.run;
            self.search = Search { held: false, until: now + run, run: (run * 3 / 2).min(LONG) };
        } else {
            // However long that takes: the spawner says when it has been long enough.
            tell(&others, Signal::STOP);
            let has_stopped = others.iter().all(|pid| has_stopped(*pid));
            // What it has said last counts.
            self.hear_notices();
            if self.stage != Stage::Parting {
                tell(&others, Signal::CONT);
            } else if has_stopped && self.has_nothing(now) && !self.owes_a_look(now) {
                stop_waiting(&others, &self.inodes);
                if self.program.ways.accepts_late {
                    others.iter().for_each(|pid| forbid_to_accept(*pid));
                }
                self.end_the_program(now);
                tell(&others, Signal::CONT);
            } else {
                self.search = Search { held: true, until: clock::now() + HELD, ..self.search };
            }
        }
    }

    /// Tells the program to end, which has nothing in hand.
    pub(super) fn end_the_program(&mut self, now: Duration) {
        signal_all(self.stop_signal());
        let ms = now.saturating_sub(self.since).as_millis();
        tracing::debug!(slot = self.post.seat.slot, ms, "the program ends with nothing in hand");
        self.enter(Stage::Stopping);
    }

    /// Lets a program go on that is held.
    pub(super) fn release(&mut self) {
        if std::mem::take(&mut self.search.held) {
            tell(&family(), Signal::CONT);
        }
    }

    /// Tells whether it may have been woken for what waits, in the place of another (EPOLLEXCLUSIVE).
    fn owes_a_look(&self, now: Duration) -> bool {
        let is_early = now.saturating_sub(self.since) < WOKEN;
        is_early && self.requests_wait()
    }

    fn has_nothing(&self, now: Duration) -> bool {
        if self.in_hand.is_some_and(|count| count > 0) {
            return false;
        }
        let all = Family::of(rustix::process::getpid());
        let entrances: Vec<_> = self.post.listeners.iter().flat_map(Entrance::of).collect();
        if now.saturating_sub(self.since) >= self.program.idle_patience {
            return unanswered(&entrances, &all).is_ok_and(|count| count == 0);
        }
        let counts = Homes::default().accepted(&entrances, std::slice::from_ref(&all));
        counts.is_ok_and(|counts| counts == [0])
    }

    /// Tells whether the program is seen to have a connection.
    pub(super) fn has_accepted(&self) -> bool {
        let all = Family::of(rustix::process::getpid());
        let entrances: Vec<_> = self.post.listeners.iter().flat_map(Entrance::of).collect();
        let counts = Homes::default().accepted(&entrances, std::slice::from_ref(&all));
        counts.is_ok_and(|counts| counts.iter().sum::<usize>() > 0)
    }
}

/// Sends a signal to each of these: to the group we would send it to ourselves, too.
pub(super) fn tell(family: &[Pid], signal: Signal) {
    for pid in family {
        // They are our descendants, and those that have ended are reaped by us or by theirs.
        let _ = rustix::process::kill_process(*pid, signal);
    }
}

/// Waits until a process has stopped, a few microseconds; one that has ended has, too.
fn has_stopped(pid: Pid) -> bool {
    (0..LOOKS).any(|look| {
        if look > 0 {
            rustix::thread::sched_yield();
        }
        let threads = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten();
        threads.flatten().all(|thread| is_still(&thread.path()))
    })
}

/// Tells whether a thread does nothing: one that is still on its way out of the kernel may have
/// accepted a connection there.
fn is_still(thread: &Path) -> bool {
    let stat = std::fs::read_to_string(thread.join("stat")).unwrap_or_default();
    // The name before it may contain anything, parentheses included (proc_pid_stat(5)).
    let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
    matches!(state, None | Some('T' | 't' | 'Z' | 'X'))
}
