//! The private table: what the spawner knows about each slot, and nobody else can write.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, WaitStatus};

use super::life::State;
use super::overdue::Term;
use super::processor_time::ProcessorTime;
use super::recycle::Wear;
use super::respawn::Backoff;
use crate::handler::Departure;
use crate::journal::Cause;
use crate::scoreboard::telemetry::{Snapshot, TelemetryView};
use crate::sys::poller::Poller;
use crate::sys::{clock, signal};

/// One slot of the pool.
pub(crate) struct Slot {
    /// The number that everybody knows; the lowest that was free in its generation.
    pub(crate) number: usize,
    pub(crate) generation: u64,
    pub(crate) state: State,
    /// Why the handler is to go, if it is.
    pub(crate) cause: Option<Cause>,
    /// Whether what it has in hand may take as long as it likes: only the balance wants it gone.
    pub(crate) unhurried: bool,
    /// When the patience with the state runs out.
    pub(crate) until: Option<Duration>,
    /// Where its program has asked for more time: until when that may go on.
    pub(crate) most: Option<Duration>,
    pub(crate) occupant: Option<Occupant>,
    pub(crate) crashes: Backoff,
    /// For handlers of this slot that never became ready, while others do.
    pub(crate) boots: Backoff,
}

/// The process in a slot.
pub(crate) struct Occupant {
    /// Distinguishes this process from its predecessors in the slot.
    pub(crate) ticket: u64,
    pub(crate) asked_at: Duration,
    /// When the doorbell was rung because of which it was asked for.
    pub(crate) rung_at: Option<Duration>,
    pub(crate) ready_at: Option<Duration>,
    pub(crate) process: Option<Process>,
    /// The way to the handler; closed to dismiss it.
    pub(crate) channel: Option<OwnedFd>,
    /// The file behind its telemetry, for a successor of this spawner.
    pub(crate) page: OwnedFd,
    pub(crate) telemetry: TelemetryView,
    /// The last snapshot that made sense.
    pub(crate) seen: Snapshot,
    /// Whether it is the warden of a program, which says nothing itself.
    pub(crate) foreign: bool,
    /// The processes of a program, its warden the first, as they were seen last.
    pub(crate) family: Vec<Pid>,
    /// Why it could not start, in its own words.
    pub(crate) last_words: Option<String>,
    /// Whether this spawner has told it to leave.
    pub(crate) dismissed: bool,
    /// Whether this spawner has sent it a deadly signal.
    pub(crate) condemned: bool,
    /// Its oldest request, where requests have a hard deadline.
    pub(crate) term: Option<Term>,
    /// What it had used of the processors when it was first asked, and last.
    pub(crate) used: Option<(ProcessorTime, ProcessorTime)>,
    pub(crate) wear: Wear,
}

impl Slot {
    pub(crate) const fn new() -> Self {
        Self {
            number: 0,
            generation: 0,
            state: State::Vacant,
            cause: None,
            unhurried: false,
            until: None,
            most: None,
            occupant: None,
            crashes: Backoff::crash(),
            boots: Backoff::boot(),
        }
    }

    /// Tells whether the slot counts among those of its generation that are to stay.
    ///
    /// Whoever contradicted itself keeps its place: its successor waits as after a crash.
    pub(crate) fn stays(&self, generation: u64) -> bool {
        let keeps = self.cause.is_none_or(|cause| cause == Cause::Contradiction);
        self.generation == generation && keeps && self.state != State::Vacant
    }

    /// Tells whether somebody serves here who is to be replaced by one of this generation.
    pub(crate) fn is_outgoing(&self, generation: u64) -> bool {
        (self.generation != generation || self.cause.is_some()) && self.stays_or_serves()
    }

    /// Tells whether somebody serves here, or will without another decision.
    pub(crate) const fn stays_or_serves(&self) -> bool {
        matches!(self.state, State::Starting | State::Serving | State::Resting)
    }

    /// Tells whether a handler in this slot has nothing in hand, as far as it says.
    pub(crate) fn is_idle(&self) -> bool {
        let seen = self.occupant.as_ref().map(|occupant| &occupant.seen);
        seen.is_none_or(|seen| seen.open == 0 && seen.busy == 0)
    }

    pub(crate) fn pid(&self) -> Option<Pid> {
        Some(self.occupant.as_ref()?.process.as_ref()?.pid)
    }

    /// Returns all processes of the handler, as far as they are known.
    pub(crate) fn processes(&self) -> Vec<Pid> {
        match &self.occupant {
            Some(occupant) if !occupant.family.is_empty() => occupant.family.clone(),
            _ => self.pid().into_iter().collect(),
        }
    }
}

