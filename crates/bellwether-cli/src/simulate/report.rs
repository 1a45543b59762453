//! The figures of all runs, as they are printed: with stable keys for programs.

use bellwether::simulation::Scenario;
use serde::Serialize;

use super::Run;
use super::loads::Load;
use super::order::Simulate;

/// What `simulate --json` prints.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) scenario: Surroundings,
    pub(super) loads: Vec<OnLoad>,
    /// Over all loads, rule by rule.
    pub(super) overall: Vec<Overall>,
}

/// What was the same for all runs.
#[derive(Debug, Serialize)]
pub(super) struct Surroundings {
    pub(super) spawn_s: f64,
    pub(super) cost_s: f64,
    pub(super) slo: String,
    pub(super) threads: usize,
    pub(super) min: usize,
    pub(super) max: usize,
    pub(super) processors: Option<f64>,
    pub(super) seed: u64,
}

/// What all rules did with one load.
#[derive(Debug, Serialize)]
pub(super) struct OnLoad {
    pub(super) load: String,
    pub(super) requests: usize,
    pub(super) duration_s: f64,
    /// Requests in service on average, if nobody waits.
    pub(super) offered: f64,
    pub(super) rules: Vec<Figures>,
}

/// What one rule did with one load.
#[derive(Debug, Serialize)]
pub(super) struct Figures {
    pub(super) rule: String,
    /// Handler-seconds and the price of all spawns, beside what one who knows the future pays.
    pub(super) cost: f64,
    /// The handler-seconds alone, beside those of one who knows the future.
    pub(super) handlers: f64,
    pub(super) handler_seconds: f64,
    pub(super) late_percent: f64,
    pub(super) refused: u64,
    pub(super) wait_p50_ms: Option<f64>,
    pub(super) wait_p99_ms: Option<f64>,
    pub(super) wait_p999_ms: Option<f64>,
    pub(super) spawns_per_hour: f64,
    pub(super) peak: usize,
    /// Seconds after a jump of the load until at most one percent is late; for loads that jump.
    pub(super) reaction_s: Option<f64>,
    pub(super) goodput_percent: f64,
    pub(super) meets_slo: bool,
}

/// What one rule did with all loads.
#[derive(Debug, Serialize)]
pub(super) struct Overall {
    pub(super) rule: String,
    /// The geometric mean over the loads.
    pub(super) cost: f64,
    pub(super) handlers: f64,
    pub(super) worst_late_percent: f64,
    pub(super) meets_slo: usize,
    pub(super) loads: usize,
}

impl Report {
    pub(super) fn of(order: &Simulate, loads: &[Load], runs: &[Run]) -> Self {
        let scenario = order.setting.scenario();
        let on_load = |(i, load): (usize, &Load)| OnLoad {
            load: load.workload.name().into(),
            requests: load.workload.requests().len(),
            duration_s: load.workload.duration(),
            offered: load.workload.offered_load(),
            rules: runs
                .iter()
                .filter(|run| run.load == i)
                .map(|it| figures(it, load, &scenario))
                .collect(),
        };
        let loads: Vec<OnLoad> = loads.iter().enumerate().map(on_load).collect();
        let overall = overall(&loads);
        Self { scenario: Surroundings::of(&scenario, order.setting.seed), loads, overall }
    }
}

impl Surroundings {
    fn of(scenario: &Scenario, seed: u64) -> Self {
        Self {
            spawn_s: scenario.regime.spawn,
            cost_s: scenario.regime.cost,
            slo: scenario.regime.slo().to_string(),
            threads: scenario.threads,
            min: scenario.min,
            max: scenario.max,
            processors: scenario.cpu.map(|cpu| cpu.processors),
            seed,
        }
    }
}

fn figures(run: &Run, load: &Load, scenario: &Scenario) -> Figures {
    let outcome = &run.outcome;
    // Whoever was refused has waited for ever, which is no number.
    let wait = |p| Some(outcome.wait_ms(p)).filter(|wait| wait.is_finite());
    let late_percent = outcome.late_percent();
    Figures {
        rule: run.rule.clone(),
        cost: outcome.cost(),
        handlers: outcome.handlers_ratio(),
        handler_seconds: outcome.handler_seconds,
        late_percent,
        refused: outcome.refused,
        wait_p50_ms: wait(0.5),
        wait_p99_ms: wait(0.99),
        wait_p999_ms: wait(0.999),
        spawns_per_hour: outcome.spawns_per_hour(),
        peak: outcome.peak,
        reaction_s: load.jump.and_then(|jump| outcome.reaction(jump, scenario.regime.wait)),
        goodput_percent: outcome.goodput_percent(),
        meets_slo: late_percent <= 100.0 * scenario.regime.late,
    }
}

fn overall(loads: &[OnLoad]) -> Vec<Overall> {
    let rules = loads.first().map_or(0, |load| load.rules.len());
    (0..rules).map(|rule| one_overall(loads, rule)).collect()
}

fn one_overall(loads: &[OnLoad], rule: usize) -> Overall {
    let of_rule = || loads.iter().map(|load| &load.rules[rule]);
    let mean = |what: fn(&Figures) -> f64| {
        let logarithms: f64 = of_rule().map(|it| what(it).max(1e-9).ln()).sum();
        (logarithms / loads.len() as f64).exp()
    };
    Overall {
        rule: of_rule().next().map_or_else(String::new, |it| it.rule.clone()),
        cost: mean(|it| it.cost),
        handlers: mean(|it| it.handlers),
        worst_late_percent: of_rule().map(|it| it.late_percent).fold(0.0, f64::max),
        meets_slo: of_rule().filter(|it| it.meets_slo).count(),
        loads: loads.len(),
    }
}
