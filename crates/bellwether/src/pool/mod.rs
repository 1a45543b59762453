//! A pool: addresses, a kind of handler, and a balance that says how many there are.
//!
//! All that happens to it comes as an [`event::Event`] through one queue into one `match`. What a
//! slot goes through is decided by [`life::step`], a pure function; [`population`] carries it out
//! with [`birth`] and [`death`]; how a new generation takes the place of the old is the arithmetic
//! of [`roll`]; [`decide`] asks the balance, [`look`] looks after the buffer, [`overload`] after those
//! who wait too long, [`report`] tells. A pool believes nothing that a handler writes, and signals
//! nobody whom the kernel does not call its child.

mod birth;
mod cgroup;
mod cradle;
mod death;
mod decide;
pub(crate) mod descriptors;
mod event;
mod extension;
mod foreign;
mod fork;
mod free_memory;
mod generation;
pub(crate) mod handover;
mod life;
mod look;
mod memory;
mod message;
mod meter;
mod oom;
mod overdue;
mod overload;
mod pace;
mod population;
mod processor_time;
mod recycle;
mod report;
mod respawn;
mod roll;
pub(crate) mod rules;
mod service;
mod slot;
mod stop;
mod strays;
mod sums;
pub(crate) mod template;
mod watch;

use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use rustix::process::{Pid, Signal};
use serde::{Deserialize, Serialize};

use cradle::Cradle;
use decide::Balancing;
use event::{Event, Source};
use foreign::Onlooker;
use meter::Meter;
use oom::Oom;
use overload::Shedding;
use pace::Pace;
use recycle::Recycler;
use respawn::{Alarm, Backoff, Budget};
use roll::Roll;
pub(crate) use roll::Step;
use rules::Rules;
use slot::{Delivery, Process, Slot};
pub(crate) use stop::Phase;
pub(crate) use strays::end_strays;
use sums::Sums;
use template::{Load, Pattern, Template};
use watch::Watch;

use crate::address::Listener;
use crate::balance::{Balance, Occasion};
use crate::error::{Doing, Error, Result};
use crate::journal::Entry;
use crate::scoreboard::bell::{Bell, BellFiles};
use crate::scoreboard::control::ControlPage;
use crate::sys::clock;
use crate::sys::poller::{Interest, Poller};
use crate::sys::secret::Secret;

/// After so many failures in a row nobody waits for more handlers any longer.
const PATIENT: u32 = 3;

/// What a pool is made of.
pub(crate) struct Plan {
    pub(crate) name: String,
    pub(crate) listeners: Vec<Listener>,
    pub(crate) pattern: Pattern,
    pub(crate) rules: Rules,
    pub(crate) bounds: Bounds,
    pub(crate) balance: Box<dyn Balance>,
    pub(crate) load: Load,
    /// From which handlers of all its generations make their keys of session tickets.
    pub(crate) secret: Option<Secret>,
}

/// Between which numbers of handlers the balance may choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Bounds {
    pub(crate) min: usize,
    pub(crate) max: usize,
}

/// The state of a pool.
pub(crate) struct Pool {
    name: String,
    load: Load,
    secret: Option<Secret>,
    /// What handlers of the current generation have in common.
    pattern: Pattern,
    rules: Rules,
    /// As the operator says now, and as the pool was made.
    bounds: Bounds,
    configured: Bounds,
    balancing: Balancing,
    meter: Meter,
    onlooker: Onlooker,
    why: String,
    want: usize,

    listeners: Vec<Listener>,
    /// Those of the generation before that this one does without.
    spare: Vec<Listener>,
    page: ControlPage,
    bell_files: BellFiles,
    bell: Bell,
    poller: Poller,

    templates: Vec<Template>,
    /// For the next handler.
    cradle: Option<Cradle>,
    roll: Option<Roll>,
    /// The newest generation there has been.
    newest: u64,
    slots: Vec<Slot>,
    tickets: u64,
    boot: Backoff,
    /// When to ask for handlers again, if that had to wait.
    retry: Option<Duration>,
    /// How fast handlers that died may be replaced.
    budget: Budget,
    alarm: Alarm,
    oom: Oom,
    /// Places that stay empty until the next reload or scale: their last handler wanted no successor.
    given_up: usize,
    /// Why the last one that could not start could not.
    boot_problem: String,
    ever_ready: bool,
    /// The sums of handlers that are gone.
    gone: Sums,
    cut: u64,
    /// How many of the crashes have been told in the log.
    crashes_told: u64,

