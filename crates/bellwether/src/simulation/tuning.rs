//! Every rule with many settings: what the best of them would have cost, known afterwards.

use serde::Serialize;

use super::{Outcome, Scenario, Workload};
use crate::balance::Rule;

/// A rule with settings to try, the default first.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Family {
    /// The name of the rule.
    pub name: &'static str,
    /// Its settings, at least one.
    pub settings: Vec<Rule>,
}

/// What one setting has come to.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Tried {
    /// The rule with its parameters.
    pub rule: String,
    /// Handler-seconds and the price of spawns, beside what one who knows the future pays.
    pub cost: f64,
    /// The percentage of requests that were late.
    pub late_percent: f64,
    /// The most handlers at once.
    pub peak: usize,
    /// Whether the objective is met.
    pub meets_slo: bool,
}

/// How many handlers, or spare ones, to try.
const NUMBERS: [usize; 10] = [1, 2, 3, 5, 8, 12, 20, 32, 50, 80];

/// Returns all rules with their settings: about a hundred in all; `demand` has none to try.
///
/// ```
/// use bellwether::simulation::tuning::families;
/// assert!(families().iter().map(|family| family.settings.len()).sum::<usize>() > 90);
/// ```
#[must_use]
pub fn families() -> Vec<Family> {
    let spares = |name: &str, ratio: usize| {
        let one = |min: usize| format!("{name}:min={min},max={}", (min * ratio).max(min + 1));
        NUMBERS.map(one).to_vec()
    };
    let spare = [spares("spare", 2), spares("spare", 4)].concat();
    let dynamic = [spares("fpm-dynamic", 2), spares("fpm-dynamic", 7)].concat();
    let idle = |name: &str| {
        ["1s", "3s", "10s", "30s", "60s", "120s"].map(|it| format!("{name}:idle={it}"))
    };
    let steps = |name: &str| {
        let one = |step: usize| format!("{name}:cheaper={step},step={step},overload=1");
        [1, 2, 4, 8, 16, 32].map(one)
    };
    let spare2 = [2, 4, 8, 16, 32].map(|it| format!("uwsgi-spare2:cheaper={it},step={it}"));
    let busyness =
        [2, 5, 10, 20, 40].map(|it| format!("uwsgi-busyness:cheaper={it},step={}", it / 2));
    let unit = [0, 2, 5, 10, 20, 40].map(|it| format!("unit:spare={it}"));
    let knative = [20, 35, 50, 70, 90].map(|it| format!("knative:utilization={it},stable=30s"));
    vec![
        family("demand", Vec::new()),
        family("delayed-off", idle("delayed-off").to_vec()),
        family("fixed", NUMBERS.map(|number| format!("fixed:{number}")).to_vec()),
        family("spare", spare),
        family("fpm-dynamic", dynamic),
        family("fpm-ondemand", idle("fpm-ondemand").to_vec()),
        family("uwsgi-spare", steps("uwsgi-spare").to_vec()),
        family("uwsgi-spare2", spare2.to_vec()),
        family("uwsgi-backlog", steps("uwsgi-backlog").to_vec()),
        family("uwsgi-busyness", busyness.to_vec()),
        family("unit", unit.to_vec()),
        family("knative", knative.to_vec()),
    ]
}

/// A rule by its name first, then what can be read of the others.
fn family(name: &'static str, settings: Vec<String>) -> Family {
    let default = (name != "fixed").then(|| name.to_owned());
    let all = default.into_iter().chain(settings);
    Family { name, settings: all.filter_map(|text| text.parse().ok()).collect() }
}

/// Tries rules on a load; `progress` hears which share of all is done.
pub fn try_all(
    scenario: &Scenario,
    workload: &Workload,
    rules: &[Rule],
    seed: u64,
    progress: &mut dyn FnMut(f64),
) -> Vec<Tried> {
    let share = 1.0 / rules.len().max(1) as f64;
    let one = |(i, rule): (usize, &Rule)| {
        let mut balance = rule.build(scenario.regime.slo());
        let done = i as f64 * share;
        let outcome =
            scenario.run(workload, &mut *balance, seed, &mut |part| progress(done + part * share));
        Tried::of(rule, &outcome, scenario)
    };
    rules.iter().enumerate().map(one).collect()
}

/// Returns the cheapest that meets the objective; if none does, the one with the fewest late.
#[must_use]
pub fn best(tried: &[Tried]) -> Option<&Tried> {
    let fine = tried.iter().filter(|it| it.meets_slo);
    let cheapest = fine.min_by(|one, other| one.cost.total_cmp(&other.cost));
    let least_late = |one: &&Tried, other: &&Tried| one.late_percent.total_cmp(&other.late_percent);
    cheapest.or_else(|| tried.iter().min_by(least_late))
}

impl Tried {
    fn of(rule: &Rule, outcome: &Outcome, scenario: &Scenario) -> Self {
        Self {
            rule: rule.to_string(),
            cost: outcome.cost(),
            late_percent: outcome.late_percent(),
            peak: outcome.peak,
            meets_slo: outcome.late_percent() <= 100.0 * scenario.regime.late,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Regime, synthetic};
    use super::*;

    #[test]
    fn every_setting_can_be_read() {
        for family in families() {
            let text = |rule: &Rule| rule.to_string();
            assert!(!family.settings.is_empty(), "{}", family.name);
            assert!(family.settings.iter().all(|rule| text(rule).starts_with(family.name)));
        }
        let many: Vec<_> = families().iter().map(|family| family.settings.len()).collect();
        assert_eq!(many, [1, 7, 10, 21, 21, 7, 7, 6, 7, 6, 7, 6], "none was left out");
    }

    #[test]
    fn the_best_is_the_cheapest_in_time_or_else_the_least_late() {
        let tried = |cost, late_percent, meets_slo| Tried {
            rule: String::new(),
            cost,
            late_percent,
            peak: 1,
            meets_slo,
        };
        let all = [tried(1.0, 9.0, false), tried(3.0, 0.1, true), tried(2.0, 0.9, true)];
        assert_eq!(best(&all).map(|it| it.cost), Some(2.0));
        assert_eq!(best(&all[..1]).map(|it| it.late_percent), Some(9.0));
        assert_eq!(best(&[]), None);
    }

    #[test]
    fn on_a_steady_load_enough_are_better_than_too_few() {
        let workload = synthetic::constant(30.0, 60.0, 1);
        let rules = ["fixed:2", "fixed:10"].map(|text| text.parse().unwrap());
        let mut last = 0.0;
        let tried =
            try_all(&Scenario::new(Regime::FORK), &workload, &rules, 1, &mut |share| last = share);
        assert_eq!((best(&tried).unwrap().rule.as_str(), last), ("fixed:10", 1.0));
    }
}
