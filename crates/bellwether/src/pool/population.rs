//! Carrying out what the balance wants and what `life::step` decides.

use std::cmp::Reverse;
use std::time::Duration;

use rustix::net::Shutdown;
use rustix::process::Signal;

use super::life::{Action, Event, State, step};
use super::roll::{self, Aims};
use super::rules::Amount;
use super::slot::{Delivery, Slot};
use super::{Phase, Pool, Step};
use crate::handler::Manner;
use crate::handler::post::{EMPTY, FINISH, LEAVE};
use crate::journal::Cause;
use crate::sys::{clock, signal as signals};

/// How many births may be under way at once; about 250 requests fit into the template's socket.
const BIRTHS: usize = 64;

impl Pool {
    /// Makes as many handlers as are wanted and dismisses the others, generation by generation.
    pub(super) fn populate(&mut self) {
        self.settle_want();
        let current = self.pattern.generation;
        let aims = self.aims();
        // Beyond what the operator allows at once, the rest as they become idle.
        let at_once = if self.is_elastic() { aims.new.max(self.bounds.max) } else { aims.new };
        self.dismiss_surplus(|slot| slot.stays(current), at_once, Cause::Drain);
        self.dismiss_the_idle(current, aims.new);
        self.dismiss_surplus(|slot| slot.is_outgoing(current), aims.old, Cause::Change);
        if !self.doomed && !self.held && !self.retiring && self.phase != Phase::Closing {
            self.fill(current, aims.new);
            if let Some(from) =
                self.roll.as_ref().filter(|it| it.step.keeps_the_old()).map(|it| it.from)
                && self.templates.iter().any(|it| it.generation == from)
            {
                self.fill(from, aims.old);
            }
        }
        self.retry = self.boot.pausing(clock::now());
        self.page.set_handlers(self.count(|slot| slot.state == State::Serving));
    }

    /// Returns how many handlers of the current generation there should be, and how many others.
    fn aims(&self) -> Aims {
        let current = self.pattern.generation;
        let ready = self.count(|slot| slot.stays(current) && slot.state == State::Serving);
        let Some(roll) = self.roll.as_ref().filter(|roll| roll.step.keeps_the_old()) else {
            let old = self.count(|slot| slot.is_outgoing(current));
            let mut rules = self.rules.change;
            if self.roll.is_none() {
                // Whoever is recycled serves until another does in its place.
                rules.unavailable = Amount::Count(0);
            }
            return roll::aims(self.want, ready, old, &rules);
        };
        // Those of the old generation whose places nobody can fill are filled by the new.
        let old = self.count(|slot| slot.generation == roll.from && slot.stays_or_serves());
        let orphaned = !self.templates.iter().any(|it| it.generation == roll.from);
        let missing = if orphaned { self.want.saturating_sub(old) } else { 0 };
        let canary = usize::from(!matches!(roll.step, Step::Failed(_)));
        // Nobody of the old is made for the sake of the proof.
        let old = self.want.min(self.wanted_by_load());
        Aims { new: self.want.min(missing.max(canary)), old }
    }

    pub(super) fn count(&self, is: impl Fn(&Slot) -> bool) -> usize {
        self.slots.iter().filter(|slot| is(slot)).count()
    }

    /// Dismisses the highest slots of a kind, so that `most` are left.
    fn dismiss_surplus(&mut self, kind: impl Fn(&Slot) -> bool, most: usize, cause: Cause) {
        let mut some: Vec<usize> =
            (0..self.slots.len()).filter(|&i| kind(&self.slots[i])).collect();
        // Whoever does not serve yet goes first.
        let serves = |i: &usize| self.slots[*i].state == State::Serving;
        some.sort_by_key(|i| (serves(i), Reverse(self.slots[*i].number)));
        let surplus = some.len().saturating_sub(most);
        for index in some.into_iter().take(surplus) {
            let stops = self.phase == Phase::Closing;
            let cause = if stops { Cause::Stop } else { cause };
            self.slots[index].cause.get_or_insert(cause);
            self.apply(index, Event::Unwanted);
        }
    }

    /// Dismisses idle handlers, the highest slots first, so that `most` are left; the busy stay until
    /// they are idle.
    fn dismiss_the_idle(&mut self, generation: u64, most: usize) {
        let staying = |slot: &Slot| slot.stays(generation) && slot.state != State::Resting;
        let surplus = self.count(staying).saturating_sub(most);
        if surplus == 0 {
            return self.wait_for_nobody();
        }
        // A connection that is never the last request is ended politely, and cuts nothing.
        let polite = matches!(self.pattern.manner, Manner::Concurrent { partable: true, .. });
        let is_idle = |slot: &Slot| staying(slot) && (polite || slot.is_idle());
        let mut idle: Vec<usize> =
            (0..self.slots.len()).filter(|&i| is_idle(&self.slots[i])).collect();
        let key = |&i: &usize| (!self.slots[i].is_idle(), Reverse(self.slots[i].number));
        idle.sort_by_key(key);
        idle.truncate(surplus);
        if idle.len() < surplus {
            self.wait_for_the_busy();
        } else {
            self.wait_for_nobody();
        }
        for index in idle {
            let slot = &mut self.slots[index];
            slot.cause.get_or_insert(Cause::Drain);
            slot.unhurried = true;
            self.apply(index, Event::Unwanted);
        }
    }

