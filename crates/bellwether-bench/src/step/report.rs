//! What the trials showed, as tables for people and as JSON for scripts.

use serde_json::{Value, json};

use super::trial::Sample;
use super::{Contest, Schedule, Trials};
use crate::figure::Figure;
use crate::machine::Machine;
use crate::table::Table;

type Quantity = fn(&Sample) -> f64;

const NOTE: &str = "\
Medians over the repetitions. Wait: response less the service that the server says it took, from the
moment a request was due; of requests given up 10 s after the schedule, what they had waited till then.
Late: waited longer, or got no answer. Handlers: processes counted 20 times a second; ideal: the
service asked for; kept: in the last second, when the load has fallen again. A handler of `run` is a
small process of ours with the program. Settled: from the step until for a second at most 1 % are late (> 50 ms).
Tuned: as many spares as `fixed` has handlers, which are the fewest with at most 1 % late, known
from the arrivals. Unanswered: after 10 s; lost: reset, refused or wrong. Client
late: the generator, at worst. Elsewhere: processor time that neither server nor client used.";

const OURS_NOTE: &str = "\
Kernel waits: TCP_INFO of the accepted connections after the step, exact to a tick of the kernel. Doorbell
to fork: as the journal tells it; - where it does not.";

pub(super) fn markdown(machine: &Machine, schedule: &Schedule, contest: &Contest) -> String {
    let (heading, load) = (machine.heading(), load_line(schedule, contest));
    let (table, ours) = (figures(contest), ours(contest));
    let skipped: String = contest.skipped.iter().map(|line| format!("SKIPPED: {line}\n")).collect();
    format!("{heading}{load}\n{table}\n{NOTE}\n\n{ours}\n{OURS_NOTE}\n{skipped}")
}

fn load_line(schedule: &Schedule, contest: &Contest) -> String {
    let phases = schedule.phases.iter().filter(|phase| !phase.length.is_zero());
    let phases: Vec<String> =
        phases.map(|phase| format!("{}/s for {:?}", phase.rate, phase.length)).collect();
    let needed: Vec<String> = contest.needed.iter().map(ToString::to_string).collect();
    format!(
        "* load: open loop, Poisson, {}; {:?} of sleep each; {} repetitions; handlers of `fixed`: {}\n",
        phases.join(", then "),
        schedule.work.sleep,
        contest.needed.len(),
        needed.join(", "),
    )
}

fn figures(contest: &Contest) -> Table {
    let mut table = Table::new(&[
        "server",
        "wait p50 ms",
        "p99 ms",
        "p99.9 ms",
        "max ms",
        "> 50 ms",
        "> 10 ms",
        "handler-s",
        "/ ideal",
        "peak",
        "kept",
        "settled s",
        "unanswered",
        "lost",
        "client late ms",
        "elsewhere",
    ]);
    contest.trials.iter().for_each(|trials| table.push(line(trials)));
    table
}

fn line(trials: &Trials) -> Vec<String> {
    let of = |quantity: Quantity| trials.figure(quantity).median;
    let p99 = trials.figure(|sample| sample.waits.p99);
    vec![
        trials.entrant.to_string(),
        format!("{:.1}", of(|sample| sample.waits.p50)),
        format!("{:.1} ± {:.0} %", p99.median, p99.spread() * 100.0),
        format!("{:.1}", of(|sample| sample.waits.p999)),
        format!("{:.1}", of(|sample| sample.waits.max)),
        format!("{:.2} %", of(|sample| sample.late) * 100.0),
        format!("{:.2} %", of(|sample| sample.late_short) * 100.0),
        format!("{:.0}", of(|sample| sample.handler_seconds)),
        format!("{:.2}", of(|sample| sample.handler_seconds / sample.asked_seconds)),
        format!("{:.0}", of(|sample| sample.peak)),
        number(of(|sample| sample.kept)),
        seconds(of(|sample| sample.reaction)),
        format!("{:.0}", of(|sample| sample.unanswered)),
        format!("{:.0}", of(|sample| sample.lost)),
        format!("{:.1}", of(|sample| sample.generator_lateness)),
        format!("{:.0} %", of(|sample| sample.elsewhere) * 100.0),
    ]
}

fn seconds(reaction: f64) -> String {
    if reaction.is_infinite() { "never".into() } else { format!("{reaction:.2}") }
}

/// What only our server tells.
fn ours(contest: &Contest) -> Table {
    let mut table = Table::new(&[
        "server",
        "kernel wait p50 ms",
        "p99 ms",
        "p99.9 ms",
        "max ms",
        "doorbell to order p50 µs",
        "to fork p50 µs",
        "p99 µs",
    ]);
    for trials in contest.trials.iter().filter(|trials| trials.entrant.is_ours()) {
        let of = |quantity: Quantity| number(trials.figure(quantity).median);
        table.push(vec![
            trials.entrant.to_string(),
            of(|sample| sample.told.p50),
            of(|sample| sample.told.p99),
            of(|sample| sample.told.p999),
            of(|sample| sample.told.max),
            of(|sample| sample.order.p50),
            of(|sample| sample.doorbell.p50),
            of(|sample| sample.doorbell.p99),
        ]);
    }
    table
}

fn number(value: f64) -> String {
    if value.is_nan() { "-".into() } else { format!("{value:.0}") }
}

pub(super) fn json(machine: &Machine, schedule: &Schedule, contest: &Contest) -> Value {
    let [before, after, back] = schedule.phases;
    json!({
        "suite": "step",
        "machine": machine.json(),
        "from": before.rate, "before_s": before.length.as_secs_f64(),
        "to": after.rate, "after_s": after.length.as_secs_f64(),
        "back_s": back.length.as_secs_f64(),
        "service_ms": schedule.work.total().as_secs_f64() * 1e3,
        "seed": schedule.seed,
        "fixed_handlers": contest.needed,
        "skipped": contest.skipped,
        "trials": contest.trials.iter().map(trials_json).collect::<Vec<Value>>(),
    })
}

fn trials_json(trials: &Trials) -> Value {
    let of = |quantity: Quantity| Figure::json(&trials.figure(quantity));
    json!({
        "server": trials.entrant.to_string(),
        "wait_p50_ms": of(|sample| sample.waits.p50),
        "wait_p99_ms": of(|sample| sample.waits.p99),
        "wait_p999_ms": of(|sample| sample.waits.p999),
        "wait_max_ms": of(|sample| sample.waits.max),
        "late_50ms": of(|sample| sample.late),
        "late_10ms": of(|sample| sample.late_short),
        "requests": of(|sample| sample.requests),
        "handler_s": of(|sample| sample.handler_seconds),
        "asked_s": of(|sample| sample.asked_seconds),
        "peak": of(|sample| sample.peak),
        "kept": of(|sample| sample.kept),
        "settled_s": of(|sample| sample.reaction),
        "unanswered": of(|sample| sample.unanswered),
        "lost": of(|sample| sample.lost),
        "kernel_wait_p50_ms": of(|sample| sample.told.p50),
        "kernel_wait_p99_ms": of(|sample| sample.told.p99),
        "kernel_wait_p999_ms": of(|sample| sample.told.p999),
        "kernel_wait_max_ms": of(|sample| sample.told.max),
        "doorbell_to_order_p50_us": of(|sample| sample.order.p50),
        "doorbell_to_fork_p50_us": of(|sample| sample.doorbell.p50),
        "doorbell_to_fork_p99_us": of(|sample| sample.doorbell.p99),
        "generator_lateness_ms": of(|sample| sample.generator_lateness),
        "elsewhere": of(|sample| sample.elsewhere),
    })
}
