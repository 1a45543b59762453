//! A program that runs beside the pools for as long as they do: an observer.
//!
//! It is this very program, called with other arguments. Nothing depends on it: when it ends it is started
//! again, less and less often, and when the server becomes another program that one starts its own.

use std::fs::File;
use std::io::Write;
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitStatus};

use super::handover::{REHEARSAL, VARIABLE};
use crate::sys::exec::{Calling, own_arguments, replace};
use crate::sys::process::{self, Fork};
use crate::sys::{clock, descriptors, signal};

/// The variable by which it knows whose companion it is.
pub(crate) const SERVER: &str = "BELLWETHER_SERVER";

/// From the end of one to the start of the next, at first and at last.
const PAUSES: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(60)];

/// One that lived this long was in order.
const SETTLED: Duration = Duration::from_secs(60);

/// How long it may take to clean up.
const LAST: Duration = Duration::from_secs(1);

/// What is meant for the spawner alone.
const NOT_FOR_IT: [&str; 8] = [
    VARIABLE,
    REHEARSAL,
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
    "LISTEN_FDS",
    "LISTEN_PID",
    "LISTEN_FDNAMES",
];

/// The program beside the pools, or that there is none.
#[derive(Debug, Default)]
pub(super) struct Companion {
    /// What it is called with, after its name.
    arguments: Option<Vec<String>>,
    server: String,
    living: Option<(Pid, Duration)>,
    /// When the next is to be started.
    next: Duration,
    pause: Duration,
    /// Until when its end is waited for, once it was told.
    ends_by: Option<Duration>,
}

impl Companion {
    pub(super) fn of(server: &str, arguments: Option<Vec<String>>) -> Self {
        Self { arguments, server: server.into(), pause: PAUSES[0], ..Self::default() }
    }

    /// When something is due.
    pub(super) fn due(&self) -> Option<Duration> {
        let starts = (self.arguments.is_some() && self.living.is_none()).then_some(self.next);
        starts.or_else(|| self.ends_by.filter(|_| self.living.is_some()))
    }

    /// Starts it where it is wanted and not there.
    pub(super) fn keep(&mut self, program: &File) {
        let now = clock::now();
        let Some(arguments) =
            self.arguments.as_ref().filter(|_| self.living.is_none() && self.next <= now)
        else {
            return;
        };
        match process::fork() {
            Ok(Fork::Child) => perform(program, arguments, &self.server),
            Ok(Fork::Parent(pid)) => self.living = Some((pid, now)),
            Err(error) => {
                tracing::warn!(%error, "the observer cannot be started yet");
                self.rest(now);
            }
        }
    }

    /// Learns that a child has ended; returns whether it was this one.
    pub(super) fn ended(&mut self, pid: Pid, status: WaitStatus) -> bool {
        let Some((_, since)) = self.living.take_if(|(living, _)| *living == pid) else {
            return false;
        };
        let now = clock::now();
        if now.saturating_sub(since) >= SETTLED {
            self.pause = PAUSES[0];
        }
        if self.ends_by.is_some() {
            return true;
        }
        self.rest(now);
        let (code, signal) = (status.exit_status(), status.terminating_signal());
        let again_s = self.next.saturating_sub(now).as_secs_f64();
        tracing::warn!(code, signal, again_s, "the observer has ended; it is started again");
        true
    }

    fn rest(&mut self, now: Duration) {
        self.next = now.saturating_add(self.pause);
        self.pause = (self.pause * 2).min(PAUSES[1]);
    }

    /// Ends it for good; tells whether that is to be waited for.
    pub(super) fn ends(&mut self) -> bool {
        self.arguments = None;
        let Some((pid, _)) = self.living else { return false };
        let now = clock::now();
        match self.ends_by {
            None => {
                self.ends_by = Some(now.saturating_add(LAST));
                crate::pool::signal_child(pid, Signal::TERM);
                true
            }
            Some(until) if now < until => true,
            Some(_) => {
                self.end_for_now();
                false
            }
        }
    }

    /// Ends it: who comes in our place starts another.
    pub(super) fn end_for_now(&self) {
        if let Some((pid, _)) = self.living {
            crate::pool::signal_child(pid, Signal::KILL);
        }
    }
}

/// In the child: becomes this program, called otherwise.
fn perform(program: &File, arguments: &[String], server: &str) -> ! {
    signal::clean_slate();
    let _ = rustix::process::setpgid(None, None);
    let _ = rustix::process::set_parent_process_death_signal(Some(Signal::KILL));
    descriptors::close_on_exec_from(3);
    let name = own_arguments().into_iter().take(1);
    let arguments = name.chain(arguments.iter().map(|it| it.clone().into_bytes())).collect();
    let mut changes: Vec<_> = NOT_FOR_IT.into_iter().map(|name| (name, None)).collect();
    changes.push((SERVER, Some(server.into())));
    let error = match Calling::with(arguments, &changes) {
        Ok(calling) => replace(program, &calling),
        Err(error) => error,
    };
    let _ = writeln!(std::io::stderr(), "the observer cannot be executed: {error}");
    process::exit_now(127)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_keeps_ending_is_started_less_and_less_often() {
        let mut companion = Companion::of("shop", Some(vec!["observe".into()]));
        assert_eq!(companion.due(), Some(Duration::ZERO));
        let mut pauses = Vec::new();
        for _ in 0..9 {
            companion.rest(Duration::from_secs(100));
            pauses.push((companion.next - Duration::from_secs(100)).as_millis());
        }
        assert_eq!(pauses, [500, 1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000]);
    }

    #[test]
    fn where_none_is_wanted_nothing_is_due() {
        assert_eq!(Companion::of("shop", None).due(), None);
        let mut companion = Companion::of("shop", Some(Vec::new()));
        assert!(!companion.ends());
        assert_eq!(companion.due(), None);
    }
}
