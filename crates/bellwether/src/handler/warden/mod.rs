//! The handler of a program: a small process that starts the program and says for it what handlers
//! say for themselves.
//!
//! Program and warden are one process group, led by the warden. So the spawner has to know nothing
//! about programs: a warden is ready when its program is, finishes when it is told to by stopping
//! the program, and ends as the program ended. Whatever may take its time (a call that the program
//! makes, a program that does not end) takes the time of a process that has no other work.

mod asking;
mod calls;
mod carrying;
mod ending;
mod lines;
mod newline;
mod notices;
mod parting;
mod question;
mod start;
mod watchdog;
mod words;

use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::{Pid, Signal, WaitOptions, WaitStatus};

use super::Departure;
use super::post::{Order, Post};
use super::relay::Relay;
use crate::address::Listener;
use crate::program::evidence::Evidence;
use crate::program::family::Family;
use crate::program::private_port::PrivatePort;
use crate::program::readiness::{Waits, how_it_waits};
use crate::program::{Program, Ready};
use crate::sys::clock;
use crate::sys::signal::Signals;
use asking::Asking;
use calls::Calls;
use lines::Lines;
use newline::Newline;
use notices::Notices;
use parting::Search;
use watchdog::Watchdog;

/// How soon it is looked again whether a program is ready, or a buffer empty: at first, and later.
const SOON: Duration = Duration::from_millis(5);
const LATER: Duration = Duration::from_millis(50);

/// After this time a program counts as ready of which nothing can be seen.
const UNSEEN: Duration = Duration::from_secs(1);

/// What a warden is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The program is not ready yet.
    Starting,
    /// It serves.
    Serving,
    /// It serves until nothing waits any more.
    Emptying,
    /// It serves until it has nothing in hand, but not for long.
    Parting,
    /// It was told to finish what it has and end.
    Stopping,
}

/// The keeper of one program.
struct Warden<'a> {
    program: &'a Program,
    post: &'a Arc<Post>,
    /// The process that was started; whatever else belongs to the program descends from it.
    main: Pid,
    /// How that process has ended.
    ended: Option<WaitStatus>,
    signals: Signals,
    notices: Option<Notices>,
    /// What passes its lines on, where they get its name.
    lines: Option<Lines>,
    /// Where it is to end a line when it is ready.
    newline: Option<Newline>,
    /// As long as it is to answer that it is ready.
    asking: Option<Asking>,
    /// Where it is to say again and again that it is alive.
    watchdog: Option<Watchdog>,
    /// Where it did not, and was told to leave its memory: when it is killed.
    aborted: Option<Duration>,
    /// How many requests it says that it has in hand, if it does.
    in_hand: Option<u64>,
    /// By what the listeners are known in other processes.
    inodes: Vec<u64>,
    /// Where it is to be adopted: what answers its calls, and what it has called.
    calls: Option<Calls>,
    /// Where it has a port of its own: that, and what carries connections there once it is ready.
    port: Option<PrivatePort>,
    relay: Option<Relay>,
    /// As what this handler ends once the program was told to.
    departure: Departure,
    /// What it did that explains why it is not ready.
    seen: Vec<String>,
    stage: Stage,
    since: Duration,
    /// While it parts: the search for a good moment.
    search: Search,
    /// Whether the spawner can still say something.
    hears: bool,
    /// Where the spawner has died: when the program is told to end, or is ended.
    orphaned: Option<Duration>,
    /// Where the program has ended: until when what it has said is carried on.
    carries_until: Option<Duration>,
}

/// Runs the program of a handler of this pool until it has ended.
pub(crate) fn live(program: &Program, pool: &str, post: &Arc<Post>) -> Departure {
    match Warden::start(program, pool, post) {
        Ok(warden) => warden.keep(),
        Err(problem) => post.not_started(&problem.into()),
    }
}

