//! The classic rules against reference models of the servers they come from.
//!
//! The expected numbers were printed by models that were written from the servers' sources, not
//! from this code: the pool of below, in which every worker has a state, and once a second what the
//! server does to it.

use std::time::Duration;

use proptest::prelude::*;

use super::{Balance, Budget, Occasion, Reading, Resources, Rule, Slo};

/// A pool in which each request needs a worker for as long as it is there.
struct Pool {
    /// When each worker becomes, or became, ready.
    ready: Vec<u64>,
    busy: usize,
    backlog: usize,
    startup: u64,
    max: usize,
}

/// One worker of so many that are alive is busy.
type Point = (usize, usize);

impl Pool {
    fn is_ready(&self, now: u64) -> usize {
        self.ready.iter().filter(|ready| **ready <= now).count()
    }

    fn assign(&mut self, now: u64, demand: usize) {
        self.busy = demand.min(self.is_ready(now));
        self.backlog = demand - self.busy;
    }

    fn reading(&self, now: u64, occasion: Occasion) -> Reading {
        let handlers = self.is_ready(now);
        Reading {
            now: Duration::from_secs(now),
            occasion,
            handlers,
            starting: self.ready.len() - handlers,
            busy: self.busy as f64,
            depth: u32::try_from(self.backlog).unwrap(),
            max: self.max,
            ..Reading::default()
        }
    }

    fn obey(&mut self, now: u64, target: usize) {
        // The newest are idle: the ready ones that serve came first.
        while self.ready.len() > target && self.is_ready(now) > self.busy {
            let idle = self.ready.iter().rposition(|ready| *ready <= now).unwrap();
            self.ready.remove(idle);
        }
        while self.ready.len() < target {
            self.ready.push(now + self.startup);
        }
    }
}

/// A rule that has a pool.
struct Run {
    rule: Box<dyn Balance>,
    pool: Pool,
    /// Asked before the pool is looked at, too, or only then.
    by_events: bool,
    by_time: bool,
}

impl Run {
    fn new(rule: &str, max: usize, startup: u64) -> Self {
        let pool = Pool { ready: Vec::new(), busy: 0, backlog: 0, startup, max };
        let by_events = rule.starts_with("unit") || rule.starts_with("fpm-ondemand");
        let by_time = !rule.starts_with("unit");
        let rule = rule.parse::<Rule>().unwrap().build(Slo::default());
        Self { rule, pool, by_events, by_time }
    }

    /// Asks and obeys.
    fn ask(&mut self, now: u64, occasion: Occasion) {
        let decision = self.rule.decide(&self.pool.reading(now, occasion));
        self.pool.obey(now, decision.target);
    }

    /// Returns how many were alive and busy in each second.
    fn course(mut self, seconds: u64, demand: impl Fn(u64) -> usize) -> Vec<Point> {
        self.ask(0, Occasion::Tick);
        let mut course = Vec::new();
        for now in 0..=seconds {
            self.pool.assign(now, demand(now));
            if self.by_events && (!self.by_time || self.pool.backlog > 0) {
                self.ask(now, Occasion::Doorbell);
                self.pool.assign(now, demand(now));
            }
            course.push((self.pool.ready.len(), self.pool.busy));
            if self.by_time && now > 0 {
                self.ask(now, Occasion::Tick);
            }
        }
        course
    }
}

/// Compares the course of a rule with a row of `alive/busy`, at the given seconds.
fn check(seconds: &[u64], (rule, max, startup): Start<'_>, row: &str, demand: fn(u64) -> usize) {
    let course = Run::new(rule, max, startup).course(*seconds.last().unwrap(), demand);
    let at = |second: &u64| course[usize::try_from(*second).unwrap()];
    let found: Vec<_> =
        seconds.iter().map(at).map(|(alive, busy)| format!("{alive}/{busy}")).collect();
    assert_eq!(found.join(" "), row, "{rule}");
}

/// A rule, the most workers allowed, and how many seconds a start takes.
type Start<'a> = (&'a str, usize, u64);

const STEP: [u64; 17] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 15, 20, 30, 60, 90, 120];
const DRAIN: [u64; 14] = [59, 60, 61, 62, 65, 70, 80, 90, 100, 120, 150, 180, 240, 300];

