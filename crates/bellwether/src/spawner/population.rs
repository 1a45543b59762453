//! Carrying out what the balance wants and what `life::step` decides.

use std::time::Duration;

use rustix::net::Shutdown;
use rustix::process::Signal;

use super::Spawner;
use super::life::{Action, Event, State, step};
use super::slot::{Slot, signal_name};
use crate::scoreboard::control::Order;
use crate::sys::clock;

/// How many births may be under way at once; about 250 requests fit into the template's socket.
const BIRTHS: usize = 64;

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
        if self.template.as_ref().is_some_and(|it| it.ended.is_none()) && !pausing {
            self.fill();
        }
        let serving = self.slots.iter().filter(|slot| slot.state == State::Serving).count();
        self.page.set_handlers(serving);
    }

    /// Asks for handlers, but not for more at once than the template can hear.
    fn fill(&mut self) {
        let unborn = |slot: &&Slot| slot.occupant.as_ref().is_some_and(|it| it.process.is_none());
        let mut room = BIRTHS.saturating_sub(self.slots.iter().filter(unborn).count());
        for slot in 0..self.want {
            if room > 0 && self.slots[slot].state == State::Vacant {
                self.apply(slot, Event::Wanted);
                room -= 1;
            }
        }
    }

    fn decide(&mut self) -> usize {
        let decision = self.balance.decide(&self.reading());
        self.why = decision.why;
        decision.target.clamp(self.min, self.max)
    }

    /// Lets an event happen to a slot and does what follows from it.
    pub(super) fn apply(&mut self, index: usize, event: Event) {
        let Some(slot) = self.slots.get_mut(index) else { return };
        let (next, action) = step(slot.state, event);
        if next != slot.state || event == Event::Expired {
            slot.state = next;
            slot.until =
                next.patience(&self.times).map(|patience| clock::now().saturating_add(patience));
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

    /// Orders a handler to finish and leave; closing the channel wakes all its threads.
    fn dismiss(&mut self, index: usize) {
        let order = if self.stopping.is_some() { Order::Finish } else { Order::Leave };
        let Some(occupant) = &mut self.slots[index].occupant else { return };
        self.page.order(index, occupant.ticket, order);
        occupant.dismissed = true;
        if let Some(channel) = &occupant.channel {
            let _ = rustix::net::shutdown(channel, Shutdown::Write);
        }
    }

    /// Ends the process of a slot.
    pub(super) fn condemn(&mut self, index: usize, signal: Signal) {
        let Some(occupant) = &mut self.slots[index].occupant else { return };
        let again = std::mem::replace(&mut occupant.condemned, true);
        let is_deaf = occupant.channel.is_none();
        if let Some(process) = &occupant.process {
            if !self.doomed && !again {
                let (pid, name) = (process.pid.as_raw_pid(), signal_name(signal.as_raw()));
                tracing::warn!(slot = index, pid, "a handler took too long, ending it: {name}");
            }
            if !process.signal(signal) {
                let since = process.since;
                self.not_ours(index, since);
            }
        } else if is_deaf {
            // Never heard of and deaf: there is no such process any more.
            self.apply(index, Event::NotForked);
        } else if self.stopping.is_none() {
            self.template_hangs();
        }
        // Else the template is on its way out; what it bore last is still told.
    }

    /// The kernel does not call it our child: not yet, because its go-between still lives, or
    /// never, because the template lied.
    fn not_ours(&mut self, index: usize, since: Duration) {
        let now = clock::now();
        if now.saturating_sub(since) < Duration::from_secs(1) {
            self.slots[index].until = Some(now + Duration::from_millis(5));
        } else {
            self.apply(index, Event::NotForked);
        }
    }

    /// A handler is still in the making, and its time is up.
    fn template_hangs(&mut self) {
        if let Some(template) = &mut self.template {
            template.kill();
        }
        let limit = self.times.boot.as_secs_f64();
        self.boot_failed(&format!(
            "the application was not loaded, or not forked, within {limit} s"
        ));
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
        self.doomed = true;
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
