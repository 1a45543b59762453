//! What the trials showed, as a table for people and as JSON for scripts.

use serde_json::{Value, json};

use super::trial::Sample;
use super::{Overload, Trials};
use crate::figure::Figure;
use crate::machine::Machine;
use crate::table::Table;

type Quantity = fn(&Sample) -> f64;

const NOTE: &str = "\
Medians over the repetitions. Capacity: closed loop with twice the knee of handlers and clients, measured
in each repetition. Goodput: requests of the overload that were answered within 1 s of being due, as
a share of what the capacity allows. Responses: of those in the overload that were answered. Late
before: waited longer than 50 ms. Normal again: from the end of the overload until for a second at
most 1 % are late. Generator: its share of the processors, which capacity and trial both lack, and
how late it was at worst; it runs before the server where the system allows it. Elsewhere: processor
time that neighbours took from the trial, and from the capacity: goodput is worth nothing where these differ.";

pub(super) fn markdown(machine: &Machine, overload: &Overload, trials: &[Trials]) -> String {
    let (heading, load, table) =
        (machine.heading(), load_line(overload), figures(overload, trials));
    format!("{heading}{load}\n{table}\n{NOTE}\n")
}

fn load_line(overload: &Overload) -> String {
    let phase = |phase: &crate::arrivals::Phase| {
        format!("{:.0} % for {:?}", phase.rate * 100.0, phase.length)
    };
    let phases: Vec<String> = overload.phases.iter().map(phase).collect();
    format!(
        "* load: open loop, Poisson, {} of the capacity; {:?} of a processor and {:?} of sleep each; \
         knee {} handlers on {} processors\n",
        phases.join(", "),
        overload.work.cpu,
        overload.work.sleep,
        overload.knee(),
        overload.processors,
    )
}

fn figures(overload: &Overload, trials: &[Trials]) -> Table {
    let mut table = Table::new(&[
        "bellwether",
        "capacity/s",
        "goodput",
        "response p50 ms",
        "p99 ms",
        "refused",
        "lost",
        "late before",
        "peak",
        "/ knee",
        "handler-s",
        "normal again s",
        "generator",
        "late ms",
        "elsewhere",
    ]);
    trials.iter().for_each(|trials| table.push(line(overload, trials)));
    table
}

fn figure(trials: &Trials, quantity: Quantity) -> Figure {
    Figure::of(trials.samples.iter().map(quantity))
}

fn line(overload: &Overload, trials: &Trials) -> Vec<String> {
    let of = |quantity: Quantity| figure(trials, quantity).median;
    let percent = |quantity: Quantity| format!("{:.1} %", of(quantity) * 100.0);
    let goodput = figure(trials, |sample| sample.goodput);
    let peak = of(|sample| sample.peak);
    vec![
        trials.entrant.to_string(),
        format!("{:.1}", of(|sample| sample.capacity)),
        format!("{:.1} % ± {:.0} %", goodput.median * 100.0, goodput.spread() * 100.0),
        format!("{:.0}", of(|sample| sample.p50)),
        format!("{:.0}", of(|sample| sample.p99)),
        percent(|sample| sample.refused),
        percent(|sample| sample.lost),
        percent(|sample| sample.late_before),
        format!("{peak:.0}"),
        format!("{:.1}", peak / overload.knee() as f64),
        format!("{:.0}", of(|sample| sample.handler_seconds)),
        seconds(of(|sample| sample.recovery)),
        percent(|sample| sample.generator),
        format!("{:.1}", of(|sample| sample.generator_lateness)),
        format!("{}, before {}", percent(|it| it.elsewhere), percent(|it| it.elsewhere_before)),
    ]
}

fn seconds(time: f64) -> String {
    if time.is_infinite() { "never".into() } else { format!("{time:.2}") }
}

pub(super) fn json(machine: &Machine, overload: &Overload, trials: &[Trials]) -> Value {
    let phase = |phase: &crate::arrivals::Phase| json!({ "load": phase.rate, "seconds": phase.length.as_secs_f64() });
    json!({
        "suite": "overload",
        "machine": machine.json(),
        "phases": overload.phases.iter().map(phase).collect::<Vec<Value>>(),
        "cpu_ms": overload.work.cpu.as_secs_f64() * 1e3,
        "sleep_ms": overload.work.sleep.as_secs_f64() * 1e3,
        "knee": overload.knee(),
        "trials": trials.iter().map(trials_json).collect::<Vec<Value>>(),
    })
}

fn trials_json(trials: &Trials) -> Value {
    let of = |quantity: Quantity| figure(trials, quantity).json();
    json!({
        "bellwether": trials.entrant.to_string(),
        "capacity": of(|sample| sample.capacity),
        "goodput": of(|sample| sample.goodput),
        "response_p50_ms": of(|sample| sample.p50),
        "response_p99_ms": of(|sample| sample.p99),
        "refused": of(|sample| sample.refused),
        "lost": of(|sample| sample.lost),
        "late_before": of(|sample| sample.late_before),
        "peak": of(|sample| sample.peak),
        "handler_s": of(|sample| sample.handler_seconds),
        "normal_again_s": of(|sample| sample.recovery),
        "generator_share": of(|sample| sample.generator),
        "generator_lateness_ms": of(|sample| sample.generator_lateness),
        "elsewhere": of(|sample| sample.elsewhere),
        "elsewhere_of_capacity": of(|sample| sample.elsewhere_before),
    })
}