impl Warden<'_> {
    fn keep(mut self) -> Departure {
        loop {
            let all_ended = self.reap();
            let ended = self.ended;
            match ended {
                // What it has started may still finish what it has.
                Some(status)
                    if (all_ended || self.stage != Stage::Stopping) && self.has_carried_on() =>
                {
                    return self.end(status, all_ended);
                }
                _ => {}
            }
            self.proceed(clock::now());
            self.wait();
        }
    }

    /// Learns who has ended of the program; returns whether all have.
    fn reap(&mut self) -> bool {
        loop {
            match rustix::process::wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) if pid == self.main => self.ended = Some(status),
                Ok(Some(_)) | Err(rustix::io::Errno::INTR) => {}
                Ok(None) => return false,
                // No children (ECHILD).
                Err(_) => return true,
            }
        }
    }

    /// Does what it is time for.
    fn proceed(&mut self, now: Duration) {
        if self.stage == Stage::Starting
            && let Some(evidence) = self.evidence(now)
        {
            self.become_ready(evidence);
        }
        self.mind_the_relay();
        self.mind_the_watchdog(now);
        self.mind_the_addresses(now);
        if self.stage == Stage::Emptying && !self.requests_wait() {
            self.enter(Stage::Parting);
        }
        if self.stage == Stage::Parting {
            self.part(now);
        }
        if self.orphaned.is_some_and(|until| until <= now) {
            self.end_without_spawner(now);
        }
    }

    /// Tells whether something waits that this program must still take.
    fn requests_wait(&self) -> bool {
        // The buffer of an inherited listener is its owner's.
        let mut ours = self.post.listeners.iter().filter(|it| !it.is_inherited());
        ours.any(Listener::has_pending)
    }

    /// Looks for what shows that the program is ready.
    fn evidence(&mut self, now: Duration) -> Option<Evidence> {
        match self.program.ready {
            Ready::After(time) => {
                (now.saturating_sub(self.since) >= time).then_some(Evidence::Time)
            }
            Ready::Notify | Ready::Descriptor(_) => None,
            Ready::Http(_) => self.ask(now),
            Ready::Auto | Ready::Accept => match &self.port {
                Some(port) => port.found(&family()).map(|_| Evidence::Port),
                None => self.waits(now),
            },
        }
    }

    fn become_ready(&mut self, evidence: Evidence) {
        if self.stage == Stage::Starting {
            self.enter(Stage::Serving);
            self.watchdog.iter_mut().for_each(|it| it.hear(self.since));
            self.begin_to_carry();
            self.calls.iter_mut().for_each(|it| it.look_back(self.since));
            self.post.ready_by(evidence);
        }
    }

    /// Tells whether the word of the program is enough.
    const fn believes(&self) -> bool {
        matches!(self.program.ready, Ready::Auto | Ready::Notify)
    }

    /// Tells whether what is seen of the program is enough.
    const fn sees(&self) -> bool {
        matches!(self.program.ready, Ready::Auto | Ready::Accept)
    }

    /// Looks how the program waits at one of the addresses, as far as can be seen.
    fn waits(&self, now: Duration) -> Option<Evidence> {
        match how_it_waits(&family(), &self.inodes)? {
            Waits::Poll => Some(Evidence::Poll),
            Waits::Accept => Some(Evidence::Accept),
            Waits::Epoll => Some(Evidence::Epoll),
            // Nothing can be seen: most are ready by then, and requests wait for the others.
            Waits::Unknown => {
                (now.saturating_sub(self.since) >= UNSEEN).then_some(Evidence::Unseen)
            }
            // It has taken a request before it was seen to wait for one.
            Waits::Holds => self.has_accepted().then_some(Evidence::Serves),
        }
    }

    fn enter(&mut self, stage: Stage) {
        (self.stage, self.since) = (stage, clock::now());
    }

    /// Tells the program to finish what it has and end.
    fn stop(&mut self) {
        self.enter(Stage::Stopping);
        self.relay.iter().for_each(Relay::close);
        signal_all(self.stop_signal());
        self.release();
    }

    fn stop_signal(&self) -> Signal {
        Signal::from_named_raw(self.program.ways.stop).unwrap_or(Signal::TERM)
    }

    /// Waits until something happens or it is time for something.
    fn wait(&mut self) {
        let Some([signals, channel, notices, calls, line]) = self.poll() else { return };
        if calls.intersects(PollFlags::IN | PollFlags::HUP) {
            self.answer_calls();
        }
        if signals.contains(PollFlags::IN) {
            self.hear_signals();
        }
        if notices.contains(PollFlags::IN) {
            self.hear_notices();
        }
        if line.intersects(PollFlags::IN | PollFlags::HUP) {
            self.hear_the_newline();
        }
        if !self.hears && channel.contains(PollFlags::HUP) {
            self.orphaned = Some(clock::now().saturating_add(self.post.orphan_limit));
        } else if channel.intersects(PollFlags::RDHUP | PollFlags::HUP) {
            self.hear_the_last();
        } else if channel.contains(PollFlags::IN) {
            // A nudge; programs look for themselves.
            self.post.hear();
            self.relay.iter().for_each(Relay::look);
        }
    }

    /// Returns what happened to signals, channel, notices, calls and the line.
    fn poll(&self) -> Option<[PollFlags; 5]> {
        let limit = self.patience().map(|patience| Timespec {
            tv_sec: i64::try_from(patience.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: patience.subsec_nanos().into(),
        });
        // After the last word only the death of the spawner is heard (poll(2) tells of POLLHUP unasked).
        let channel = Some(self.post.channel.as_fd()).filter(|_| self.orphaned.is_none());
        let words = if self.hears { PollFlags::IN | PollFlags::RDHUP } else { PollFlags::empty() };
        let notices = self.notices.as_ref().map(AsFd::as_fd);
        let calls = self.calls.as_ref().and_then(Calls::source);
        let line = self.newline.as_ref().map(AsFd::as_fd);
        let sources = [Some(self.signals.as_fd()), channel, notices, calls, line];
        let asked = |i: usize| if i == 1 { words } else { PollFlags::IN };
        let mut polled: Vec<PollFd<'_>> = (0..)
            .zip(&sources)
            .filter_map(|(i, fd)| Some(PollFd::from_borrowed_fd((*fd)?, asked(i))))
            .collect();
        rustix::event::poll(&mut polled, limit.as_ref()).ok()?;
        let mut seen = polled.iter().map(PollFd::revents);
        // What is not there is passed over, as it was when they were put together.
        Some(sources.map(|it| it.and_then(|_| seen.next()).unwrap_or(PollFlags::empty())))
    }

    /// Returns how long nothing need happen until there is something to do.
    fn patience(&self) -> Option<Duration> {
        let now = clock::now();
        let look = match self.stage {
            Stage::Starting | Stage::Emptying => {
                let look = (now.saturating_sub(self.since) / 8).clamp(SOON, LATER);
                Some(self.asking.as_ref().and_then(|it| it.patience(now)).unwrap_or(look))
            }
            Stage::Parting if self.relay.is_some() => Some(SOON),
            Stage::Parting => Some(self.search.pause()),
            Stage::Serving | Stage::Stopping => None,
        };
        let orphaned = self.orphaned.map(|until| until.saturating_sub(now));
        let watches = matches!(self.stage, Stage::Serving | Stage::Emptying);
        let silent = self.watchdog.as_ref().filter(|_| watches).map(|it| it.patience(now));
        let aborted = self.aborted.map(|until| until.saturating_sub(now));
        let carries = self.carries_until.map(|_| SOON);
        let back = self.calls.as_ref().and_then(|it| it.patience(now));
        let others = [look, orphaned, carries, back, aborted.or(silent)];
        others.into_iter().flatten().min()
    }

    fn hear_signals(&mut self) {
        let own = rustix::process::getpid();
        while let Some((signal, sender)) = self.signals.next_with_sender() {
            if signal == libc::SIGTERM && Some(own) != sender {
                self.hurry();
            }
        }
    }

    /// The spawner has lost its patience.
    fn hurry(&mut self) {
        // If it has ended, somebody does not take what it has said.
        self.carries_until = self.carries_until.map(|_| Duration::ZERO);
        if self.stage == Stage::Stopping {
            // What it was told was not heard; this most programs understand.
            signal_all(Signal::TERM);
        } else {
            self.stop();
        }
    }

    /// Tells the spawner what may be the reason should the program never be ready.
    fn explain(&mut self, why: String) {
        if self.stage == Stage::Starting && self.seen.len() < 4 && !self.seen.contains(&why) {
            self.seen.push(why);
            self.say_why_not();
        }
    }

    fn say_why_not(&self) {
        let asked = self.asking.as_ref().map(Asking::seen);
        let all: Vec<_> = self.seen.iter().cloned().chain(asked).collect();
        self.post.say_why_not(&all.join(", "));
    }

    /// The channel has closed: with an order, or because the spawner has died.
    fn hear_the_last(&mut self) {
        self.hears = false;
        match self.post.order_at_the_end() {
            Order::Serve => {
                self.orphaned = Some(clock::now().saturating_add(self.post.orphan_grace))
            }
            Order::Leave if self.stage == Stage::Serving => self.enter(Stage::Parting),
            Order::Empty | Order::Finish if self.stage == Stage::Serving => {
                self.enter(Stage::Emptying);
            }
            // Who is not ready yet serves nobody.
            _ if self.stage == Stage::Starting => self.stop(),
            _ => {}
        }
    }
}

/// Sends a signal to all that belongs to the program.
///
/// It comes back to us, who are of the same group, and is told apart by its sender. Some programs
/// have left the group.
fn signal_all(signal: Signal) {
    let own = rustix::process::getpid();
    let has_left = |pid: &Pid| rustix::process::getpgid(Some(*pid)).is_ok_and(|it| it != own);
    for pid in family().into_iter().filter(has_left) {
        let _ = rustix::process::kill_process(pid, signal);
    }
    let _ = rustix::process::kill_process_group(own, signal);
}

/// Returns the processes of the program, without ourselves.
fn family() -> Vec<Pid> {
    let own = rustix::process::getpid();
    let family = Family::of(own);
    family.pids().iter().copied().filter(|pid| *pid != own).collect()
}
