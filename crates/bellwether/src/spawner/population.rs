//! Carrying out what the balance wants and what `life::step` decides.

use std::time::Duration;

use rustix::net::{AddressFamily, Shutdown, SocketFlags, SocketType};
use rustix::process::{Pid, Signal, WaitStatus};

use super::Spawner;
use super::event::Source;
use super::life::{Action, Event, State, step};
use super::message::{Answer, Request};
use super::respawn::jitter;
use super::slot::{Occupant, Process, describe};
use super::template::{Dowry, Template};
use crate::error::Error;
use crate::handler::Departure;
use crate::handler::post::READY;
use crate::handler::refusal::OncePerSecond;
use crate::scoreboard::control::Order;
use crate::scoreboard::telemetry::{self, Snapshot, TelemetryView};
use crate::sys::poller::Interest;
use crate::sys::{clock, process};

/// After so many pauses in a row without any handler ever ready, the server gives up.
const BOOT_ATTEMPTS: u32 = 4;
/// A handler that served this long has its slot's earlier crashes forgiven.
///
/// Short, so that a storm of kills from outside is answered at once, each; what a slot can cost is
/// bounded all the same: ten forks a second, of which one takes about half a millisecond.
const SETTLED: Duration = Duration::from_millis(100);

static CRASH_LINES: OncePerSecond = OncePerSecond::new();

impl Spawner {
    /// Fills slots from the lowest and empties them from the highest, as many as are wanted.
    pub(super) fn populate(&mut self) {
        self.want = if self.stopping.is_some() { 0 } else { self.decide() };
        let pausing = self.boot.pausing(clock::now()).is_some();
        if self.want > 0 && self.template.is_none() && !pausing {
            self.fork_template();
        }
        for slot in (self.want..self.slots.len()).rev() {
            self.apply(slot, Event::Unwanted);
        }
        if self.template.is_some() && !pausing {
            (0..self.want).for_each(|slot| self.apply(slot, Event::Wanted));
        }
        let serving = self.slots.iter().filter(|slot| slot.state == State::Serving).count();
        self.page.set_handlers(serving);
    }

    fn decide(&mut self) -> usize {
        let decision = self.balance.decide(&self.reading());
        self.why = decision.why;
        decision.target.clamp(self.min, self.max)
    }

    fn fork_template(&mut self) {
        let dowry = Dowry {
            pattern: self.pattern.clone(),
            load: &self.load,
            listeners: &mut self.listeners,
            control: &self.page,
            bell: &self.bell_file,
        };
        let forked = Template::fork(dowry).and_then(|template| {
            self.poller.add(&template.socket, Source::Template.token(), Interest::Read)?;
            Ok(template)
        });
        match forked {
            Ok(template) => self.template = Some(template),
            Err(error) => self.boot_failed(&format!("the template could not be forked: {error}")),
        }
    }

    /// Lets an event happen to a slot and does what follows from it.
    pub(super) fn apply(&mut self, index: usize, event: Event) {
        let Some(slot) = self.slots.get_mut(index) else { return };
        let (next, action) = step(slot.state, event);
        if next != slot.state || event == Event::Expired {
            slot.state = next;
            slot.until = next.patience(&self.times).map(|patience| clock::now() + patience);
        }
        match action {
            Action::Nothing => {}
            Action::Fork => self.ask_for_handler(index),
            Action::Dismiss => self.dismiss(index),
            Action::Terminate => self.condemn(index, Signal::TERM),
            Action::Kill => self.condemn(index, Signal::KILL),
            Action::Bury => self.bury(index),
        }
    }

    fn ask_for_handler(&mut self, index: usize) {
        self.tickets += 1;
        match self.try_to_ask(index, self.tickets) {
            Ok(()) => self.gone.spawned += 1,
            Err(error) => {
                self.boot_failed(&format!("a handler could not be asked for: {error}"));
                self.apply(index, Event::NotForked);
            }
        }
    }

