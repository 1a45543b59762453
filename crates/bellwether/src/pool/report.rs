//! Telling how the server is.

use super::life::State;
use super::slot::{Occupant, Slot};
use super::sums::Sums;
use super::{Phase, Pool};

use std::time::Duration;

use crate::buffer::Buffer;
use crate::scoreboard::telemetry::Snapshot;
use crate::status::{AddressStatus, HandlerStatus, PoolStatus, Totals};
use crate::sys::clock;

impl Pool {
    /// Describes the pool at this moment.
    pub(crate) fn report(&mut self) -> PoolStatus {
        self.onlooker.look_anew();
        self.observe_programs();
        let mut good = true;
        for occupant in self.slots.iter_mut().filter_map(|slot| slot.occupant.as_mut()) {
            good &= occupant.look();
        }
        if !good {
            // Whoever contradicts itself is replaced at the next look, and none may be due.
            self.watch = self.watch.rouse(clock::now());
        }
        let (sums, totals) = (self.sums(), self.totals());
        self.pace.note(clock::now(), totals.requests);
        PoolStatus {
            name: self.name.clone(),
            state: self.state().into(),
            generation: self.serving_generation(),
            notification: self.pattern.notification.to_string(),
            serves: self.pattern.program.map(|_| self.onlooker.kind().into()),
            threads: self.pattern.threads,
            min: self.bounds.min,
            max: self.bounds.max,
            want: self.want,
            why: self.why.clone(),
            limited_by: self.limit().map(|limit| limit.to_string()),
            addresses: self.addresses(),
            handlers: self.handlers(),
            totals,
            requests_per_s: self.pattern.program.is_none().then(|| self.pace.per_second()),
            ended: sums.ended.clone(),
            waits: sums.waits(),
            service: sums.service(),
        }
    }

    /// The word for what the pool does on the whole.
    pub(crate) fn state(&self) -> &'static str {
        match self.phase {
            Phase::Serving => "serving",
            Phase::Announcing { .. } => "announcing",
            Phase::Closing if self.is_over() => "drained",
            Phase::Closing => "stopping",
        }
    }

    /// The generation that serves: the old one until the new has taken its place.
    pub(crate) fn serving_generation(&self) -> u64 {
        match &self.roll {
            Some(roll) if roll.step.keeps_the_old() => roll.from,
            _ => self.pattern.generation,
        }
    }

    /// Returns the number of handlers that are ready.
    pub(crate) fn serving(&self) -> usize {
        self.count(|slot| slot.state == State::Serving)
    }

    fn addresses(&self) -> Vec<AddressStatus> {
        let of = |listener: &crate::address::Listener| {
            let buffer = Buffer::of(listener).ok();
            AddressStatus {
                address: listener.address().into(),
                depth: buffer.map_or(0, |buffer| buffer.depth),
                limit: buffer.map_or(0, |buffer| buffer.limit),
                overflows: buffer.and_then(|buffer| buffer.overflows),
            }
        };
        self.listeners.iter().map(of).collect()
    }

    fn handlers(&self) -> Vec<HandlerStatus> {
        let tell = |slot: &Slot| Some(describe(slot, slot.occupant.as_ref()?));
        let mut handlers: Vec<_> = self.slots.iter().filter_map(tell).collect();
        handlers.sort_by_key(|handler| (handler.generation, handler.slot));
        handlers
    }

    /// Sums up the living and the dead.
    pub(super) fn totals(&self) -> Totals {
        let mut sum = self.gone.totals;
        for seen in self.seen() {
            sum.add(seen);
            sum.alive += 1;
        }
        sum.in_flight = sum.accepted.saturating_sub(sum.completed.saturating_add(sum.aborted));
        sum
    }

    /// Sums up what `totals` leaves out, because it is not wanted at every look.
    fn sums(&self) -> Sums {
        let mut sums = self.gone.clone();
        self.seen().for_each(|seen| sums.add(seen));
        sums
    }

    /// What the living have said last.
    fn seen(&self) -> impl Iterator<Item = &Snapshot> {
        self.slots.iter().filter_map(|slot| Some(&slot.occupant.as_ref()?.seen))
    }
}

fn describe(slot: &Slot, occupant: &Occupant) -> HandlerStatus {
    let seen = &occupant.seen;
    let pid = occupant.process.as_ref().map(|process| process.pid);
    HandlerStatus {
        slot: slot.number,
        pid: pid.map(rustix::process::Pid::as_raw_pid),
        // The first is the handler itself.
        processes: occupant.family.iter().skip(1).map(|pid| pid.as_raw_pid()).collect(),
        generation: slot.generation,
        state: word(slot.state, seen, pid.is_some()).into(),
        age_s: (clock::now() - occupant.asked_at).as_secs_f64(),
        busy_s: busy_since(seen).map(|since| clock::now().saturating_sub(since).as_secs_f64()),
        cpu_s: None,
        memory: None,
        wakeups: seen.wakeups,
        wins: seen.wins,
        losses: seen.losses,
        requests: seen.requests,
        panics: seen.aborted,
        open: seen.open,
        switches: None,
        accept_errors: seen.accept_errors,
        first_accept_us: seen.first_accept.and_then(|time| u64::try_from(time.as_micros()).ok()),
        corrupt: !occupant.foreign && occupant.telemetry.snapshot().corrupt,
        says: says(occupant),
    }
}

/// How a program says that it is, or what a handler of our own says of its oldest request.
fn says(occupant: &Occupant) -> Option<String> {
    let telemetry = &occupant.telemetry;
    let words = if occupant.foreign { telemetry.said() } else { telemetry.label_of_oldest() };
    words.filter(|words| !words.is_empty())
}

/// Since when a handler is busy with its oldest request, as far as it says.
///
/// A thread that serves many connections says nothing of a request that has neither deadline nor label.
fn busy_since(seen: &Snapshot) -> Option<Duration> {
    let serial = seen.busy_since.filter(|_| seen.open > 0);
    seen.oldest.or(serial)
}

/// A serving handler is busy as long as it holds a connection.
///
/// Its own word that it is ready may come before the template's word who it is.
const fn word(state: State, seen: &Snapshot, is_known: bool) -> &'static str {
    match state {
        State::Serving if !is_known => State::Starting.word(),
        State::Serving if seen.open > 0 => "busy",
        State::Serving => "idle",
        other => other.word(),
    }
}
