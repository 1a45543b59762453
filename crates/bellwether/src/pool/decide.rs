//! Deciding how many handlers there should be: when the balance is asked, and what its word means.

use std::time::Duration;

use super::event::Source;
use super::life::State;
use super::slot::Slot;
use super::watch::TICK;
use super::{Bounds, Phase, Pool};
use crate::balance::{Balance, Decision, Limit, Occasion, Reading};
use crate::journal::{Entry, Kind};
use crate::sys::clock;
use crate::sys::poller::Interest;

/// How soon the balance is asked again while requests wait and there may be more handlers.
const BRISK: Duration = Duration::from_millis(2);
/// How long at most until those are looked at again that serve and are too many.
const LONG: Duration = Duration::from_secs(2);
/// How long a crew that was taken over is kept: the rule has forgotten why it is there.
const PROBATION: Duration = Duration::from_secs(10);
/// Into how many parts the time that requests have waited is divided: the longer nothing helps, the
/// more seldom the balance is asked.
const PARTS: u32 = 50;
/// How much later for every handler there is, whose page is read for it: at most one percent of
/// a processor is spent on asking.
const A_PAGE: Duration = Duration::from_micros(10);

/// The balance of a pool, and its last word.
pub(super) struct Balancing {
    rule: Box<dyn Balance>,
    decision: Decision,
    /// What the decision was made of.
    reading: Reading,
    /// When to ask again though nothing happens.
    again: Option<Duration>,
    /// Since when requests wait.
    waiting_since: Option<Duration>,
    /// Since when handlers are too many that cannot leave because they serve.
    surplus_since: Option<Duration>,
    /// How many handlers were taken over from a predecessor, and until when they stay.
    taken_over: Option<(usize, Duration)>,
    /// Whether handlers became ready or ended since the balance was asked.
    changed: Option<Occasion>,
    /// When the doorbell was rung that is being answered, or a request woke the spawner in its place.
    rung_at: Option<Duration>,
    /// Whether a request rang.
    by_request: bool,
    /// By how much the bell's count of free threads was off at the last look.
    drift: i64,
}

impl Balancing {
    pub(super) fn by(rule: Box<dyn Balance>) -> Self {
        Self {
            rule,
            decision: Decision::new(0, String::new()),
            reading: Reading::default(),
            again: None,
            waiting_since: None,
            surplus_since: None,
            taken_over: None,
            changed: None,
            rung_at: None,
            by_request: false,
            drift: 0,
        }
    }

    /// Returns when to ask again though nothing happens.
    pub(super) const fn due(&self) -> Option<Duration> {
        self.again
    }

    /// Asks again at this moment at the latest.
    fn no_later_than(&mut self, moment: Duration) {
        self.again = Some(self.again.map_or(moment, |again| again.min(moment)));
    }

    /// Lets the balance be asked once for all that has happened in this turn.
    pub(super) fn ask_about(&mut self, occasion: Occasion) {
        // Whoever is gone counts for more than who has come.
        if self.changed != Some(Occasion::Ended) {
            self.changed = Some(occasion);
        }
    }

    /// Keeps the crew of a predecessor for a while, until the rule knows the load.
    pub(super) fn take_over(&mut self, handlers: usize, now: Duration) {
        self.taken_over = Some((handlers, now + PROBATION));
        self.no_later_than(now + PROBATION);
    }

    /// Returns the crew that was taken over, while it is kept.
    fn heirloom(&self) -> Option<(usize, Duration)> {
        self.taken_over.filter(|(_, end)| self.reading.now < *end)
    }

    /// Returns how many handlers the last decision comes to.
    fn target(&self) -> usize {
        self.decision.target.max(self.heirloom().map_or(0, |(kept, _)| kept))
    }

    /// Returns when the doorbell was rung that the pool answers at this moment.
    pub(super) const fn rung_at(&self) -> Option<Duration> {
        self.rung_at
    }

    /// Forgets that the doorbell was rung: it has been answered.
    pub(super) const fn answered(&mut self) {
        self.rung_at = None;
    }
}

impl Pool {
    /// Tells whether the number of handlers follows the load.
    pub(super) fn is_elastic(&self) -> bool {
        self.bounds.min < self.bounds.max && self.is_making()
    }

    /// Tells whether handlers are made as they are wanted: not in a pool that ends.
    fn is_making(&self) -> bool {
        self.phase != Phase::Closing && self.verdict.is_none() && !self.retiring
    }

    /// A handler has taken the last free thread.
    pub(super) fn answer_doorbell(&mut self) {
        (self.balancing.rung_at, self.balancing.by_request) =
            (Some(self.bell.answer_doorbell()), false);
        self.watch = self.watch.rouse(clock::now());
        self.glance(Occasion::Doorbell);
    }

