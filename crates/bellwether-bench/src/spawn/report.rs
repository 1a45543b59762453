//! What a handler costs, as tables for people and as JSON for scripts.

use hdrhistogram::Histogram;
use serde_json::{Value, json};

use super::idle::Idle;
use super::replacement::Replacement;
use crate::machine::Machine;
use crate::table::Table;

pub(super) fn markdown(machine: &Machine, replacement: &Replacement, idle: &[Idle]) -> String {
    let (heading, times, idle) = (machine.heading(), times(replacement), idle_table(idle));
    format!(
        "{heading}\n{times}\nAnswer: the only handler is killed, a client connects at once, its \
         connection waits for the successor. First accept: from the fork, as the server reports \
         it.\n\n{idle}\nGoals: first accept p50 < 400 µs, handler private < 100 KiB, spawner \
         ≤ 2 wake-ups/s at 64 handlers. Other: the template.\n"
    )
}

fn times(replacement: &Replacement) -> Table {
    let mut table = Table::new(&["time", "times", "p50 µs", "p90 µs", "p99 µs", "max µs"]);
    table.push(line("SIGKILL to answer of the successor", &replacement.answer));
    table.push(line("fork to first accept", &replacement.first_accept));
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

pub(super) fn json(machine: &Machine, replacement: &Replacement, idle: &[Idle]) -> Value {
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
        "kill_to_answer": times(&replacement.answer),
        "fork_to_first_accept": times(&replacement.first_accept),
        "idle": idle.iter().map(pool).collect::<Vec<Value>>(),
    })
}
