//! What the machine can bear: tables for each bound, and the loop through the processors.

use proptest::prelude::*;

use super::super::{Fixed, Resources};
use super::*;

fn budget(wanted: usize) -> Budget {
    Budget::new(Box::new(Fixed::new(wanted)))
}

/// Decides once.
fn once(wanted: usize, reading: &Reading) -> Decision {
    budget(wanted).decide(reading)
}

fn pool(handlers: usize, starting: usize, busy: f64) -> Reading {
    Reading { handlers, starting, busy, min: 2, max: 20, ..Reading::default() }
}

#[test]
fn the_most_allowed_and_the_fewest_hold() {
    let check = |wanted: usize, target: usize, limit: Option<Limit>, why: &str| {
        let decision = once(wanted, &pool(5, 0, 1.0));
        assert_eq!((decision.target, decision.limit), (target, limit), "{wanted}");
        assert_eq!(decision.why, why);
        assert_eq!(decision.again, None, "neither changes by itself");
    };
    check(1, 2, None, "fixed: 1 handler");
    check(20, 20, None, "fixed: 20 handlers");
    check(21, 20, Some(Limit::Max), "fixed: 21 handlers; no more than 20: the most allowed");
}

#[test]
fn no_more_are_made_than_the_memory_holds() {
    let check = |(ready, starting): (usize, usize), free: u64, target: usize| {
        let mut reading = pool(ready, starting, 1.0);
        reading.resources.free_memory = Some(free);
        reading.resources.handler_memory = Some(10);
        let limit = (target < 19).then_some(Limit::Memory);
        let decision = once(19, &reading);
        assert_eq!((decision.target, decision.limit), (target, limit), "{free} free");
        let look = Some(LOOK).filter(|_| limit.is_some());
        assert_eq!(decision.again, look, "memory comes back without a word");
    };
    check((5, 0), 1000, 19);
    check((5, 0), 99, 14);
    check((5, 0), 9, 5); // those that are there stay
    check((1, 0), 0, 2); // and never fewer than allowed
    check((5, 3), 40, 9); // three of the four are on their way
    check((5, 3), 10, 8);
}

#[test]
fn while_memory_is_short_a_pool_does_not_grow_and_while_all_wait_it_shrinks() {
    let check = |pressure: f64, stall: f64, busy: f64, target: usize, why: &str| {
        let mut reading = pool(8, 1, busy);
        (reading.resources.memory_pressure, reading.resources.memory_stall) = (pressure, stall);
        let decision = once(12, &reading);
        assert_eq!(decision.target, target, "{pressure} {stall} {busy}");
        assert!(decision.why.ends_with(why), "{}", decision.why);
        assert_eq!(decision.limit.is_some(), target < 12);
    };
    check(5.0, 1.0, 3.0, 12, "fixed: 12 handlers");
    check(6.0, 0.0, 3.0, 9, "; no more than 9: some wait for memory, 6 % of the time");
    check(9.0, 2.0, 3.0, 4, "; no more than 4: all wait for memory, 9 % of the time");
    check(9.0, 2.0, 0.0, 2, "; no more than 2: all wait for memory, 9 % of the time");
    check(f64::NAN, f64::NAN, 0.0, 12, "fixed: 12 handlers");
}

#[test]
fn the_resources_leave_one_handler() {
    let mut reading = Reading { handlers: 1, max: 9, ..Reading::default() };
    reading.resources.memory_stall = 50.0;
    assert_eq!(once(3, &reading).target, 1);
    assert_eq!(once(0, &reading).target, 0, "the rule may take it");
}

/// A machine on which handlers work for a while and wait for something else for a while.
struct Machine {
    processors: f64,
    /// Seconds of a request on a processor, and waiting for something else.
    work: f64,
    wait: f64,
    /// How much longer the work takes for each thread beyond the processors that could run.
    overhead: f64,
    reading: Reading,
}

/// A tenth of a second, as often as a pool is looked at.
const TICK: Duration = Duration::from_millis(100);

impl Machine {
    fn new(processors: f64, work: f64, wait: f64, overhead: f64) -> Self {
        let mut reading = Reading { max: 10_000, ..Reading::default() };
        reading.resources.processors = processors;
        Self { processors, work, wait, overhead, reading }
    }

    /// Returns from how many busy handlers on the processors are.
    fn knee(&self) -> f64 {
        self.processors * (self.work + self.wait) / self.work
    }

    /// Lets a tick pass in which so many requests are there, and obeys.
    fn tick(&mut self, rule: &mut dyn Balance, requests: f64) -> Decision {
        let threads = (self.reading.handlers * self.reading.threads) as f64;
        self.reading.busy = requests.min(threads);
        let decision = rule.decide(&self.reading);
        let (busy, seconds) = (self.reading.busy, TICK.as_secs_f64());
        let (rate, work) = self.rate(busy);
        let used = rate * work * seconds;
        let delay = (busy * seconds - used - rate * self.wait * seconds).max(0.0);
        let resources = &mut self.reading.resources;
        resources.processor_time += Duration::from_secs_f64(used);
        resources.run_delay += Duration::from_secs_f64(delay);
        self.reading.now += TICK;
        self.reading.handlers = decision.target;
        decision
    }

    /// Returns requests a second, and what each takes of a processor.
    fn rate(&self, busy: f64) -> (f64, f64) {
        let (mut rate, mut work) = (0.0, self.work);
        for _ in 0..50 {
            rate = (busy / (work + self.wait)).min(self.processors / work);
            let could_run = busy - rate * self.wait;
            let more = 1.0 + self.overhead * (could_run - self.processors).max(0.0);
            work = f64::midpoint(work, self.work * more);
        }
        (rate, work)
    }
}