    watch: Watch,
    /// When to look even if nobody comes.
    round: Option<Duration>,
    recycler: Recycler,
    shedding: Shedding,
    /// What waited in each buffer at the last look.
    stood: Vec<u32>,
    /// Whether something waited from the look before to the last one, and nobody took anything.
    stands: bool,
    accepted_seen: u64,
    /// How many requests a second are served.
    pace: Pace,
    phase: Phase,
    /// Whether nobody is made, because this process is about to become another program.
    held: bool,
    /// Whether the configuration does not know it any more: it ends with the change.
    retiring: bool,
    /// Whether everything is to end at once.
    doomed: bool,
    /// Why there is no going on.
    verdict: Option<Error>,
    /// What is to be written into the journal.
    told: Vec<Entry>,
}

/// Signals a child that is no handler, if the kernel agrees that it is our child.
///
/// `false`: that could not be found out now, try again in a moment.
pub(crate) fn signal_child(pid: Pid, signal: Signal) -> bool {
    Process::of(pid).signal(signal) != Delivery::Later
}

impl Pool {
    /// Takes everything over that a pool needs; no process is made yet.
    pub(crate) fn new(plan: Plan) -> Result<Self> {
        Process::of(rustix::process::getpid())
            .probe()
            .doing("hold processes by descriptor (pidfd_open and waitid, Linux 5.4)")?;
        let limits = descriptors::raise(plan.bounds.max, plan.listeners.len())?;
        let bell_files = BellFiles::new().doing("create the bell page")?;
        let pool = Self {
            name: plan.name,
            load: plan.load,
            secret: plan.secret,
            newest: plan.pattern.generation,
            pattern: Pattern { descriptors: limits, ..plan.pattern },
            budget: Budget::per_minute(plan.rules.crash_budget),
            rules: plan.rules,
            bounds: plan.bounds,
            configured: plan.bounds,
            balancing: Balancing::by(plan.balance),
            meter: Meter::default(),
            onlooker: Onlooker::default(),
            why: String::new(),
            want: 0,
            listeners: plan.listeners,
            spare: Vec::new(),
            page: ControlPage::new()
                .doing("create the control page (memfd with seals, Linux 5.1)")?,
            bell: Bell::of(&bell_files).doing("map the bell page")?,
            bell_files,
            poller: Poller::new(64).doing("create an epoll")?,
            templates: Vec::new(),
            cradle: None,
            roll: None,
            slots: Vec::new(),
            tickets: 0,
            boot: Backoff::boot(),
            retry: None,
            alarm: Alarm::default(),
            oom: Oom::now(),
            given_up: 0,
            boot_problem: String::new(),
            ever_ready: false,
            gone: Sums::default(),
            cut: 0,
            crashes_told: 0,
            watch: Watch::Asleep,
            round: Some(clock::now()),
            recycler: Recycler::default(),
            shedding: Shedding::default(),
            stood: Vec::new(),
            stands: false,
            accepted_seen: 0,
            pace: Pace::default(),
            phase: Phase::Serving,
            held: false,
            retiring: false,
            doomed: false,
            verdict: None,
            told: Vec::new(),
        };
        pool.watch_doorbell()?;
        pool.watch_listeners()?;
        Ok(pool)
    }

    fn watch_listeners(&self) -> Result<()> {
        self.listeners.iter().enumerate().try_for_each(|(i, listener)| {
            let token = Source::Listener(i).token();
            self.poller.add(listener, token, Interest::ReadOnce).doing("watch an address")
        })
    }

    fn watch_doorbell(&self) -> Result<()> {
        let token = Source::Doorbell.token();
        self.poller.add(self.bell.doorbell(), token, Interest::ReadOnce).doing("watch the doorbell")
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Reacts to what has happened since the last turn, without waiting for anything.
    pub(crate) fn turn(&mut self) -> Result<()> {
        let ready = self.poller.wait(Some(Duration::ZERO)).doing("look for events")?;
        let mut events = Vec::with_capacity(ready.len());
        for one in ready {
            events.push(match Source::from_token(one.token) {
                Source::Template(generation) => Event::TemplateSpoke(generation),
                Source::Listener(_) => Event::Request,
                Source::Channel(slot) => Event::Channel { slot, hung_up: one.hung_up },
                Source::Doorbell => Event::Doorbell,
            });
        }
        self.add_expired(&mut events);
        events.into_iter().for_each(|event| self.handle(event));
        self.ask_about_changes();
        self.proceed();
        self.populate();
        // With the dismissal of the last of the old a roll is over; none of them need end first.
        self.proceed_with_roll();
        self.prepare_for_the_next();
        self.balancing.answered();
        if self.is_over() {
            // Only now are newcomers refused at once; the socket may have been somebody's to keep.
            self.listeners.clear();
            self.spare.clear();
        }
        Ok(())
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::TemplateSpoke(generation) => self.hear_template(generation),
            Event::Channel { slot, hung_up } => self.hear_handler(slot, hung_up),
            Event::Request => self.receive_request(),
            Event::Doorbell => self.answer_doorbell(),
            Event::Expired(slot) => self.expired(slot),
            Event::TemplateLate(generation) => self.template_late(generation),
            Event::Look => self.look(),
            Event::Decide => self.glance(Occasion::Tick),
        }
    }

