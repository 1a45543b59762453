//! The model: what happens when, one event after the other.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::Duration;

use rand::SeedableRng;
use rand_distr::{Distribution, LogNormal};

use super::crew::{Crew, Ticket};
use super::outcome::{Moment, Served};
use super::processors::Processors;
use super::{Outcome, Random, Request, Sample, Scenario, Workload, clairvoyant};
use crate::balance::{Balance, Decision, Occasion, Reading};

/// How often the server looks around while requests come, and how soon while they wait; how much
/// later for every handler. As in the server's own `pool::watch` and `pool::decide`.
const LOOK: f64 = 0.1;
const BRISK: f64 = 0.002;
const A_PAGE: f64 = 0.000_01;
/// After so many looks without anything new the server sleeps.
const STILL: u32 = 10;

/// How much the time to make a handler varies: its standard deviation by its mean.
const SPAWN_VARIATION: f64 = 0.25;

/// How many samples are taken over a workload.
const SAMPLES: f64 = 1200.0;

/// From when on an answer is of no use any more, in seconds.
const USEFUL: f64 = 1.0;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// A request is served: in which slot, and which one.
    Served {
        slot: usize,
        number: usize,
    },
    Ready(Ticket, Moment),
    /// The rule is to be asked, if nothing was planned anew since.
    Ask(u64),
}

/// What needs a processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Job {
    /// A request; what is left to do after it needs none.
    Request {
        slot: usize,
        number: usize,
        rest: Moment,
    },
    Spawn {
        ticket: Ticket,
        ordered: Moment,
        rest: Moment,
    },
}

/// When and by whom the rule is asked next; as in the server.
#[derive(Debug, Default)]
struct Bell {
    /// Whether whoever takes the last free thread rings.
    armed: bool,
    /// Whether the next request rings that finds no free thread.
    queue_armed: bool,
    /// When the server looks next; `None`: it sleeps.
    look: Option<f64>,
    still: u32,
    accepted_seen: u64,
    /// Identifies the question that is planned.
    plan: u64,
}

pub(super) struct Engine<'a> {
    scenario: &'a Scenario,
    workload: &'a Workload,
    rule: &'a mut dyn Balance,
    now: f64,
    events: BinaryHeap<Reverse<(Moment, Event)>>,
    crew: Crew,
    queue: VecDeque<Request>,
    processors: Option<Processors<Job>>,
    bell: Bell,
    /// When the buffer was empty last.
    empty_at: f64,
    /// Whether no more handlers are possible.
    ceiling_binds: bool,
    accepted: u64,
    spawn_time: f64,
    spawning: Option<LogNormal<f64>>,
    random: Random,
    came_since_sample: u64,
    next_sample: f64,
    outcome: Outcome,
}

impl<'a> Engine<'a> {
    pub(super) fn new(
        scenario: &'a Scenario,
        workload: &'a Workload,
        rule: &'a mut dyn Balance,
        seed: u64,
    ) -> Self {
        let regime = &scenario.regime;
        let bill = clairvoyant::bill(workload, regime);
        let mut random = Random::seed_from_u64(seed);
        let order = Crew::new(scenario.threads, scenario.order, Random::from_rng(&mut random));
        Self {
            scenario,
            workload,
            rule,
            now: 0.0,
            events: BinaryHeap::new(),
            crew: order,
            queue: VecDeque::new(),
            processors: scenario.cpu.map(Processors::new),
            bell: Bell { look: Some(0.0), ..Bell::default() },
            empty_at: 0.0,
            ceiling_binds: false,
            accepted: 0,
            spawn_time: regime.spawn,
            spawning: LogNormal::from_mean_cv(regime.spawn, SPAWN_VARIATION).ok(),
            random,
            came_since_sample: 0,
            next_sample: 0.0,
            outcome: Outcome::new(regime, workload.duration(), bill),
        }
    }

    pub(super) fn run(mut self, progress: &mut dyn FnMut(f64)) -> Outcome {
        for _ in 0..self.scenario.min.max(1) {
            let ticket = self.crew.spawn();
            self.crew.arrive(ticket);
            self.outcome.spawned += 1;
        }
        self.ask(Occasion::Ready);
        let workload = self.workload;
        for (i, request) in workload.requests().iter().enumerate() {
            if i % 4096 == 0 {
                progress(i as f64 / workload.requests().len() as f64);
            }
            while self.step(request.at) {}
            self.pass_time(request.at);
            self.receive(*request);
        }
        while !(self.queue.is_empty() && self.crew.busy() == 0) && self.step(f64::INFINITY) {}
        progress(1.0);
        self.outcome
    }

