//! `bellwether simulate`: what rules would do with a load, and what that would cost.
//!
//! What was typed ([`order`]) becomes loads ([`loads`]) and a scenario, every rule is run on every
//! load, and what came of it is shown as a table ([`table`]), as JSON, or as a picture ([`plot`]).

pub(crate) mod loads;
mod order;
mod plot;
pub(crate) mod progress;
mod report;
pub(crate) mod table;

use bellwether::Error;
use bellwether::simulation::{Outcome, Sample};

use crate::ending::Ending;
use crate::output::{print, unprinted};
use loads::Load;
pub(crate) use order::{Setting, Simulate};
use plot::{Curve, Panel};
use progress::Progress;
use report::Report;

/// One rule on one load.
#[derive(Debug)]
struct Run {
    load: usize,
    rule: String,
    outcome: Outcome,
}

/// Simulates and shows what came of it.
pub(crate) fn run(order: &Simulate) -> Result<(), Ending> {
    if order.list {
        return print(&table::of_names());
    }
    let loads = loads::all(&order.setting)?;
    let runs = all_runs(order, &loads);
    if let Some(file) = &order.plot {
        let svg = picture(&loads, &runs).map_err(|problem| unplotted(file, problem))?;
        std::fs::write(file, svg).map_err(|error| unplotted(file, error.to_string()))?;
    }
    let report = Report::of(order, &loads, &runs);
    if order.json {
        let json = serde_json::to_string_pretty(&report).map_err(unprinted)?;
        return print(&format!("{json}\n"));
    }
    print(&table::of(&report))
}

fn unplotted(file: &std::path::Path, problem: String) -> Error {
    let doing = format!("write the picture {}", file.display());
    Error::System { doing, source: std::io::Error::other(problem) }
}

fn all_runs(order: &Simulate, loads: &[Load]) -> Vec<Run> {
    let scenario = order.setting.scenario();
    let mut progress = Progress::of(loads.len() * order.rules().count());
    let mut runs = Vec::new();
    for (load, Load { workload, .. }) in loads.iter().enumerate() {
        for rule in order.rules() {
            let mut balance = rule.build(scenario.regime.slo());
            progress.begin(&format!("{rule} on {}", workload.name()));
            let seed = order.setting.seed;
            let outcome =
                scenario.run(workload, &mut *balance, seed, &mut |share| progress.part(share));
            runs.push(Run { load, rule: rule.to_string(), outcome });
        }
    }
    runs
}

/// Draws what was there over time, load by load: arrivals and demand, handlers, queue.
fn picture(loads: &[Load], runs: &[Run]) -> Result<String, String> {
    let panels = loads.iter().enumerate().flat_map(|(i, load)| {
        let of_load: Vec<&Run> = runs.iter().filter(|run| run.load == i).collect();
        panels(load.workload.name(), &of_load)
    });
    plot::draw("bellwether simulate", &panels.collect::<Vec<_>>())
}

fn panels(load: &str, runs: &[&Run]) -> [Panel; 4] {
    let of = |what: fn(&Sample) -> f64| {
        move |run: &&Run| Curve {
            name: run.rule.clone(),
            points: run.outcome.samples.iter().map(|sample| (sample.at, what(sample))).collect(),
        }
    };
    let panel =
        |title: &str, curves: Vec<Curve>| Panel { title: format!("{load}: {title}"), curves };
    [
        panel("requests a second", runs.first().map(of(|it| it.arrivals)).into_iter().collect()),
        panel("threads that serve", runs.iter().map(of(|it| it.busy as f64)).collect()),
        panel("handlers", runs.iter().map(of(|it| it.handlers as f64)).collect()),
        panel("requests that wait", runs.iter().map(of(|it| it.queue as f64)).collect()),
    ]
}