/// Runs an overload after a calm time; returns the number of handlers at each tick.
fn overload(machine: &mut Machine, wanted: usize) -> Vec<usize> {
    let calm = (machine.knee() / 2.0).ceil();
    let (mut before, mut after) = (budget(whole(calm)), budget(wanted));
    for _ in 0..200 {
        machine.tick(&mut before, calm);
    }
    after.knee = before.knee;
    let requests = wanted as f64;
    (0..1200).map(|_| machine.tick(&mut after, requests).target).collect()
}

fn whole(value: f64) -> usize {
    super::super::reading::whole(value)
}

#[test]
fn in_an_overload_a_pool_settles_a_quarter_above_the_knee_and_stays() {
    // The overhead of the fourth is far beyond what switching costs: so the knee moves most.
    for (processors, work, wait, overhead, play) in [
        (8.0, 0.01, 0.04, 0.0, 0),
        (8.0, 0.01, 0.04, 0.002, 0),
        (2.0, 0.02, 0.0, 0.0, 0),
        (2.0, 0.002, 0.1, 0.01, 8),
        (64.0, 0.01, 0.01, 0.001, 0),
    ] {
        let mut machine = Machine::new(processors, work, wait, overhead);
        let knee = machine.knee();
        let course = overload(&mut machine, 5000);
        let (settled, name) = (course[course.len() / 2], format!("{processors} {work} {wait}"));
        let most = *course.iter().max().unwrap();
        assert!(most <= 3 * whole(knee) + 2, "{name}: {most} at most, the knee is {knee}");
        let (low, high) = (whole(knee), whole(knee * 1.25 * 1.05) + 3);
        assert!((low..=high).contains(&settled), "{name}: {settled}, the knee is {knee}");
        let later = &course[course.len() / 2..];
        let (least, most) = (later.iter().min().unwrap(), later.iter().max().unwrap());
        assert!(most - least <= play, "{name}: from {least} to {most}");
    }
}

#[test]
fn handlers_that_wait_for_something_else_are_not_limited_by_what_was_before() {
    let mut machine = Machine::new(2.0, 0.01, 0.0, 0.0);
    let (mut before, mut budget) = (budget(4), budget(500));
    for _ in 0..200 {
        machine.tick(&mut before, 1.0);
    }
    budget.knee = before.knee;
    // The requests become others, which wait for something else.
    (machine.work, machine.wait) = (0.000_1, 1.0);
    let ticks = (1..100).find(|_| {
        machine.tick(&mut budget, 500.0);
        machine.reading.handlers == 500
    });
    assert!(ticks.is_some_and(|ticks| ticks <= 15), "doubles, or sees it: {ticks:?}");
}

#[test]
fn an_overload_says_what_limits_and_a_careful_step_does_not() {
    let mut machine = Machine::new(8.0, 0.01, 0.04, 0.0);
    let (mut before, mut budget) = (budget(20), budget(1000));
    for _ in 0..50 {
        machine.tick(&mut before, 20.0);
    }
    budget.knee = before.knee;
    let careful = machine.tick(&mut budget, 1000.0);
    assert_eq!((careful.target, careful.limit), (102, None));
    assert!(careful.why.ends_with("; 102 for now: will the processors bear more?"));
    let last = (0..900).map(|_| machine.tick(&mut budget, 1000.0)).last().unwrap();
    assert_eq!((last.target, last.limit), (53, Some(Limit::Processors)));
    assert!(last.why.ends_with("; no more than 53: the processors are busy"), "{}", last.why);
}

#[test]
fn several_threads_need_fewer_handlers() {
    for (threads, low, high) in [(1, 51, 55), (4, 14, 16), (16, 5, 7)] {
        let mut machine = Machine::new(8.0, 0.01, 0.04, 0.0);
        machine.reading.threads = threads;
        let settled = *overload(&mut machine, 1000).last().unwrap();
        assert!((low..=high).contains(&settled), "{threads} threads: {settled}");
    }
}

#[test]
fn nothing_is_said_of_processors_that_nobody_knows() {
    for processors in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let mut machine = Machine::new(8.0, 0.01, 0.04, 0.0);
        machine.reading.resources.processors = processors;
        let mut budget = budget(1000);
        for _ in 0..200 {
            assert_eq!(machine.tick(&mut budget, 1000.0).target, 1000);
        }
    }
}

proptest! {
    #[test]
    fn who_wants_more_gets_no_less_and_more_memory_never_means_fewer(
        (handlers, starting, busy) in (0..50_usize, 0..50_usize, 0.0..60.0),
        (low, more) in (0..100_usize, 0..100_usize),
        (free, freed, each) in (0..1000_u64, 0..1000_u64, 1..50_u64),
        (pressure, stall) in (0.0..10.0, 0.0..2.0),
    ) {
        let reading = |free| Reading {
            resources: Resources {
                free_memory: Some(free),
                handler_memory: Some(each),
                memory_pressure: pressure,
                memory_stall: stall,
                ..Resources::default()
            },
            ..pool(handlers, starting, busy)
        };
        let target = |wanted, free| once(wanted, &reading(free)).target;
        prop_assert!(target(low, free) <= target(low + more, free));
        prop_assert!(target(low, free) <= target(low, free + freed));
    }
}