    /// Asks for handlers, but not for more at once than the template can hear.
    fn fill(&mut self, generation: u64, aim: usize) {
        let missing = aim.saturating_sub(self.count(|slot| slot.stays(generation)));
        if self.boot.pausing(clock::now()).is_some() {
            return;
        }
        let template = self.templates.iter().find(|it| it.generation == generation);
        // One is kept ready even while nobody is missing.
        if template.is_none() && aim > 0 {
            self.fork_template(generation);
        }
        let alive = |it: &super::Template| it.generation == generation && it.is_hearing();
        if !self.templates.iter().any(alive) {
            return;
        }
        let unborn = |slot: &Slot| slot.occupant.as_ref().is_some_and(|it| it.process.is_none());
        let room = BIRTHS.saturating_sub(self.count(unborn));
        for number in self.free_numbers(generation, missing.min(room)) {
            let index = self.vacant();
            let slot = &mut self.slots[index];
            (slot.number, slot.generation, slot.cause) = (number, generation, None);
            slot.unhurried = false;
            self.apply(index, Event::Wanted);
        }
    }

    /// Returns a vacant slot; makes one if there is none.
    fn vacant(&mut self) -> usize {
        let vacant = self.slots.iter().position(|slot| slot.state == State::Vacant);
        vacant.unwrap_or_else(|| {
            self.slots.push(Slot::new());
            self.slots.len() - 1
        })
    }

    /// Returns the lowest numbers that no handler of the generation has who is to stay.
    fn free_numbers(&self, generation: u64, many: usize) -> Vec<usize> {
        let staying = self.slots.iter().filter(|slot| slot.stays(generation));
        let taken: std::collections::HashSet<usize> = staying.map(|slot| slot.number).collect();
        (0..).filter(|number| !taken.contains(number)).take(many).collect()
    }

    /// Lets an event happen to a slot and does what follows from it.
    pub(super) fn apply(&mut self, index: usize, event: Event) {
        let Some(slot) = self.slots.get_mut(index) else { return };
        let (next, action) = step(slot.state, event);
        if next != slot.state || event == Event::Expired {
            slot.state = next;
            slot.most = None;
            slot.until = next
                .patience(&self.rules.times)
                .map(|patience| clock::now().saturating_add(patience));
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
        let order = match self.phase {
            Phase::Closing => FINISH,
            _ if !self.spare.is_empty() => EMPTY,
            _ => LEAVE,
        };
        let Some(occupant) = &mut self.slots[index].occupant else { return };
        occupant.dismissed = true;
        if let Some(channel) = &occupant.channel {
            // Where there is no room for the word, the silence after it says nearly the same.
            let _ = rustix::io::write(channel, &[order]);
            let _ = rustix::net::shutdown(channel, Shutdown::Write);
        }
    }

    /// Ends the process of a slot.
    pub(super) fn condemn(&mut self, index: usize, signal: Signal) {
        let slot = &mut self.slots[index];
        let told = slot.cause == Some(Cause::Deadline);
        let Some(occupant) = &mut slot.occupant else { return };
        let again = std::mem::replace(&mut occupant.condemned, true);
        let is_deaf = occupant.channel.is_none();
        if let Some(process) = &occupant.process {
            if !self.doomed && !again && !told {
                let (pid, name) = (process.pid.as_raw_pid(), signals::name(signal.as_raw()));
                tracing::warn!(slot = index, pid, "a handler took too long, ending it: {name}");
            }
            let since = process.since;
            let pid = process.pid;
            match process.signal(signal) {
                // The kernel has just called it our child; it is ours until we reap it.
                Delivery::Sent if signal == Signal::KILL => self.end_what_is_left_of(pid),
                Delivery::Sent => {}
                Delivery::NotOurs => self.not_ours(index, since),
                Delivery::Later => slot.until = Some(clock::now() + Delivery::PAUSE),
            }
        } else if is_deaf {
            // Never heard of and deaf: there is no such process any more.
            self.apply(index, Event::NotForked);
        } else if self.phase != Phase::Closing {
            self.template_hangs(self.slots[index].generation);
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
    pub(super) fn template_hangs(&mut self, generation: u64) {
        if let Some(template) = self.templates.iter_mut().find(|it| it.generation == generation) {
            template.kill();
        }
        let limit = self.rules.times.boot.as_secs_f64();
        self.boot_failed(
            generation,
            &format!("the application was not loaded, or not forked, within {limit} s"),
        );
    }
}