    /// Lets the next thing happen before `end`; `false`: nothing does.
    fn step(&mut self, end: f64) -> bool {
        let event = self.events.peek().map_or(f64::INFINITY, |Reverse((at, _))| at.0);
        let job = self.processors.as_ref().map_or(f64::INFINITY, Processors::next_end);
        if event.min(job) > end || event.min(job).is_infinite() {
            return false;
        }
        self.pass_time(event.min(job));
        if job < event {
            self.end_job();
        } else if let Some(Reverse((_, event))) = self.events.pop() {
            self.happen(event);
        }
        true
    }

    /// Handlers cost what they cost until the last request has come.
    fn pass_time(&mut self, now: f64) {
        self.take_samples(now);
        let passed = now.min(self.outcome.duration) - self.now.min(self.outcome.duration);
        self.outcome.handler_seconds += passed * self.crew.alive() as f64;
        self.outcome.busy_seconds += passed * self.crew.busy() as f64;
        if let Some(processors) = &mut self.processors {
            processors.advance(now);
        }
        self.now = now;
    }

    fn take_samples(&mut self, now: f64) {
        let step = (self.outcome.duration / SAMPLES).max(0.01);
        while self.next_sample <= now.min(self.outcome.duration) {
            self.outcome.samples.push(Sample {
                at: self.next_sample,
                arrivals: self.came_since_sample as f64 / step,
                busy: self.crew.busy(),
                handlers: self.crew.alive(),
                queue: self.queue.len(),
            });
            self.came_since_sample = 0;
            self.next_sample += step;
        }
    }