#[test]
#[rustfmt::skip] // rows as the reference prints them
fn a_hundred_requests_at_once_are_met_as_by_the_original() {
    let check = |start: Start<'_>, row: &str| check(&STEP, start, row, |_| 100);
    check(("spare", 256, 0),
        "5/5 5/5 6/6 8/8 12/12 20/20 36/36 68/68 100/100 132/100 131/100 126/100 121/100 111/100 110/100 110/100 110/100");
    check(("fpm-dynamic", 200, 0),
        "2/2 2/2 3/3 4/4 5/5 6/6 7/7 8/8 9/9 10/10 11/11 16/16 21/21 31/31 61/61 91/91 101/100");
    check(("fpm-dynamic:min=32,max=64,start=32", 200, 0),
        "32/32 32/32 33/33 35/35 39/39 47/47 63/63 95/95 127/100 132/100 132/100 132/100 132/100 132/100 132/100 132/100 132/100");
    check(("uwsgi-spare", 200, 0),
        "1/1 1/1 1/1 1/1 2/2 2/2 2/2 3/3 3/3 3/3 4/4 5/5 7/7 10/10 20/20 30/30 40/40");
    check(("uwsgi-spare:step=8", 200, 0),
        "1/1 1/1 1/1 1/1 9/9 9/9 9/9 17/17 17/17 17/17 25/25 33/33 49/49 73/73 101/100 101/100 101/100");
    check(("uwsgi-spare2:cheaper=8,step=4", 200, 0),
        "8/8 8/8 12/12 16/16 20/20 24/24 28/28 32/32 36/36 40/40 44/44 64/64 84/84 108/100 108/100 108/100 108/100");
    check(("uwsgi-backlog:step=4", 200, 0),
        "1/1 1/1 5/5 9/9 13/13 17/17 21/21 25/25 29/29 33/33 37/37 57/57 77/77 97/97 97/97 97/97 97/97");
    check(("unit:spare=5", 200, 0),
        "10/10 15/15 20/20 25/25 30/30 35/35 40/40 45/45 50/50 55/55 60/60 85/85 105/100 105/100 105/100 105/100 105/100");
    check(("unit", 200, 1),
        "1/0 2/1 3/2 4/3 5/4 6/5 7/6 8/7 9/8 10/9 11/10 16/15 21/20 31/30 61/60 91/90 100/100");
    check(("unit:spare=5", 200, 1),
        "5/0 10/5 15/10 20/15 25/20 30/25 35/30 40/35 45/40 50/45 55/50 80/75 105/100 105/100 105/100 105/100 105/100");
}

#[test]
#[rustfmt::skip] // rows as the reference prints them
fn so_they_are_where_a_start_takes_two_seconds() {
    let check = |start: Start<'_>, row: &str| check(&STEP, start, row, |_| 100);
    check(("spare", 256, 2),
        "5/0 5/0 5/5 6/5 8/6 12/8 20/12 20/20 21/20 23/21 27/23 42/38 57/53 87/83 110/100 110/100 110/100");
    check(("fpm-dynamic:min=32,max=64,start=32", 200, 2),
        "32/0 32/0 33/32 35/33 39/35 47/39 63/47 95/63 127/95 159/100 164/100 164/100 164/100 164/100 164/100 164/100 164/100");
    check(("uwsgi-spare2:cheaper=8,step=4", 200, 2),
        "8/0 8/0 8/8 12/8 16/12 20/16 24/20 28/24 32/28 36/32 40/36 60/56 80/76 108/100 108/100 108/100 108/100");
}

#[test]
#[rustfmt::skip] // rows as the reference prints them
fn when_the_requests_are_gone_it_shrinks_as_the_original() {
    let until_60 = |now: u64| if now < 60 { 100 } else { 0 };
    let check = |start: Start<'_>, row: &str| check(&DRAIN, start, row, until_60);
    check(("spare", 256, 0),
        "110/100 110/0 109/0 108/0 105/0 100/0 90/0 80/0 70/0 50/0 20/0 10/0 10/0 10/0");
    check(("fpm-dynamic:min=32,max=64,start=32", 200, 0),
        "132/100 132/0 131/0 130/0 127/0 122/0 112/0 102/0 92/0 72/0 64/0 64/0 64/0 64/0");
    check(("uwsgi-spare:step=8", 200, 0),
        "101/100 101/0 101/0 101/0 100/0 98/0 95/0 91/0 88/0 81/0 71/0 61/0 41/0 21/0");
    check(("uwsgi-spare2:cheaper=8,step=4", 200, 0),
        "108/100 108/0 108/0 108/0 108/0 107/0 106/0 105/0 104/0 102/0 99/0 96/0 90/0 84/0");
    check(("unit:spare=5", 200, 0),
        "105/100 105/0 105/0 105/0 105/0 105/0 5/0 5/0 5/0 5/0 5/0 5/0 5/0 5/0");
}

