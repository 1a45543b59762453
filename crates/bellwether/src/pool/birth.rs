//! How handlers come into being: the template is asked, and heard.

use std::time::Duration;

use rustix::process::{Pid, Signal};

use super::Pool;
use super::cradle::Cradle;
use super::event::Source;
use super::life::{Event, State};
use super::message::{Answer, Request};
use super::recycle::Wear;
use super::respawn::jitter;
use super::slot::{Occupant, Process, Slot};
use super::template::{Dowry, Heard, Pattern, Template};
use crate::balance::Occasion;
use crate::error::Error;
use crate::handler::last_will::LastWill;
use crate::handler::post::{ENDS, LAST_WORDS, NOT_STARTED, READY};
use crate::journal::{Cause, Entry, Kind};
use crate::proc::plain;
use crate::program::evidence::Evidence;
use crate::scoreboard::telemetry::Snapshot;
use crate::sys::clock;
use crate::sys::poller::Interest;

impl Pool {
    pub(super) fn fork_template(&mut self, generation: u64) {
        let last_will = self.last_will();
        let dowry = Dowry {
            pool: &self.name,
            pattern: Pattern { generation, ..self.pattern.clone() },
            load: &self.load,
            listeners: &mut self.listeners,
            control: &self.page,
            bell: &self.bell_files,
            last_will,
        };
        let forked = Template::fork(dowry).and_then(|template| {
            self.poller.add(
                &template.socket,
                Source::Template(generation).token(),
                Interest::Read,
            )?;
            Ok(template)
        });
        match forked {
            Ok(template) => self.templates.push(template),
            Err(error) => {
                self.boot_failed(generation, &format!("the template could not be forked: {error}"));
            }
        }
    }

    /// What a handler is to do without us.
    fn last_will(&self) -> LastWill {
        let hard = self.rules.deadlines.hard;
        LastWill::of(self.pattern.orphan_grace, self.rules.times.grace, hard)
    }

    pub(super) fn ask_for_handler(&mut self, index: usize) {
        self.tickets += 1;
        let generation = self.slots[index].generation;
        match self.try_to_ask(index, self.tickets) {
            Ok(()) => {
                self.gone.totals.spawned += 1;
                let entry = Entry::new(Kind::Spawn, "balance", self.why.clone());
                self.tell_of(index, entry.with("want", self.want as f64));
            }
            Err(error) => {
                let is_gone = error.kind() == std::io::ErrorKind::BrokenPipe;
                if !(is_gone && self.template_is_deaf(generation)) {
                    let problem = format!("a handler could not be asked for: {error}");
                    self.boot_failed(generation, &problem);
                }
                self.apply(index, Event::NotForked);
            }
        }
    }

    /// A template does not read any more; how it has ended will be told by the kernel.
    fn template_is_deaf(&mut self, generation: u64) -> bool {
        let until = clock::now() + self.rules.times.last;
        let template = self.templates.iter_mut().find(|it| it.generation == generation);
        let Some(template) = template.filter(|it| it.is_hearing()) else { return false };
        template.deaf = true;
        template.until = Some(until);
        true
    }

    pub(super) fn try_to_ask(&mut self, index: usize, ticket: u64) -> std::io::Result<()> {
        let Slot { generation, number, .. } = self.slots[index];
        let template = self.templates.iter().find(|it| it.generation == generation);
        let template = template.ok_or(std::io::ErrorKind::NotConnected)?;
        let threads = self.pattern.threads;
        let prepared = self.cradle.take().filter(|cradle| cradle.is_for(threads));
        let Cradle { page, telemetry, ours, theirs } =
            prepared.map_or_else(|| Cradle::lay_out(threads), Ok)?;
        let asked_at = clock::now();
        template.ask(Request { slot: index, ticket, number }, &theirs, &page)?;
        // Not before: the order is what somebody waits for. Should it fail, the channel closes, and
        // the handler leaves as soon as it is born.
        self.poller.add(&ours, Source::Channel(index).token(), Interest::Read)?;
        self.slots[index].occupant = Some(Occupant {
            ticket,
            asked_at,
            rung_at: self.balancing.rung_at(),
            ready_at: None,
            process: None,
            channel: Some(ours),
            page,
            telemetry,
            seen: Snapshot::default(),
            foreign: self.pattern.program.is_some(),
            family: Vec::new(),
            last_words: None,
            dismissed: false,
            condemned: false,
            term: None,
            used: None,
            wear: Wear::new(jitter()),
        });
        Ok(())
    }

    /// Lays out what the next handler will need, where one may be needed at any moment.
    pub(super) fn prepare_for_the_next(&mut self) {
        if self.balancing.rung_at().is_some() {
            // The template may be waiting for the processor that we are on.
            rustix::thread::sched_yield();
        }
        if self.is_elastic() && self.cradle.is_none() {
            // What fails now is tried again, and told, when it is needed.
            self.cradle = Cradle::lay_out(self.pattern.threads).ok();
        } else if !self.is_elastic() {
            self.cradle = None;
        }
    }

    /// Writes an entry about the handler in a slot.
    pub(super) fn tell_of(&mut self, index: usize, entry: Entry) {
        let slot = &self.slots[index];
        let (number, generation) = (Some(slot.number), Some(slot.generation));
        let pid = slot.pid().map(Pid::as_raw_pid);
        self.tell(Entry { slot: number, generation, pid, ..entry });
    }

    /// Hears what all templates have said about births.
    pub(crate) fn hear_births(&mut self) {
        let generations: Vec<_> = self.templates.iter().map(|it| it.generation).collect();
        generations.into_iter().for_each(|generation| self.hear_template(generation));
    }

