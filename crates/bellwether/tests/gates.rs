//! What `demand` must reach in the simulator with its defaults: on twelve loads, in three regimes, with
//! fixed seeds. Rather than loosen a gate, find out what has changed.
//!
//! The cost J is handler-seconds and the price of spawns, beside what one pays who knows the future.
//! Real traces take the place of their stand-ins where BELLWETHER_TRACES names the folder in which
//! they are.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "all of it is test code, but clippy sees that only in functions marked #[test]"
)]

use std::io::Read;
use std::path::Path;

use bellwether::balance::{Demand, Rule};
use bellwether::simulation::{Outcome, Regime, Scenario, Workload, synthetic, trace};
use flate2::read::GzDecoder;

const SEED: u64 = 1;

/// What must hold in a regime.
struct Gate {
    name: &'static str,
    regime: Regime,
    /// The highest geometric mean of the cost over the loads.
    cost: f64,
    /// The highest percentage of late requests on every load that must meet the objective.
    late: f64,
    /// On how many of the twelve loads.
    loads: usize,
}

const GATES: [Gate; 3] = [
    Gate { name: "fork", regime: Regime::FORK, cost: 1.15, late: 0.1, loads: 12 },
    Gate { name: "start", regime: Regime::START, cost: 1.12, late: 1.0, loads: 11 },
    Gate { name: "cold", regime: Regime::COLD, cost: 1.15, late: 1.0, loads: 11 },
];

/// Reads the real trace that a load stands in for, if it is there.
fn real(load: &str) -> Option<Workload> {
    let folder = std::env::var_os("BELLWETHER_TRACES")?;
    let (file, how) = trace::real(load)?;
    let file = std::fs::File::open(Path::new(&folder).join(file)).ok()?;
    let mut text = String::new();
    GzDecoder::new(file).read_to_string(&mut text).unwrap();
    Some(trace::read(load, &text, how).unwrap())
}

fn load(name: &str) -> Workload {
    real(name).unwrap_or_else(|| synthetic::named(name).unwrap().make(SEED))
}

fn serve(workload: &Workload, regime: Regime) -> Outcome {
    let mut rule = Demand::new(regime.slo());
    Scenario::new(regime).run(workload, &mut rule, SEED, &mut |_| {})
}

#[test]
fn demand_is_near_one_who_knows_the_future() {
    let loads: Vec<_> = synthetic::KINDS.iter().map(|kind| (kind.name, load(kind.name))).collect();
    for Gate { name, regime, cost, late, loads: least } in GATES {
        let mut logarithms = 0.0;
        let mut met = 0;
        for (load, workload) in &loads {
            let outcome = serve(workload, regime);
            let (own_cost, own_late) = (outcome.cost(), outcome.late_percent());
            let p99 = outcome.wait_ms(0.99);
            println!("{name:<6} {load:<9} J {own_cost:.2}  late {own_late:.2} %  p99 {p99:.1} ms");
            logarithms += own_cost.ln();
            met += usize::from(own_late <= late);
        }
        let mean = (logarithms / loads.len() as f64).exp();
        println!("{name:<6} all       J {mean:.3}, {met} of {} loads in time", loads.len());
        assert!(mean <= cost, "{name}: the cost is {mean:.3}, more than {cost}");
        assert!(met >= least, "{name}: only {met} loads have at most {late} % late requests");
    }
}

#[test]
fn after_a_tenfold_step_requests_are_soon_in_time_again() {
    let step = synthetic::named("step").unwrap();
    let workload = step.make(SEED);
    for (regime, limit) in [(Regime::FORK, 0.1), (Regime::START, 0.2), (Regime::COLD, 3.0)] {
        let outcome = serve(&workload, regime);
        let reaction = outcome.reaction(step.jump.unwrap(), regime.wait).unwrap();
        println!("after {reaction:.1} s, at most {} handlers", outcome.peak);
        assert!(reaction <= limit + 1e-9, "{reaction} s");
    }
}

#[test]
fn more_work_than_the_processors_can_do_does_not_end_in_a_collapse() {
    // Eight processors, 10 ms of one and 40 ms of waiting: 800 requests a second are possible.
    let stretches = [(30.0, 600.0), (60.0, 1000.0), (60.0, 600.0)];
    let workload = synthetic::stretches(&stretches, 0.05, SEED);
    let cpu =
        bellwether::simulation::Cpu { processors: 8.0, share: 0.2, overhead: 0.002, spawn: 0.02 };
    let scenario = Scenario { cpu: Some(cpu), shed: true, ..Scenario::new(Regime::START) };
    let rule = Rule::default().build(scenario.regime.slo());
    let mut rule = bellwether::balance::Budget::new(rule);
    let outcome = scenario.run(&workload, &mut rule, SEED, &mut |_| {});
    // 80 % of the load for 60 s of 150 s is refused at best.
    let possible = 100.0 * (1.0 - 60.0 * 200.0 / workload.requests().len() as f64);
    // Not counted: the start, when nothing is known and one handler meets 600 requests a second.
    let since = outcome.samples.iter().filter(|sample| sample.at > 20.0);
    let peak = since.map(|sample| sample.handlers).max().unwrap();
    let (good, p99) = (outcome.goodput_percent(), outcome.response_ms(0.99));
    println!("{good:.1} % of at most {possible:.1} %, p99 {p99:.0} ms, {peak} handlers");
    assert!(good >= 0.97 * possible, "{good:.1} % of {possible:.1} %");
    assert!(p99 <= 250.0, "{p99:.0} ms");
    assert!(peak <= 2 * 40, "{peak} handlers, the knee is at 40");
}
