//! What a handler costs, as tables for people and as JSON for scripts.

use hdrhistogram::Histogram;
use serde_json::{Value, json};

use super::Deaths;
use super::idle::Idle;
use crate::machine::Machine;
use crate::table::Table;

const TIMES_NOTE: &str = "\
The only handler is killed and a client connects at once: its connection waits in the buffer for the
successor. First death: of the handler of a new server; death after death: of one server, which
answers with growing pauses. Fork to first accept as the server reports it; goal: p50 < 400 µs.";

const IDLE_NOTE: &str = "\
Private: what would be free without the process. Other: the template. Goals: a handler < 100 KiB, the
spawner ≤ 2 wake-ups/s with 64 handlers.";

pub(super) fn markdown(machine: &Machine, deaths: &Deaths, idle: &[Idle]) -> String {
    let (heading, times, idle) = (machine.heading(), times(deaths), idle_table(idle));
    format!("{heading}\n{times}\n{TIMES_NOTE}\n\n{idle}\n{IDLE_NOTE}\n")
}

fn times(deaths: &Deaths) -> Table {
    let mut table = Table::new(&["time", "samples", "p50 µs", "p90 µs", "p99 µs", "max µs"]);
    table.push(line("first death: SIGKILL to answer", &deaths.first.answer));
    table.push(line("first death: fork to first accept", &deaths.first.first_accept));
    table.push(line("death after death: SIGKILL to answer", &deaths.each.answer));
    table.push(line("death after death: fork to first accept", &deaths.each.first_accept));
    table
}

fn line(name: &str, times: &Histogram<u64>) -> Vec<String> {
    let quantile = |part| if times.is_empty() { "-".into() } else { at(times, part).to_string() };
    let mut line = vec![name.into(), times.len().to_string()];
    line.extend([0.5, 0.9, 0.99, 1.0].map(quantile));
    line
}

fn at(times: &Histogram<u64>, part: f64) -> u64 {
    times.value_at_quantile(part)
}

fn idle_table(idle: &[Idle]) -> Table {
    let mut table = Table::new(&[
        "idle handlers",
        "private KiB each",
        "spawner KiB",
        "other KiB",
        "spawner wake-ups/s",
        "handlers' wake-ups/s",
    ]);
    for pool in idle {
        table.push(vec![
            pool.handlers.to_string(),
            format!("{:.0}", pool.handler_memory.median),
            pool.spawner_memory.to_string(),
            pool.other_memory.to_string(),
            format!("{:.1}", pool.spawner_wakeups),
            format!("{:.1}", pool.handler_wakeups),
        ]);
    }
    table
}

pub(super) fn json(machine: &Machine, deaths: &Deaths, idle: &[Idle]) -> Value {
    let times = |times: &Histogram<u64>| {
        json!({ "times": times.len(), "p50_us": at(times, 0.5), "p90_us": at(times, 0.9),
                "p99_us": at(times, 0.99), "max_us": times.max() })
    };
    let pool = |pool: &Idle| {
        json!({
            "handlers": pool.handlers,
            "handler_private_kib": pool.handler_memory.json(),
            "spawner_private_kib": pool.spawner_memory,
            "other_private_kib": pool.other_memory,
            "spawner_wakeups_per_s": pool.spawner_wakeups,
            "handler_wakeups_per_s": pool.handler_wakeups,
        })
    };
    json!({
        "suite": "spawn",
        "machine": machine.json(),
        "first_death_to_answer": times(&deaths.first.answer),
        "first_death_fork_to_accept": times(&deaths.first.first_accept),
        "each_death_to_answer": times(&deaths.each.answer),
        "each_death_fork_to_accept": times(&deaths.each.first_accept),
        "idle": idle.iter().map(pool).collect::<Vec<Value>>(),
    })
}