    /// A request has come while the spawner slept, or while no thread was free.
    pub(super) fn receive_request(&mut self) {
        let now = clock::now();
        self.watch = self.watch.rouse(now);
        if self.is_elastic() {
            (self.balancing.rung_at, self.balancing.by_request) = (Some(now), true);
            self.read_telemetry();
            if self.free() == 0 {
                self.decide(Occasion::Doorbell);
            } else if self.pattern.program.is_some() {
                // Who was free when it was looked last may not be now: whether the request is still
                // there in a moment tells.
                self.balancing.no_later_than(now + BRISK);
            }
        }
    }

    /// Returns how many threads wait for requests, as far as handlers say.
    pub(super) fn free(&self) -> usize {
        let idle = |slot: &Slot| slot.occupant.as_ref().map_or(0, |it| it.seen.idle);
        self.slots.iter().filter(|slot| slot.state == State::Serving).map(idle).sum()
    }

    /// Asks the balance about those who became ready or have ended.
    pub(super) fn ask_about_changes(&mut self) {
        let Some(occasion) = self.balancing.changed.take().filter(|_| self.is_elastic()) else {
            return;
        };
        self.read_telemetry();
        if occasion == Occasion::Ended {
            self.correct_the_bell_at_once();
        }
        self.decide(occasion);
    }

    /// Reads what the handlers say and asks the balance, where it has a choice.
    pub(super) fn glance(&mut self, occasion: Occasion) {
        if self.is_elastic() {
            self.read_telemetry();
            self.decide(occasion);
        } else {
            // There is nothing to ask about any more, now or later.
            self.balancing.again = None;
        }
    }

    /// Asks the balance how many handlers there should be.
    pub(super) fn decide(&mut self, occasion: Occasion) {
        self.balancing.again = None;
        if !self.is_making() {
            return self.bell.disarm();
        }
        // Not while somebody waits at the door: that takes a fraction of a millisecond.
        if self.is_elastic() && occasion == Occasion::Tick {
            self.measure_handlers(clock::now());
        }
        let reading = self.reading(occasion);
        let Bounds { min, max } = self.bounds;
        self.balancing.decision = if min == max {
            let plural = if min == 1 { "" } else { "s" };
            Decision::new(min, format!("fixed: {min} handler{plural}"))
        } else {
            self.balancing.rule.decide(&reading)
        };
        let since = self.balancing.waiting_since.unwrap_or(reading.now);
        self.balancing.waiting_since = (reading.depth > 0).then_some(since);
        self.balancing.reading = reading;
        self.why = self.reason();
        self.set_bell(occasion);
    }

    /// What the balance says, as far as the operator leaves it a choice.
    fn reason(&self) -> String {
        let mut why = self.balancing.decision.why.clone();
        if let Some((kept, _)) = self.balancing.heirloom()
            && kept > self.balancing.decision.target
        {
            why += &format!("; the {kept} taken over are kept until it knows the load");
        }
        match self.bounds {
            bounds if bounds == self.configured => why,
            Bounds { min, max } if min == max => format!("{min}, as the operator says"),
            Bounds { min, max } => format!("{why}; from {min} to {max}, as the operator says"),
        }
    }

    /// Plans when to ask again, and what is to wake the spawner before that.
    ///
    /// The last free thread rings the doorbell; while none is free, the next request itself does.
    /// While requests wait, and just after it was woken, the spawner asks again in a moment
    /// instead, so that it wakes at most once in that time, however many come.
    fn set_bell(&mut self, occasion: Occasion) {
        let Balancing { reading, decision, .. } = &self.balancing;
        let may_grow = self.is_elastic()
            && decision.limit.is_none()
            && decision.target.max(reading.alive()) < self.most()
            && self.boot.pausing(reading.now).is_none();
        let is_brisk = reading.depth > 0 || occasion == Occasion::Doorbell;
        let alive = u32::try_from(reading.alive()).unwrap_or(u32::MAX);
        let since = self.balancing.waiting_since.unwrap_or(reading.now);
        let waited = reading.now.saturating_sub(since);
        let pace = BRISK.saturating_add(A_PAGE.saturating_mul(alive)).max(waited / PARTS);
        let soon = reading.now + pace.min(TICK);
        if let Some(again) = decision.again.filter(|_| self.is_elastic()) {
            self.balancing.no_later_than(again.max(soon));
        }
        if may_grow && is_brisk {
            self.balancing.no_later_than(soon);
        }
        if let Some((_, end)) = self.balancing.heirloom() {
            self.balancing.no_later_than(end.max(soon));
        }
        let by_request = occasion == Occasion::Doorbell && self.balancing.by_request;
        let mut somebody_is_free = self.free() > 0;
        if may_grow && !is_brisk {
            somebody_is_free &= self.arm_the_bell();
        } else {
            self.bell.disarm();
        }
        if may_grow && self.balancing.reading.depth == 0 && !by_request && !somebody_is_free {
            self.arm_listeners();
        }
    }

