//! In what surroundings a workload is served.

use super::engine::Engine;
use super::{Outcome, Workload};
use crate::balance::{Balance, Slo};

/// What a handler costs, and what requests may wait.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Regime {
    /// Seconds from the order for a handler until it is ready, on average.
    pub spawn: f64,
    /// Seconds for which an idle handler could be kept for what it costs to make another.
    pub cost: f64,
    /// Seconds that a request may wait before it is late.
    pub wait: f64,
    /// The share of requests that may be late.
    pub late: f64,
}

impl Regime {
    /// A fork of a warmed or native program: 5 ms; requests may wait 10 ms.
    pub const FORK: Self = Self { spawn: 0.005, cost: 1.0, wait: 0.010, late: 0.01 };
    /// A program that starts in 100 ms; requests may wait 50 ms.
    pub const START: Self = Self { spawn: 0.1, cost: 10.0, wait: 0.050, late: 0.01 };
    /// A cold interpreter or virtual machine: 2 s; requests may wait 50 ms.
    pub const COLD: Self = Self { spawn: 2.0, cost: 60.0, wait: 0.050, late: 0.01 };

    /// Returns the objective, as the rules take it; the default where these numbers are none.
    #[must_use]
    pub fn slo(&self) -> Slo {
        let wait = std::time::Duration::try_from_secs_f64(self.wait);
        wait.ok().and_then(|wait| Slo::new(self.late, wait)).unwrap_or_default()
    }
}

/// Which of several free handlers takes a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Order {
    /// The lowest slot: work is packed (notification `one` and, nearly, `some:K`).
    #[default]
    Lowest,
    /// The one that has been free for longest (notification `turn`).
    Turn,
    /// Any.
    Random,
}

/// Processors that handlers must share.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cpu {
    /// How many there are.
    pub processors: f64,
    /// The share of a request's service for which it needs a processor, 0 to 1.
    pub share: f64,
    /// By how much everything slows down for each thread that could run beyond the processors:
    /// 0.002 for two in a thousand.
    pub overhead: f64,
    /// Seconds of a processor that making one handler takes.
    pub spawn: f64,
}

/// The surroundings of a simulation.
///
/// ```
/// use bellwether::balance::Fixed;
/// use bellwether::simulation::{Regime, Scenario, synthetic};
/// let steady = synthetic::constant(50.0, 60.0, 1);
/// let outcome = Scenario::new(Regime::FORK).run(&steady, &mut Fixed::new(20), 1, &mut |_| {});
/// assert_eq!(outcome.requests, steady.requests().len() as u64);
/// assert!(outcome.late_percent() < 1.0);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scenario {
    /// What a handler costs, and what requests may wait.
    pub regime: Regime,
    /// Threads of a handler, at least 1.
    pub threads: usize,
    /// The fewest handlers; it starts with as many, or one, ready.
    pub min: usize,
    /// The most handlers.
    pub max: usize,
    /// How many requests may wait; more are refused.
    pub buffer: usize,
    /// Which free handler takes a request.
    pub order: Order,
    /// Processors that are shared; `None`: there are always enough.
    pub cpu: Option<Cpu>,
    /// Whether requests that waited too long are refused when no more handlers are possible.
    pub shed: bool,
}

impl Scenario {
    /// Up to 1024 handlers of one thread each, one at the start, a buffer of 4096, and processors
    /// enough.
    #[must_use]
    pub const fn new(regime: Regime) -> Self {
        Self {
            regime,
            threads: 1,
            min: 0,
            max: 1024,
            buffer: 4096,
            order: Order::Lowest,
            cpu: None,
            shed: false,
        }
    }