    fn schedule(&mut self, after: f64, event: Event) {
        self.events.push(Reverse((Moment(self.now + after), event)));
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Served { slot, number } => self.served(slot, number),
            Event::Ready(ticket, ordered) => self.ready(ticket, ordered.0),
            Event::Ask(plan) if plan == self.bell.plan => self.ask(Occasion::Tick),
            Event::Ask(_) => {}
        }
    }

    /// A request comes.
    fn receive(&mut self, request: Request) {
        self.outcome.requests += 1;
        self.came_since_sample += 1;
        if self.bell.look.is_none() {
            self.bell.look = Some(self.now + LOOK);
            self.plan_question(self.now + LOOK);
        }
        if let Some(slot) = self.crew.take() {
            self.accept(slot, request);
            if self.bell.armed && self.crew.free_threads() == 0 {
                self.ask(Occasion::Doorbell);
            }
        } else if self.queue.len() < self.scenario.buffer {
            self.queue.push_back(request);
            if self.bell.queue_armed {
                self.ask(Occasion::Doorbell);
            }
        } else {
            self.refuse(request);
        }
    }

    fn refuse(&mut self, request: Request) {
        self.accepted += 1;
        self.outcome.late += 1;
        self.outcome.refused += 1;
        let waited = f32::INFINITY;
        self.outcome.served.push(Served { at: request.at, waited, response: waited });
    }

    /// A handler takes a request out of the buffer.
    fn accept(&mut self, slot: usize, request: Request) {
        self.accepted += 1;
        let waited = self.now - request.at;
        self.outcome.late += u64::from(waited > self.scenario.regime.wait);
        // An answer of which nobody can tell the difference from another: single precision.
        #[allow(clippy::cast_possible_truncation)]
        let waited = waited as f32;
        let number = self.outcome.served.len();
        self.outcome.served.push(Served { at: request.at, waited, response: f32::INFINITY });
        match &mut self.processors {
            Some(processors) => {
                let work = request.service * processors.cpu().share;
                let rest = Moment(request.service - work);
                processors.begin(work, Job::Request { slot, number, rest });
            }
            None => self.schedule(request.service, Event::Served { slot, number }),
        }
    }

    fn served(&mut self, slot: usize, number: usize) {
        let served = &mut self.outcome.served[number];
        let response = self.now - served.at;
        #[allow(clippy::cast_possible_truncation)] // as for the wait
        {
            served.response = response as f32;
        }
        self.outcome.good += u64::from(response < USEFUL);
        self.crew.finish(slot);
        self.empty_queue();
    }

    /// Lets free threads take what waits.
    fn empty_queue(&mut self) {
        while !self.queue.is_empty() && self.crew.free_threads() > 0 {
            let Some(request) = self.queue.pop_front() else { break };
            if self.is_to_be_shed(&request) {
                self.refuse(request);
            } else if let Some(slot) = self.crew.take() {
                self.accept(slot, request);
            }
        }
        if self.queue.is_empty() {
            self.empty_at = self.now;
        }
    }

    fn is_to_be_shed(&self, request: &Request) -> bool {
        let wait = self.scenario.regime.wait;
        let stands = self.now - self.empty_at > 10.0 * wait;
        let limit = if stands { wait } else { 10.0 * wait };
        self.scenario.shed && self.ceiling_binds && self.now - request.at > limit
    }

    fn ready(&mut self, ticket: Ticket, ordered: f64) {
        if self.crew.arrive(ticket) {
            self.spawn_time += 0.1 * (self.now - ordered - self.spawn_time);
            self.empty_queue();
            self.ask(Occasion::Ready);
        }
    }

    /// Something does not need a processor any more.
    fn end_job(&mut self) {
        let job = self.processors.as_mut().and_then(Processors::end);
        match job {
            Some(Job::Request { slot, number, rest }) => {
                self.schedule(rest.0, Event::Served { slot, number });
            }
            Some(Job::Spawn { ticket, ordered, rest }) => {
                self.schedule(rest.0, Event::Ready(ticket, ordered));
            }
            None => {}
        }
    }

    fn spawn(&mut self) {
        let ticket = self.crew.spawn();
        self.outcome.spawned += 1;
        let mean = self.scenario.regime.spawn;
        let takes = self.spawning.map_or(mean, |spawning| spawning.sample(&mut self.random));
        let ordered = Moment(self.now);
        match &mut self.processors {
            Some(processors) => {
                let work = processors.cpu().spawn;
                let rest = Moment((takes - work).max(0.0));
                processors.begin(work, Job::Spawn { ticket, ordered, rest });
            }
            None => self.schedule(takes, Event::Ready(ticket, ordered)),
        }
    }

    /// Asks the rule and does what it says.
    fn ask(&mut self, occasion: Occasion) {
        let by_request = self.bell.queue_armed && !self.queue.is_empty();
        let reading = self.reading(occasion);
        let decision = self.rule.decide(&reading);
        self.outcome.decisions += 1;
        let target = decision.target.clamp(self.scenario.min, self.scenario.max);
        for _ in self.crew.alive()..target {
            self.spawn();
        }
        let surplus = self.crew.alive().saturating_sub(target);
        let lingers = self.crew.dismiss(surplus) < surplus;
        self.outcome.peak = self.outcome.peak.max(self.crew.alive());
        self.ceiling_binds = decision.limit.is_some() || target == self.scenario.max;
        self.set_bell(&reading, &decision, by_request, lingers);
    }

    /// Plans when to ask again, and who is to ring before that.
    fn set_bell(
        &mut self,
        reading: &Reading,
        decision: &Decision,
        by_request: bool,
        lingers: bool,
    ) {
        let now = self.now;
        let alive = self.crew.alive();
        let may_grow = !self.ceiling_binds && alive < self.scenario.max;
        let rang = reading.occasion == Occasion::Doorbell;
        let is_brisk = reading.depth > 0 || rang;
        let soon = now + (BRISK + A_PAGE * alive as f64).min(LOOK);
        let again = decision.again.map(|again| again.as_secs_f64().max(soon));
        let brisk = (may_grow && is_brisk).then_some(soon);
        let linger = lingers.then_some(now + LOOK);
        if self.bell.look.is_some_and(|look| look <= now) {
            self.look_around();
        }
        let next = [again, brisk, linger, self.bell.look].into_iter().flatten();
        self.plan_question(next.fold(f64::INFINITY, f64::min));
        let by_request = rang && by_request;
        self.bell.armed = may_grow && !is_brisk;
        self.bell.queue_armed = may_grow
            && (self.bell.look.is_none()
                || (reading.depth == 0 && !by_request && self.crew.free_threads() == 0));
    }

    /// Stays awake while anything is new.
    fn look_around(&mut self) {
        let is_new = self.accepted != self.bell.accepted_seen || !self.queue.is_empty();
        self.bell.still = if is_new { 0 } else { self.bell.still + 1 };
        self.bell.accepted_seen = self.accepted;
        self.bell.look = (self.bell.still < STILL).then_some(self.now + LOOK);
    }

    fn plan_question(&mut self, at: f64) {
        self.bell.plan += 1;
        if at.is_finite() {
            let event = Event::Ask(self.bell.plan);
            self.events.push(Reverse((Moment(at), event)));
        }
    }

    fn reading(&self, occasion: Occasion) -> Reading {
        let regime = &self.scenario.regime;
        let time = |seconds: f64| Duration::try_from_secs_f64(seconds).unwrap_or_default();
        let mut reading = Reading {
            now: time(self.now),
            occasion,
            handlers: self.crew.ready(),
            starting: self.crew.starting(),
            threads: self.scenario.threads,
            busy: self.crew.busy() as f64,
            depth: u32::try_from(self.queue.len()).unwrap_or(u32::MAX),
            accepted: self.accepted,
            late: self.outcome.late,
            min: self.scenario.min,
            max: self.scenario.max,
            spawn_time: time(self.spawn_time),
            spawn_cost: time(regime.cost),
            ..Reading::default()
        };
        if let Some(processors) = &self.processors {
            reading.resources.processors = processors.cpu().processors;
            reading.resources.processor_time = time(processors.used());
            reading.resources.run_delay = time(processors.delayed());
        }
        reading
    }
}