#[test]
#[rustfmt::skip] // rows as the reference prints them
fn on_demand_one_starts_an_event_and_one_ends_a_second() {
    let until_60 = |now: u64| if now < 60 { 100 } else { 0 };
    let rule = ("fpm-ondemand", 200, 0);
    // Not to the end: when all are served the reference goes on with an event a second.
    check(&STEP[..16], rule,
        "1/1 2/2 3/3 4/4 5/5 6/6 7/7 8/8 9/9 10/10 11/11 16/16 21/21 31/31 61/61 91/91", |_| 100);
    check(&[59, 60, 61, 62, 65, 70, 71, 72, 75, 80, 90, 100, 120], rule,
        "60/60 60/0 60/0 60/0 60/0 60/0 60/0 59/0 56/0 51/0 41/0 31/0 11/0", until_60);
    check(&[59, 60, 71, 72, 80, 120], ("fpm-ondemand", 200, 2), "60/58 60/0 60/0 59/0 51/0 11/0", until_60);
}

#[test]
fn by_busyness_one_more_every_three_seconds_and_one_less_every_thirty() {
    let until_120 = |now: u64| if now <= 120 { 20 } else { 0 };
    check(
        &[0, 3, 4, 57, 58, 60, 61, 118, 120, 150, 151, 180, 181, 300],
        ("uwsgi-busyness", 200, 0),
        "1/1 1/1 2/2 19/19 20/20 20/20 21/20 40/20 40/20 40/0 39/0 39/0 38/0 35/0",
        until_120,
    );
}

#[test]
fn by_busyness_many_waiting_requests_are_an_emergency() {
    let rule = ("uwsgi-busyness", 200, 0);
    check(&[1, 2, 3, 4, 5, 30], rule, "1/1 2/2 3/3 4/4 5/5 30/30", |_| 100);
    let some_wait = ("uwsgi-busyness:max=100,nonzero=10", 200, 0);
    check(&[1, 11, 12, 22, 23, 24], some_wait, "1/1 1/1 2/2 2/2 3/3 3/3", |_| 5);
}

#[test]
fn by_average_it_panics_and_comes_down_with_the_window() {
    let until_60 = |now: u64| if now < 60 { 100 } else { 0 };
    check(
        &[1, 2, 3, 5, 7, 9, 59, 63, 65, 91, 119, 121, 123, 125, 154, 155],
        ("knative", 200, 0),
        "0/0 1/1 72/72 108/100 120/100 143/100 143/100 143/0 134/0 72/0 5/0 2/0 1/0 1/0 1/0 0/0",
        until_60,
    );
}

/// Asks as a server does while nothing comes: at the moments that the rule names. Returns when it
/// named none.
fn until_it_sleeps(run: &mut Run, mut now: u64) -> Option<u64> {
    run.pool.assign(now, 0);
    for _ in 0..3000 {
        let decision = run.rule.decide(&run.pool.reading(now, Occasion::Tick));
        run.pool.obey(now, decision.target);
        let Some(again) = decision.again else { return Some(now) };
        now = (now + 1).max(again.as_secs());
    }
    None
}

#[test]
fn an_idle_pool_lets_its_spawner_sleep_and_nothing_is_missed_by_that() {
    for rule in RULES {
        let mut run = Run::new(rule, 200, 1);
        for now in 0..100 {
            run.pool.assign(now, [3, 60, 7, 90, 0][usize::try_from(now / 20).unwrap()]);
            run.ask(now, Occasion::Tick);
        }
        let asleep = until_it_sleeps(&mut run, 100);
        let asleep = asleep.unwrap_or_else(|| panic!("{rule} never sleeps"));
        let (alive, target) = (run.pool.ready.len(), |run: &mut Run, later: u64| {
            run.rule.decide(&run.pool.reading(asleep + later, Occasion::Tick)).target
        });
        for later in [1, 2, 3, 60, 61, 1000, 100_000] {
            assert_eq!(target(&mut run, later), alive, "{rule} after {later} s");
        }
    }
}