    /// Lets whoever takes the last free thread wake the spawner, once.
    ///
    /// The kernel tells of the doorbell once, too: a handler that rings without end is heard no
    /// more often than the bell is armed. Returns whether there is anybody who could ring.
    fn arm_the_bell(&self) -> bool {
        let token = Source::Doorbell.token();
        let _ = self.poller.change(self.bell.doorbell(), token, Interest::ReadOnce);
        self.bell.arm()
    }

    /// Looks again soon, because handlers that are too many still serve: the longer they have done
    /// so, the less soon.
    pub(super) fn wait_for_the_busy(&mut self) {
        let now = clock::now();
        let since = *self.balancing.surplus_since.get_or_insert(now);
        let pause = (now.saturating_sub(since) / 10).clamp(TICK, LONG);
        self.balancing.no_later_than(now + pause);
    }

    /// Nobody is too many any more.
    pub(super) const fn wait_for_nobody(&mut self) {
        self.balancing.surplus_since = None;
    }

    fn reading(&self, occasion: Occasion) -> Reading {
        let totals = self.totals();
        let serving = || self.slots.iter().filter(|slot| slot.state == State::Serving);
        let seen = serving().filter_map(|slot| slot.occupant.as_ref());
        let reading = Reading {
            now: clock::now(),
            occasion,
            handlers: serving().count(),
            starting: self.count(|slot| slot.state == State::Starting),
            busy: seen.map(|occupant| occupant.seen.busy).sum::<usize>() as f64,
            threads: self.pattern.threads,
            depth: self.depth(),
            accepted: totals.accepted,
            late: totals.late.min(totals.accepted),
            min: self.bounds.min,
            max: self.most(),
            ..Reading::default()
        };
        if self.is_elastic() { self.with_measures(reading) } else { reading }
    }

    /// Returns what keeps the number of handlers from being higher, if something does.
    pub(super) fn limit(&self) -> Option<Limit> {
        let decision = &self.balancing.decision;
        let is_cut = self.is_elastic() && decision.target > self.most();
        decision.limit.or_else(|| is_cut.then_some(Limit::Max))
    }

    /// Settles how many handlers there should be, by the last decision and what has changed since.
    pub(super) fn settle_want(&mut self) {
        let want = self.wanted();
        if want != self.want && self.is_making() {
            self.tell_of_a_want(want);
        }
        self.want = want;
        if self.page.set_elastic(self.is_elastic()) {
            // Until now nobody has counted who waits.
            self.read_telemetry();
            self.correct_the_bell_at_once();
        }
    }

    fn wanted(&self) -> usize {
        if self.phase == Phase::Closing || self.verdict.is_some() {
            return 0;
        }
        if self.retiring {
            return self.count(|slot| slot.stays(self.pattern.generation));
        }
        // Whether the application can be loaded is found out before the first request, not by it.
        let least = usize::from(!self.ever_ready || self.roll.is_some());
        self.wanted_by_load().max(least).min(self.filled())
    }

    /// Returns how many handlers there should be if nothing had to be proven.
    pub(super) fn wanted_by_load(&self) -> usize {
        let target = self.balancing.target().clamp(self.bounds.min, self.most());
        target.min(self.filled())
    }

    /// Returns how many handlers the balance may have at most.
    ///
    /// Those that leave in their own time still take what a handler takes.
    pub(super) fn most(&self) -> usize {
        let Bounds { min, max } = self.bounds;
        let leaving = self.count(|slot| slot.unhurried && slot.state == State::Leaving);
        max.saturating_sub(leaving).min(self.filled()).max(min)
    }

    /// Returns how many handlers there can be, without the places that were given up.
    fn filled(&self) -> usize {
        self.bounds.max.saturating_sub(self.given_up)
    }

    fn tell_of_a_want(&mut self, want: usize) {
        let reading = &self.balancing.reading;
        let entry = Entry::new(Kind::Scale, "balance", self.why.clone())
            .with("from", self.want as f64)
            .with("to", want as f64)
            .with("min", self.bounds.min as f64)
            .with("max", self.bounds.max as f64)
            .with("busy", reading.busy)
            .with("depth", reading.depth.into());
        self.tell(entry);
    }

    /// Sets the bell's count of free threads right, when it was off twice in a row.
    ///
    /// Handlers count while their pages are read, so a difference that does not stay means nothing.
    pub(super) fn correct_the_bell(&mut self) {
        let now = self.bell_excess();
        let lasting = match (self.balancing.drift, now) {
            (before, now) if before > 0 && now > 0 => before.min(now),
            (before, now) if before < 0 && now < 0 => before.max(now),
            _ => 0,
        };
        self.bell.correct_free(lasting);
        self.balancing.drift = now - lasting;
    }

    /// Takes off the bell what somebody who died there counts for.
    pub(super) fn correct_the_bell_at_once(&mut self) {
        self.bell.correct_free(self.bell_excess());
        self.balancing.drift = 0;
    }

    fn bell_excess(&self) -> i64 {
        self.bell.excess(self.free())
    }
}