    /// A slot's patience has run out, unless an event just before has changed that.
    fn expired(&mut self, slot: usize) {
        let until = self.slots.get(slot).and_then(|slot| slot.until);
        let is_over = until.is_some_and(|until| until <= clock::now());
        if is_over && !self.may_take_longer(slot) && !self.grants_more(slot) {
            self.apply(slot, life::Event::Expired);
        }
    }

    /// Gives a handler more time that only the balance wants gone and that still has something in hand.
    fn may_take_longer(&mut self, index: usize) -> bool {
        let slot = &mut self.slots[index];
        let Some(occupant) = &mut slot.occupant else { return false };
        occupant.look();
        let may = slot.unhurried
            && slot.state == life::State::Leaving
            && self.phase == Phase::Serving
            && occupant.seen.open > 0;
        if may {
            slot.until = Some(clock::now().saturating_add(self.rules.times.grace));
        }
        may
    }

    fn add_expired(&self, events: &mut Vec<Event>) {
        let now = clock::now();
        let late = |until: Option<Duration>| until.is_some_and(|until| until <= now);
        let expired = self.slots.iter().enumerate().filter(|(_, slot)| late(slot.until));
        events.extend(expired.map(|(i, _)| Event::Expired(i)));
        let templates = self.templates.iter().filter(|template| late(template.until));
        events.extend(templates.map(|template| Event::TemplateLate(template.generation)));
        if late(self.next_look()) {
            events.push(Event::Look);
        } else if late(self.balancing.due()) {
            events.push(Event::Decide);
        }
    }

    /// Returns the next moment at which something is due without anything happening.
    pub(crate) fn due(&self) -> Option<Duration> {
        let slots = self.slots.iter().filter_map(|slot| slot.until);
        let templates = self.templates.iter().filter_map(|template| template.until);
        let announced = match self.phase {
            Phase::Announcing { until } => Some(until),
            _ => None,
        };
        let others = [
            self.next_look(),
            self.balancing.due(),
            self.retry,
            self.roll.as_ref().and_then(|roll| roll.proven_at(&self.rules.change)),
            announced,
            self.alarm.due(),
        ];
        slots.chain(templates).chain(others.into_iter().flatten()).min()
    }

    /// Goes on with what waits for its time or for the handlers: a roll, an announced stop.
    fn proceed(&mut self) {
        if let Phase::Announcing { until } = self.phase
            && until <= clock::now()
        {
            self.close();
        }
        if let Some(entry) = self.alarm.calm(clock::now()) {
            tracing::info!(pool = self.name, "{}", entry.reason);
            self.tell(entry);
        }
        self.proceed_with_roll();
    }

    /// Something without which there is no going on has failed.
    fn fail(&mut self, error: Error) {
        let pool = &self.name;
        tracing::error!(target: "bellwether::verdict", %error, pool, "the pool cannot go on");
        self.verdict.get_or_insert(error);
    }

    pub(crate) fn verdict(&mut self) -> Option<Error> {
        self.verdict.take()
    }

    fn tell(&mut self, entry: Entry) {
        self.told.push(Entry { pool: Some(self.name.clone()), ..entry });
    }

    /// Returns what happened since it was last asked for.
    pub(crate) fn told(&mut self) -> Vec<Entry> {
        std::mem::take(&mut self.told)
    }

    /// Sets between which numbers of handlers the balance may choose; `None`: as configured.
    pub(crate) fn set_bounds(&mut self, bounds: Option<Bounds>) -> Result<()> {
        let bounds = bounds.unwrap_or(self.configured);
        let (before, max) = (self.bounds.max, bounds.max);
        descriptors::raise(max.saturating_sub(before), 0)?;
        descriptors::forget(before.saturating_sub(max));
        self.bounds = bounds;
        self.given_up = 0;
        self.read_telemetry();
        self.decide(Occasion::Tick);
        Ok(())
    }

    /// Gives a program that takes the place of this one the limits from before.
    pub(crate) fn restore_limits(&self) {
        descriptors::restore(&self.pattern.descriptors);
    }

    pub(crate) const fn want(&self) -> usize {
        self.want
    }

    /// Says why no more handlers become ready, if they do not.
    pub(crate) fn cannot_grow(&self) -> Option<String> {
        let gave_up = |backoff: &Backoff| backoff.in_a_row() >= PATIENT;
        let any = gave_up(&self.boot) || self.slots.iter().any(|slot| gave_up(&slot.boots));
        any.then(|| format!("pool `{}`: {}", self.name, self.boot_problem))
    }
}

impl AsFd for Pool {
    /// Readable when something has happened to the pool.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.poller.as_fd()
    }
}
