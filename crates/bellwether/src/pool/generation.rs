//! Generations: a new one proves itself with one handler, then takes the place of the old.

use rustix::net::Shutdown;

use super::life::{Event, State};
use super::roll::{Roll, Step};
use super::slot::Slot;
use super::template::Template;
use super::{Phase, Pool};
use crate::address::Listener;
use crate::balance::Occasion;
use crate::journal::{Cause, Entry, Kind};
use crate::sys::clock;

impl Pool {
    /// Begins to make a new generation beside the present one; returns its number.
    pub(crate) fn prove(&mut self) -> u64 {
        let from = self.pattern.generation;
        self.newest += 1;
        self.call_off_recycling();
        self.given_up = 0;
        self.pattern.generation = self.newest;
        self.roll = Some(Roll::new(from, self.newest));
        self.decide(Occasion::Tick);
        self.settle_want();
        self.newest
    }

    /// Lets a generation that has proven itself take the place of the old one.
    pub(crate) fn spread(&mut self) {
        if let Some(roll) = &mut self.roll
            && roll.step == Step::Proven
        {
            roll.step = Step::Spreading;
            // A socket file, once removed, could not come back with the old program.
            self.spare.iter().filter(|it| it.may_reopen()).for_each(Listener::close_door);
        }
    }

    /// Gives addresses up that nobody serves any more.
    pub(crate) fn drop_spares(&mut self) {
        self.spare.clear();
    }

    /// Returns how far the new generation is; `None`: there is no change.
    pub(crate) fn step(&self) -> Option<&Step> {
        self.roll.as_ref().map(|roll| &roll.step)
    }

    /// Gives the new generation up; the old one never stopped serving.
    pub(crate) fn roll_back(&mut self) {
        let Some(roll) = self.roll.take() else { return };
        self.pattern.generation = roll.from;
        self.dismiss_template(roll.to);
        for index in 0..self.slots.len() {
            let slot = &mut self.slots[index];
            if slot.generation == roll.to {
                slot.cause.get_or_insert(Cause::Change);
                // Who serves already goes when one of the old has taken the place back.
                if slot.state != State::Serving {
                    self.apply(index, Event::Unwanted);
                }
            }
        }
    }

    /// Ends a roll whose new generation serves alone.
    pub(crate) fn settle(&mut self) {
        if self.retiring {
            self.close();
        }
        self.drop_spares();
        if let Some(roll) = self.roll.take() {
            self.dismiss_template(roll.from);
            self.end_the_oldest();
        }
    }

    /// Says which generation serves, and whether older ones still finish.
    pub(crate) fn generation_in_words(&self) -> String {
        let current = self.serving_generation();
        let alive = |slot: &&Slot| slot.state.has_process();
        let old = self.slots.iter().filter(alive).filter(|slot| slot.generation != current).count();
        let also = match old {
            0 => String::new(),
            1 => ", 1 older handler leaves".into(),
            many => format!(", {many} older handlers leave"),
        };
        let serving = self.serving();
        let plural = if serving == 1 { "" } else { "s" };
        format!("pool `{}`: generation {current}, {serving} handler{plural}{also}", self.name)
    }

    /// Tells whether there is anything to change.
    pub(crate) fn may_change(&self) -> bool {
        self.phase == Phase::Serving && !self.retiring
    }

    /// Tells whether no handler is being made, so that nothing is known to a template alone.
    pub(crate) fn is_settled(&self) -> bool {
        !self.slots.iter().any(|slot| slot.occupant.as_ref().is_some_and(|it| it.process.is_none()))
    }

    pub(super) fn proceed_with_roll(&mut self) {
        let Some(roll) = &self.roll else { return };
        let (to, from) = (roll.to, roll.from);
        let ready = self.count(|slot| slot.generation == to && slot.state == State::Serving);
        let old = self.count(|slot| slot.generation == from && slot.stays_or_serves());
        let due = roll.proven_at(&self.rules.change).is_some_and(|at| at <= clock::now());
        let next = match roll.step {
            // A pool that wants nobody has nobody to prove anything.
            Step::Proving { .. } if self.want == 0 => Step::Proven,
            Step::Proving { ready_at: Some(_) } if ready == 0 => Step::Proving { ready_at: None },
            Step::Proving { .. } if due => Step::Proven,
            Step::Proving { ready_at: None } if ready > 0 => {
                Step::Proving { ready_at: Some(clock::now()) }
            }
            Step::Spreading if ready >= self.want && old == 0 => Step::Spread,
            _ => return,
        };
        if let Some(roll) = &mut self.roll {
            roll.step = next;
        }
    }

    /// A generation on trial has failed; returns whether it was one.
    ///
    /// Once it has proven itself only a lasting failure counts: `lasting`.
    pub(super) fn trial_failed(&mut self, generation: u64, problem: &str, lasting: bool) -> bool {
        let Some(roll) = self.roll.as_mut().filter(|roll| roll.to == generation) else {
            return false;
        };
        match roll.step {
            Step::Proving { .. } => {}
            Step::Proven | Step::Spreading if lasting => {}
            Step::Proven | Step::Spreading | Step::Spread => return false,
            Step::Failed(_) => return true, // the first reason is the one
        }
        roll.step = Step::Failed(problem.to_owned());
        let entry = Entry::new(Kind::Change, "canary", problem);
        self.tell(Entry { generation: Some(generation), ..entry });
        true
    }

    fn dismiss_template(&mut self, generation: u64) {
        let until = clock::now() + self.rules.times.last;
        for template in self.templates.iter_mut().filter(|it| it.generation == generation) {
            // It finishes the birth it is at, then sees that nobody asks any more.
            let _ = rustix::net::shutdown(&template.socket, Shutdown::Write);
            template.condemned = true;
            template.until = Some(until);
        }
    }

    pub(super) fn dismiss_templates(&mut self) {
        let generations: Vec<_> = self.templates.iter().map(|it| it.generation).collect();
        generations.into_iter().for_each(|generation| self.dismiss_template(generation));
    }

    /// Ends the templates, of which a successor in this process knows nothing; no handler is being
    /// made.
    pub(crate) fn end_templates(&self) {
        self.templates.iter().for_each(Template::end);
    }

    /// Ends the oldest generations that still finish requests, if there are too many of them.
    fn end_the_oldest(&mut self) {
        let current = self.pattern.generation;
        let mut old: Vec<u64> = self
            .slots
            .iter()
            .filter(|slot| slot.state.has_process())
            .map(|slot| slot.generation)
            .filter(|it| *it != current)
            .collect();
        old.sort_unstable();
        old.dedup();
        let too_many = old.len().saturating_sub(self.rules.change.old_generations);
        for generation in old.into_iter().take(too_many) {
            let reason = "its requests are cut, too many generations are still finishing theirs";
            let entry = Entry::new(Kind::Change, "old_generations", reason);
            let most = self.rules.change.old_generations as f64;
            self.tell(
                Entry { generation: Some(generation), ..entry }.with("old_generations", most),
            );
            for slot in 0..self.slots.len() {
                if self.slots[slot].generation == generation
                    && self.slots[slot].state == State::Leaving
                {
                    self.apply(slot, Event::Expired);
                }
            }
        }
    }
}
