//! Looking around: is anything stranded, is the address whole, does a handler lie?

use std::time::Duration;

use super::event::Source;
use super::life::{Event, State};
use super::watch::Watch;
use super::{Phase, Pool, overdue};
use crate::address::Health;
use crate::balance::Occasion;
use crate::buffer::Buffer;
use crate::handler::post::NUDGE;
use crate::handler::refusal::OncePerSecond;
use crate::journal::{Cause, Entry, Kind};
use crate::sys::clock;
use crate::sys::poller::Interest;

static MENDING: OncePerSecond = OncePerSecond::new();

impl Pool {
    /// Looks at the listeners, the telemetry and the buffers.
    pub(super) fn look(&mut self) {
        let now = clock::now();
        let overslept = overdue::overslept(self.next_look(), now);
        self.mend_listeners();
        self.read_telemetry();
        self.watch_deadlines(now, overslept);
        self.recycle(now);
        self.tell_of_crashes();
        let depths: Vec<u32> = self.listeners.iter().map(Buffer::depth).collect();
        // Each buffer by itself: a busy address must not hide what is stranded at another.
        let stands = |(before, now): (&u32, &u32)| *before > 0 && *now > 0;
        let stood = self.stood.iter().zip(&depths).any(stands);
        if stood {
            self.nudge_the_idle();
        }
        let totals = self.totals();
        let accepted = totals.accepted;
        self.pace.note(now, totals.requests);
        self.stands = stood && accepted == self.accepted_seen;
        let waiting = depths.iter().any(|depth| *depth > 0);
        let shed = self.shed_or_not(now, self.timed_depth(&depths), self.is_as_large_as_can_be());
        let active = accepted != self.accepted_seen || waiting || self.has_deadlines() || shed;
        (self.stood, self.accepted_seen) = (depths, accepted);
        self.plan_next_look(active);
        self.correct_the_bell();
        self.decide(Occasion::Tick);
        if self.watch == Watch::Asleep {
            self.arm_listeners();
        }
    }

    fn plan_next_look(&mut self, active: bool) {
        let now = clock::now();
        let watch = if active { self.watch.rouse(now) } else { self.watch };
        self.watch = watch.looked(now, active);
        if let Some(deadline) = self.next_deadline() {
            self.watch = self.watch.no_later_than(deadline);
        }
        let rounds = [self.deadline_round(now), self.recycling_round(now)];
        self.round = rounds.into_iter().flatten().min();
    }

    /// Returns when to look next.
    pub(super) fn next_look(&self) -> Option<Duration> {
        self.watch.next().into_iter().chain(self.round).min()
    }

    /// Lets the next request wake the spawner, beside the handlers.
    pub(super) fn arm_listeners(&self) {
        for (i, listener) in self.listeners.iter().enumerate() {
            let _ = self.poller.change(listener, Source::Listener(i).token(), Interest::ReadOnce);
        }
    }

    /// Copies what the handlers say; replaces those whose words contradict themselves.
    pub(super) fn read_telemetry(&mut self) {
        self.observe_programs();
        let mut open = 0;
        for index in 0..self.slots.len() {
            let Some(occupant) = &mut self.slots[index].occupant else { continue };
            if occupant.look() {
                open += occupant.seen.open;
            } else if self.slots[index].state == State::Serving {
                tracing::warn!(
                    slot = index,
                    "a handler's telemetry contradicts itself, replacing it"
                );
                self.slots[index].cause.get_or_insert(Cause::Contradiction);
                self.apply(index, Event::Unwanted);
            }
        }
        self.bell.correct(open);
    }

    pub(super) fn depth(&self) -> u32 {
        self.listeners.iter().map(Buffer::depth).sum()
    }

    /// A handler has died: what it was woken for may still lie in the buffer.
    pub(super) fn nudge_after_a_death(&mut self) {
        self.watch = self.watch.rouse(clock::now());
        if self.phase != Phase::Closing && self.depth() > 0 {
            self.nudge_the_idle();
        }
    }

    /// Asks all handlers that say they are idle to look into the buffers.
    fn nudge_the_idle(&mut self) {
        for slot in self.slots.iter_mut().filter(|slot| slot.state == State::Serving) {
            let Some(occupant) = &mut slot.occupant else { continue };
            occupant.look();
            if let (Some(channel), true) = (&occupant.channel, occupant.seen.idle > 0) {
                // A channel full of nudges needs no more of them.
                let _ = rustix::io::write(channel, &[NUDGE]);
            }
        }
    }

    /// Puts right what a handler may have done to the shared listeners.
    pub(super) fn mend_listeners(&mut self) {
        if self.phase == Phase::Closing {
            return;
        }
        for i in 0..self.listeners.len() {
            let health = self.listeners[i].mend();
            // Programs set the backlog as they like, and mean no harm.
            let usual = self.pattern.program.is_some() && matches!(health, Ok(Health::Mended));
            if usual && self.onlooker.is_first_backlog() {
                let address = self.listeners[i].address();
                let reason = format!(
                    "{address}: a program has set a backlog of its own; it is put right whenever \
                     one does"
                );
                self.tell(Entry::new(Kind::Mend, "backlog", reason));
            }
            if !matches!(health, Ok(Health::Good)) && !usual && MENDING.allows() {
                let address = self.listeners[i].address();
                tracing::warn!(address, ?health, "somebody changed the shared listener");
                let reason =
                    format!("{address}: somebody changed the shared listener ({health:?})");
                self.tell(Entry::new(Kind::Mend, "listener", reason));
            }
            if !matches!(health, Ok(Health::Good | Health::Mended)) {
                self.reopen(i);
            }
        }
    }

    /// Opens a listener anew that cannot be revived; its handlers leave by themselves.
    fn reopen(&mut self, i: usize) {
        match self.listeners[i].reopen() {
            Ok(mut fresh) => {
                if self.pattern.program.is_some_and(|ways| ways.shares_listeners()) {
                    fresh.leave_alone();
                }
                let _ = self.poller.add(&fresh, Source::Listener(i).token(), Interest::ReadOnce);
                self.listeners[i] = fresh;
                // The templates hold the dead one; the next template takes the fresh one.
                self.templates.iter_mut().for_each(super::Template::kill);
            }
            // Only its owner can open it anew, and will when we are gone.
            Err(error) if self.listeners[i].is_inherited() => self.fail(error),
            Err(error) if MENDING.allows() => tracing::error!(%error, "cannot open it anew yet"),
            Err(_) => {}
        }
        self.watch = self.watch.rouse(clock::now());
    }
}