    fn try_to_ask(&mut self, index: usize, ticket: u64) -> std::io::Result<()> {
        let template = self.template.as_ref().ok_or(std::io::ErrorKind::NotConnected)?;
        let page = telemetry::file(self.pattern.threads)?;
        let telemetry = TelemetryView::map(&page, self.pattern.threads)?;
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let (ours, theirs) =
            rustix::net::socketpair(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        self.page.order(index, ticket, Order::Serve);
        template.ask(Request { slot: index, ticket }, &theirs, &page)?;
        self.poller.add(&ours, Source::Channel(index).token(), Interest::Read)?;
        self.slots[index].occupant = Some(Occupant {
            ticket,
            asked_at: clock::now(),
            ready_at: None,
            process: None,
            channel: Some(ours),
            telemetry,
            seen: Snapshot::default(),
            condemned: false,
        });
        Ok(())
    }

    /// Orders a handler to finish and leave; closing the channel wakes all its threads.
    fn dismiss(&self, index: usize) {
        let order = if self.stopping.is_some() { Order::Finish } else { Order::Leave };
        let Some(occupant) = &self.slots[index].occupant else { return };
        self.page.order(index, occupant.ticket, order);
        if let Some(channel) = &occupant.channel {
            let _ = rustix::net::shutdown(channel, Shutdown::Write);
        }
    }

    fn condemn(&mut self, index: usize, signal: Signal) {
        let Some(occupant) = &mut self.slots[index].occupant else { return };
        occupant.condemned = true;
        match &occupant.process {
            Some(process) => {
                tracing::warn!(
                    slot = index,
                    pid = process.pid.as_raw_pid(),
                    ?signal,
                    "too late, ending it"
                );
                process.signal(signal);
            }
            // Never heard of and deaf: there is no such process any more.
            None if occupant.channel.is_none() => self.apply(index, Event::NotForked),
            // Still in the making: a template that takes so long hangs.
            None => {
                if let Some(template) = &mut self.template {
                    template.kill();
                }
            }
        }
    }

    /// Closes the books on the process of a slot and lets the slot rest, if only for a moment.
    fn bury(&mut self, index: usize) {
        let slot = &mut self.slots[index];
        slot.until = Some(clock::now());
        let Some(mut occupant) = slot.occupant.take() else { return };
        occupant.look();
        if occupant.condemned {
            self.cut += occupant.seen.open;
        }
        self.gone.exited += 1;
        self.add_to_gone(&occupant.seen);
        self.nudge_after_a_death();
    }

    fn add_to_gone(&mut self, last: &Snapshot) {
        let gone = &mut self.gone;
        gone.accepted += last.wins;
        gone.completed += last.completed;
        // What it held when it died ended with it.
        gone.aborted += last.wins - last.completed;
        gone.requests += last.requests;
        gone.wakeups += last.wakeups;
        gone.losses += last.losses;
        self.waits_gone.resize(telemetry::WAIT_BUCKETS, 0);
        self.waits_gone.iter_mut().zip(last.waits).for_each(|(sum, count)| *sum += count);
    }

    /// Learns which children have ended, and how.
    pub(super) fn reap(&mut self) {
        // The birth of a process is told before its death can be seen; hear that first.
        self.hear_template();
        while let Some((pid, status)) = process::reap() {
            if self.template.as_ref().is_some_and(|template| template.pid == pid) {
                self.template_ended(status);
            } else if let Some(index) = self.slots.iter().position(|slot| slot.pid() == Some(pid)) {
                self.handler_ended(index, status);
            } else {
                // An orphan of a handler that came to us as the sub-reaper, or as PID 1.
                tracing::debug!(pid = pid.as_raw_pid(), "a process that is no handler has ended");
            }
        }
    }

    fn handler_ended(&mut self, index: usize, status: WaitStatus) {
        let Some(occupant) = &self.slots[index].occupant else { return };
        let (ready_at, condemned) = (occupant.ready_at, occupant.condemned);
        let orderly = condemned || status.exit_status() == Some(Departure::Done.code());
        let wanted = matches!(self.slots[index].state, State::Starting | State::Serving);
        let pid = self.slots[index].pid().map_or(0, Pid::as_raw_pid);
        self.apply(index, Event::Exited);
        if condemned && ready_at.is_none() && self.stopping.is_none() {
            let limit = self.times.boot.as_secs_f64();
            return self.boot_failed(&format!("it was not ready within {limit} s"));
        }
        if orderly && !wanted {
            return;
        }
        self.gone.crashed += 1;
        let how = describe(status);
        if CRASH_LINES.allows() {
            tracing::warn!(
                slot = index,
                pid,
                crashed = self.gone.crashed,
                "a handler ended: {how}"
            );
        }
        if status.exit_status() == Some(Departure::Listener.code()) {
            self.mend_listeners();
        }
        let now = clock::now();
        match ready_at {
            None => self.boot_failed(&how),
            Some(since) => {
                let slot = &mut self.slots[index];
                if now.saturating_sub(since) >= SETTLED {
                    slot.crashes.reset();
                }
                slot.until = Some(slot.crashes.fail(now, jitter()));
            }
        }
    }

    fn boot_failed(&mut self, problem: &str) {
        let until = self.boot.fail(clock::now(), jitter());
        let pause_ms = until.saturating_sub(clock::now()).as_millis();
        if CRASH_LINES.allows() {
            tracing::warn!(pause_ms, "a handler did not become ready: {problem}");
        }
        if !self.ever_ready && self.boot.in_a_row() >= BOOT_ATTEMPTS && self.verdict.is_none() {
            self.fail(Error::Boot {
                problem: format!("{BOOT_ATTEMPTS} attempts failed, the last one: {problem}"),
            });
        }
    }

    /// Hears what the template says about births.
    pub(super) fn hear_template(&mut self) {
        while let Some(answer) = self.template.as_ref().and_then(Template::answer) {
            match answer {
                Answer::Born { slot, ticket, pid } => self.born(slot, ticket, pid),
                Answer::NotForked { slot, ticket, problem } => {
                    if self.is_current(slot, ticket) {
                        self.boot_failed(&problem);
                        self.apply(slot, Event::NotForked);
                    }
                }
                Answer::NotLoaded { problem } => self.not_loaded(&problem),
            }
        }
    }

    fn not_loaded(&mut self, problem: &str) {
        let problem = format!("the application could not be loaded: {problem}");
        if self.ever_ready {
            self.boot_failed(&problem);
        } else {
            self.fail(Error::Boot { problem });
        }
    }

    fn is_current(&self, slot: usize, ticket: u64) -> bool {
        let occupant = self.slots.get(slot).and_then(|slot| slot.occupant.as_ref());
        occupant.is_some_and(|occupant| occupant.ticket == ticket)
    }

    fn born(&mut self, index: usize, ticket: u64, pid: i32) {
        if !self.is_current(index, ticket) {
            return;
        }
        let process = Pid::from_raw(pid).and_then(|pid| Process::open(pid).ok());
        let slot = &mut self.slots[index];
        let Some(occupant) = &mut slot.occupant else { return };
        occupant.process = process;
        // It was condemned before it had a name.
        match slot.state {
            State::Ending => self.condemn(index, Signal::TERM),
            State::Killed => self.condemn(index, Signal::KILL),
            _ => {}
        }
    }

    fn template_ended(&mut self, status: WaitStatus) {
        let condemned = self.template.take().is_some_and(|template| template.condemned);
        let unborn: Vec<_> = (0..self.slots.len())
            .filter(|&i| self.slots[i].state.has_process() && self.slots[i].pid().is_none())
            .collect();
        unborn.into_iter().for_each(|index| self.apply(index, Event::NotForked));
        if self.stopping.is_none() && !condemned {
            self.boot_failed(&format!("the template ended: {}", describe(status)));
        }
    }

    /// Hears a handler: it is ready, or it is going.
    pub(super) fn hear_handler(&mut self, index: usize, hung_up: bool) {
        let Some(occupant) = self.slots.get_mut(index).and_then(|slot| slot.occupant.as_mut())
        else {
            return;
        };
        let Some(channel) = &occupant.channel else { return };
        let mut byte = [0; 1];
        let said = rustix::io::read(channel, &mut byte);
        if matches!(said, Ok(1)) && byte[0] == READY && occupant.ready_at.is_none() {
            occupant.ready_at = Some(clock::now());
            // It has nothing more to say; from now on only its silence matters.
            let _ = self.poller.change(channel, Source::Channel(index).token(), Interest::HangUp);
            self.ever_ready = true;
            self.boot.reset();
            self.apply(index, Event::Ready);
        } else if hung_up || matches!(said, Ok(0)) {
            occupant.channel = None;
            self.apply(index, Event::HungUp);
        }
    }

    /// Begins a graceful stop: no newcomers, empty the buffer, finish, leave.
    pub(super) fn stop(&mut self) {
        if self.stopping.is_some() {
            return;
        }
        let alive = self.slots.iter().filter(|slot| slot.state.has_process()).count();
        tracing::info!(handlers = alive, grace_s = self.times.grace.as_secs(), "stopping");
        self.stopping = Some(clock::now());
        self.listeners.iter().for_each(crate::address::Listener::close_door);
        if let Some(template) = &mut self.template {
            // It finishes the birth it is at, then sees that nobody asks any more.
            let _ = rustix::net::shutdown(&template.socket, Shutdown::Write);
            template.until = Some(clock::now() + self.times.last);
        }
    }

    /// Ends everything at once.
    pub(super) fn doom(&mut self) {
        (0..self.slots.len()).for_each(|slot| self.apply(slot, Event::Doom));
        if let Some(template) = &mut self.template {
            template.kill();
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.stopping.is_some()
            && self.template.is_none()
            && !self.slots.iter().any(|slot| slot.state.has_process())
    }
}