    /// Hears what a template says about births.
    pub(super) fn hear_template(&mut self, generation: u64) {
        while let Some(template) = self.templates.iter().find(|it| it.generation == generation) {
            let answer = match template.answer() {
                Heard::Answer(answer) => answer,
                Heard::Nothing => break,
                Heard::End => {
                    // Its death is not known yet; when it is, this is heard again.
                    let _ = self.poller.remove(&template.socket);
                    if template.ended.is_some() {
                        self.template_is_gone(generation);
                    }
                    break;
                }
            };
            match answer {
                Answer::Born { slot, ticket, pid } => {
                    self.template_has_loaded(generation);
                    self.born(slot, ticket, pid);
                }
                Answer::NotForked { slot, ticket, problem } => {
                    if self.is_current(slot, ticket) {
                        self.boot_failed(generation, &format!("it could not be forked: {problem}"));
                        self.apply(slot, Event::NotForked);
                    }
                }
                Answer::NotLoaded { problem } => self.not_loaded(generation, &problem),
            }
        }
    }

    fn template_has_loaded(&mut self, generation: u64) {
        if let Some(template) = self.templates.iter_mut().find(|it| it.generation == generation) {
            template.loaded_at.get_or_insert_with(clock::now);
        }
    }

    fn not_loaded(&mut self, generation: u64, problem: &str) {
        let problem = format!("the application could not be loaded: {problem}");
        if self.trial_failed(generation, &problem, false) {
            return;
        }
        if self.ever_ready {
            self.boot_failed(generation, &problem);
        } else {
            self.fail(Error::Boot { problem });
        }
    }

    pub(super) fn is_current(&self, slot: usize, ticket: u64) -> bool {
        let occupant = self.slots.get(slot).and_then(|slot| slot.occupant.as_ref());
        occupant.is_some_and(|occupant| occupant.ticket == ticket)
    }

    pub(super) fn born(&mut self, index: usize, ticket: u64, pid: i32) {
        if !self.is_current(index, ticket) {
            return;
        }
        let slot = &mut self.slots[index];
        let Some(occupant) = &mut slot.occupant else { return };
        occupant.process = Pid::from_raw(pid).map(Process::of);
        // It was condemned before it had a name.
        match slot.state {
            State::Ending => self.condemn(index, Signal::TERM),
            State::Killed => self.condemn(index, Signal::KILL),
            _ => {}
        }
    }

    pub(super) fn template_late(&mut self, generation: u64) {
        match self.templates.iter_mut().find(|it| it.generation == generation) {
            Some(template) if template.ended.is_none() && template.deaf => {
                self.template_hangs(generation);
            }
            Some(template) if template.ended.is_none() => template.kill(),
            _ => self.template_is_gone(generation),
        }
    }

    /// Hears a handler: it is ready, or it is going.
    pub(super) fn hear_handler(&mut self, index: usize, hung_up: bool) {
        let Some(occupant) = self.slots.get_mut(index).and_then(|slot| slot.occupant.as_mut())
        else {
            return;
        };
        let Some(channel) = &occupant.channel else { return };
        let mut said = [0; LAST_WORDS];
        let length = rustix::io::read(channel, &mut said);
        let said = said.get(..length.unwrap_or(0)).unwrap_or_default();
        let (mut ready, mut ends) = (None, false);
        for word in said.split(|byte| *byte == 0) {
            match word.split_first() {
                Some((&NOT_STARTED, why)) => occupant.last_words = Some(plain(why)),
                // The rest of longer words may begin with the same letter.
                Some((&READY, by)) if by.len() <= 1 => ready = Some(by.first().copied()),
                Some((&ENDS, [])) => ends = true,
                _ => {}
            }
        }
        if let Some(by) = ready
            && occupant.ready_at.is_none()
        {
            occupant.ready_at = Some(clock::now());
            // What could have been the reason was none.
            occupant.last_words = None;
            // It has nothing more to say; from now on only its silence matters.
            let _ = self.poller.change(channel, Source::Channel(index).token(), Interest::HangUp);
            self.ever_ready = true;
            self.boot.reset();
            self.slots[index].boots.reset();
            self.apply(index, Event::Ready);
            self.tell_of_readiness(index, by.and_then(Evidence::of));
            if self.pattern.program.is_some() {
                // It may have set the backlog of the address that all share.
                self.mend_listeners();
            }
            self.note_birth(index);
            self.balancing.ask_about(Occasion::Ready);
        } else if hung_up || length == Ok(0) {
            occupant.close_channel(&self.poller);
            if ends {
                // It takes nothing more: from now on another is missing.
                self.slots[index].cause.get_or_insert(Cause::Recycle);
            }
            self.apply(index, Event::HungUp);
        }
    }

    fn tell_of_readiness(&mut self, index: usize, evidence: Option<Evidence>) {
        let Some(occupant) = &self.slots[index].occupant else { return };
        let took = clock::now().saturating_sub(occupant.asked_at);
        let entry = match evidence {
            Some(evidence) => {
                let reason = format!("ready after {} ms: {evidence}", took.as_millis());
                Entry::new(Kind::Ready, evidence.word(), reason)
            }
            None => Entry::new(Kind::Ready, "handler", "it waits for requests"),
        };
        let entry = entry.with("took_ms", took.as_secs_f64() * 1000.0);
        let rung_at = occupant.rung_at.unwrap_or(Duration::MAX);
        let steps = [
            ("ring_to_order_us", occupant.asked_at),
            ("ring_to_fork_us", occupant.telemetry.forked_at()),
        ];
        let entry =
            steps.into_iter().fold(entry, |entry, (name, at)| match at.checked_sub(rung_at) {
                Some(took) => entry.with(name, took.as_secs_f64() * 1e6),
                None => entry,
            });
        self.tell_of(index, entry);
    }
}