#[test]
fn a_rule_asked_every_two_milliseconds_decides_at_its_own_pace() {
    for (rule, period) in [("spare", 1000), ("uwsgi-spare:overload=1", 1000), ("knative", 2000)] {
        let mut run = Run::new(rule, 10_000, 0);
        run.pool.assign(0, 1000);
        let mut targets = Vec::new();
        for ms in (0..5 * period).step_by(2) {
            let now = Duration::from_millis(ms);
            let reading = Reading { now, ..run.pool.reading(ms / 1000, Occasion::Tick) };
            let decision = run.rule.decide(&reading);
            assert!(decision.again.is_some_and(|again| again > now), "{rule} at {ms} ms");
            targets.push((ms / period, decision.target));
            run.pool.obey(ms / 1000, decision.target);
            run.pool.assign(ms / 1000, 1000);
        }
        targets.dedup();
        assert_eq!(targets.len(), 5, "{rule} decided more often than it has moments: {targets:?}");
    }
}

#[test]
fn a_handler_that_died_is_replaced_between_two_moments() {
    let mut run = Run::new("spare", 100, 0);
    run.ask(0, Occasion::Tick);
    run.pool.ready.pop();
    run.ask(0, Occasion::Ended);
    assert_eq!(run.pool.ready.len(), 5);
}

/// Every rule that has a model of its own, with and without parameters.
const RULES: [&str; 14] = [
    "fixed:4",
    "spare",
    "spare:min=20,max=21,start=0",
    "fpm-dynamic",
    "fpm-dynamic:min=5,max=35,rate=3",
    "fpm-ondemand",
    "uwsgi-spare",
    "uwsgi-spare:cheaper=4,overload=7",
    "uwsgi-spare2",
    "uwsgi-backlog:step=4",
    "uwsgi-busyness",
    "unit:spare=3",
    "knative",
    "delayed-off",
];

fn anything() -> impl Strategy<Value = Reading> {
    let occasion = prop::sample::select(vec![
        Occasion::Tick,
        Occasion::Doorbell,
        Occasion::Ready,
        Occasion::Ended,
    ]);
    let count = || prop_oneof![0..50_usize, any::<usize>()];
    let float = || prop_oneof![0.0..100.0, prop::num::f64::ANY];
    let time = || prop_oneof![(0..100_000_u64).prop_map(Duration::from_millis), any::<Duration>()];
    let memory = || proptest::option::of(any::<u64>());
    let pool = (any::<Duration>(), occasion, count(), count(), count(), float(), any::<u32>());
    let limits = (any::<u64>(), count(), count(), time(), time());
    let resources = (float(), time(), time(), memory(), memory(), float(), float());
    (pool, limits, resources).prop_map(|(pool, limits, resources)| Reading {
        now: pool.0,
        occasion: pool.1,
        handlers: pool.2,
        starting: pool.3,
        threads: pool.4,
        busy: pool.5,
        depth: pool.6,
        accepted: limits.0,
        late: limits.0,
        min: limits.1.min(limits.2),
        max: limits.1.max(limits.2),
        spawn_time: limits.3,
        spawn_cost: limits.4,
        resources: Resources {
            processors: resources.0,
            processor_time: resources.1,
            run_delay: resources.2,
            handler_memory: resources.3,
            free_memory: resources.4,
            memory_pressure: resources.5,
            memory_stall: resources.6,
        },
    })
}

proptest! {
    #[test]
    fn whatever_is_read_a_budget_keeps_to_what_is_allowed(
        mut readings in prop::collection::vec(anything(), 1..20),
        sorted in any::<bool>(),
        rule in prop::sample::select(RULES.to_vec()),
    ) {
        if sorted {
            readings.sort_by_key(|reading| reading.now);
        }
        let mut budget = Budget::new(rule.parse::<Rule>().unwrap().build(Slo::default()));
        for reading in readings {
            let target = budget.decide(&reading).target;
            prop_assert!((reading.min..=reading.max).contains(&target), "{rule}: {target}");
        }
    }
}