impl Occupant {
    /// Closes the channel and forgets it.
    ///
    /// A copy of it may live for a moment in a template that was just forked, and keep the
    /// registration alive: events of the old channel would be taken for the new one's.
    pub(crate) fn close_channel(&mut self, poller: &Poller) {
        if let Some(channel) = self.channel.take() {
            let _ = poller.remove(&channel);
        }
    }

    /// Reads the telemetry; `false` when it contradicts itself or what it said before.
    pub(crate) fn look(&mut self) -> bool {
        if self.foreign {
            return true;
        }
        let now = self.telemetry.snapshot();
        if now.corrupt || now.contradicts(&self.seen) {
            return false;
        }
        self.seen = now;
        true
    }
}

/// A child process.
///
/// The pid of a child that was not reaped yet belongs to nobody else, and only this spawner
/// reaps its children.
pub(crate) struct Process {
    pub(crate) pid: Pid,
    /// When it was first heard of.
    pub(crate) since: Duration,
}

impl Process {
    pub(crate) fn of(pid: Pid) -> Self {
        Self { pid, since: clock::now() }
    }

    /// Tells whether this kernel has what [`Process::signal`] needs.
    pub(crate) fn probe(&self) -> io::Result<()> {
        match look(&self.hold()?) {
            // The asking process is not its own child, which is the answer looked for.
            Ok(()) | Err(Errno::CHILD) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Sends a signal, if the kernel agrees that the process is our child.
    ///
    /// The pid came in a message; a message may lie, the kernel does not: waiting for a process
    /// that is not a child fails with ECHILD. Between the look and the signal the descriptor
    /// holds on to the process. An orphan that is not yet adopted will be ours in a moment.
    pub(crate) fn signal(&self, signal: Signal) -> Delivery {
        let held = self.hold().and_then(|pidfd| look(&pidfd).map(|()| pidfd));
        match held {
            Ok(pidfd) => {
                let _ = rustix::process::pidfd_send_signal(&pidfd, signal);
                Delivery::Sent
            }
            Err(errno) => Delivery::failed(errno),
        }
    }

    fn hold(&self) -> rustix::io::Result<OwnedFd> {
        rustix::process::pidfd_open(self.pid, rustix::process::PidfdFlags::empty())
    }
}

/// Asks the kernel about a child, without reaping it.
fn look(pidfd: &OwnedFd) -> rustix::io::Result<()> {
    let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    rustix::process::waitid(WaitId::PidFd(pidfd.as_fd()), look).map(drop)
}

/// What came of a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delivery {
    Sent,
    /// There is no such process, or it is not our child.
    NotOurs,
    /// Nobody knows whose process it is: something is short, descriptors most likely.
    Later,
}

impl Delivery {
    /// When to try again what could not be done now.
    pub(crate) const PAUSE: Duration = Duration::from_millis(100);

    const fn failed(errno: Errno) -> Self {
        match errno {
            Errno::SRCH | Errno::CHILD | Errno::INVAL => Self::NotOurs,
            _ => Self::Later,
        }
    }
}

/// Says in words how a process ended.
pub(crate) fn describe(status: WaitStatus) -> String {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => match Departure::from_code(code) {
            Some(Departure::NotStarted) => "it could not start".into(),
            Some(Departure::Listener) => "its listener was broken".into(),
            Some(Departure::Broken) => "it could not go on (see its own message)".into(),
            _ => format!("exited with status {code}"),
        },
        (_, Some(libc::SIGKILL)) => {
            "killed by signal 9 (SIGKILL, by hand or for lack of memory)".into()
        }
        (_, Some(signal)) => format!("killed by signal {signal} ({})", signal::name(signal)),
        _ => "ended".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_child_is_not_ours() {
        let check = |pid| {
            let process = Process::of(pid);
            assert_eq!(process.signal(Signal::URG), Delivery::NotOurs, "{pid:?}");
        };
        check(rustix::process::getpid());
        check(Pid::INIT);
    }

    #[test]
    fn who_lacks_something_does_not_know_whose_process_it_is() {
        for errno in [Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::INTR] {
            assert_eq!(Delivery::failed(errno), Delivery::Later, "{errno}");
        }
        for errno in [Errno::SRCH, Errno::CHILD, Errno::INVAL] {
            assert_eq!(Delivery::failed(errno), Delivery::NotOurs, "{errno}");
        }
    }
}