    /// Lets a rule serve a workload; `progress` hears now and then which share is done, 0 to 1.
    ///
    /// The same workload, rule and seed give the same outcome on every machine.
    pub fn run(
        &self,
        workload: &Workload,
        rule: &mut dyn Balance,
        seed: u64,
        progress: &mut dyn FnMut(f64),
    ) -> Outcome {
        Engine::new(self, workload, rule, seed).run(progress)
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_distr::{Distribution, Exp};

    use super::super::{Random, Request, synthetic};
    use super::*;
    use crate::balance::{Demand, Fixed};

    /// Poisson arrivals with exponential services of 100 ms on average: the model of Erlang.
    fn erlang(load: f64, seconds: f64) -> Workload {
        let mut random = Random::seed_from_u64(5);
        let (gaps, services) = (Exp::new(load / 0.1).unwrap(), Exp::new(10.0).unwrap());
        let mut at = 0.0;
        let mut requests = Vec::new();
        while at < seconds {
            at += gaps.sample(&mut random);
            requests.push(Request { at, service: services.sample(&mut random) });
        }
        Workload::new("erlang", requests)
    }

    /// The probability that a request waits (Erlang's formula C).
    fn waits(servers: u32, load: f64) -> f64 {
        let term = |k: u32| (1..=k).map(|i| load / f64::from(i)).product::<f64>();
        let c = f64::from(servers);
        let all_busy = term(servers) * c / (c - load);
        all_busy / ((0..servers).map(term).sum::<f64>() + all_busy)
    }

    #[test]
    fn waits_are_those_of_erlang() {
        let workload = erlang(5.0, 20_000.0);
        for servers in [6, 8, 12] {
            // P(W > d) = C exp(-(c - a) d / S)
            let expected =
                100.0 * waits(servers, 5.0) * (-(f64::from(servers) - 5.0) * 0.010 / 0.1).exp();
            let scenario = Scenario { min: servers as usize, ..Scenario::new(Regime::FORK) };
            let mut rule = Fixed::new(servers as usize);
            let outcome = scenario.run(&workload, &mut rule, 1, &mut |_| {});
            let found = outcome.late_percent();
            assert!(
                (found - expected).abs() < 0.05 + expected * 0.03,
                "{servers}: {found} {expected}"
            );
        }
    }

    #[test]
    fn nothing_is_lost_and_the_books_agree() {
        for kind in ["mmpp", "step", "sparse"] {
            let workload = synthetic::named(kind).unwrap().make(3);
            let scenario = Scenario::new(Regime::START);
            let mut rule = Demand::new(scenario.regime.slo());
            let outcome = scenario.run(&workload, &mut rule, 1, &mut |_| {});
            assert_eq!(outcome.requests, workload.requests().len() as u64);
            assert_eq!(outcome.served.len() as u64, outcome.requests);
            assert!(outcome.served.iter().all(|it| it.response >= it.waited), "{kind}");
            let busy = outcome.busy_seconds / workload.busy_seconds();
            assert!((0.98..=1.000_001).contains(&busy), "{kind}: Little's law: {busy}");
            assert!(outcome.handler_seconds >= outcome.busy_seconds, "{kind}");
        }
    }

    #[test]
    fn the_same_seed_is_the_same_outcome() {
        let workload = synthetic::constant(30.0, 120.0, 1);
        let scenario = Scenario::new(Regime::START);
        let run = |seed| {
            scenario.run(&workload, &mut Demand::new(scenario.regime.slo()), seed, &mut |_| {})
        };
        assert_eq!(run(1), run(1));
        assert_ne!(run(1).handler_seconds, run(2).handler_seconds);
    }

    #[test]
    fn whoever_takes_the_request_the_cost_is_the_same() {
        let workload = synthetic::named("sine").unwrap().make(1);
        let cost = |order| {
            let scenario = Scenario { order, ..Scenario::new(Regime::START) };
            let mut rule = Demand::new(scenario.regime.slo());
            scenario.run(&workload, &mut rule, 1, &mut |_| {}).cost()
        };
        let lowest = cost(Order::Lowest);
        for order in [Order::Turn, Order::Random] {
            let other = cost(order);
            assert!((other / lowest - 1.0).abs() <= 0.02, "{order:?}: {other} beside {lowest}");
        }
    }

    #[test]
    fn too_much_work_for_the_processors_makes_all_slower() {
        // 0.1 s each, all of it on one of two processors: twenty a second are possible.
        let workload = synthetic::stretches(&[(30.0, 25.0)], 0.1, 1);
        let cpu = Cpu { processors: 2.0, share: 1.0, overhead: 0.0, spawn: 0.0 };
        let scenario = Scenario { cpu: Some(cpu), min: 8, ..Scenario::new(Regime::FORK) };
        let crowded = scenario.run(&workload, &mut Fixed::new(8), 1, &mut |_| {});
        assert!(crowded.wait_ms(0.99) > 1000.0, "{}", crowded.wait_ms(0.99));
        let ample = Scenario { cpu: Some(Cpu { processors: 8.0, ..cpu }), ..scenario };
        let ample = ample.run(&workload, &mut Fixed::new(8), 1, &mut |_| {});
        assert!(ample.response_ms(0.99) < 200.0, "{}", ample.response_ms(0.99));
        let shed = Scenario { shed: true, max: 8, ..scenario };
        let shed = shed.run(&workload, &mut Fixed::new(8), 1, &mut |_| {});
        assert!(shed.refused > 0 && shed.response_ms(0.99) < 1000.0, "{shed:?}");
    }
}
