//! A pool whose number of handlers follows the load: up at once, down when idle, to nobody and
//! back, and never at the cost of a request.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "all of it is test code, but clippy sees that only in functions marked #[test]"
)]

use std::time::Duration;

use kit::{Launch, PATIENCE, Run, Signal, assert_conserved, eventually, example};
use pool::{Held, say};
use serde_json::{Value, json};

mod kit;
mod pool;

/// Starts a pool on a free port and waits until its first handler has been ready.
#[track_caller]
fn start(words: &[&str]) -> Run {
    let run = Launch::of(example("pool")).arg("127.0.0.1:0").args(words).start();
    eventually(PATIENCE, "a handler to have been ready", || {
        let journal = run.control().journal().ok()?;
        journal.iter().any(|entry| entry["kind"] == "ready").then_some(())
    });
    run
}

/// How many handlers are alive that have not been told to leave.
fn staying(run: &Run) -> usize {
    let pool = run.pool();
    let handlers = pool["handlers"].as_array().unwrap();
    handlers.iter().filter(|it| it["state"] == "idle" || it["state"] == "busy").count()
}

#[track_caller]
fn wait_staying(run: &Run, number: usize) {
    eventually(PATIENCE, &format!("{number} handlers"), || (staying(run) == number).then_some(()));
}

fn of_kind(run: &Run, kind: &str) -> Vec<Value> {
    run.journal().into_iter().filter(|entry| entry["kind"] == kind).collect()
}

#[track_caller]
fn end(mut run: Run) {
    assert_conserved(&run.status());
    assert_eq!(run.pool()["totals"]["crashed"], 0);
    assert!(run.stop().success());
}

#[test]
fn as_many_handlers_are_made_as_requests_need_and_idle_ones_leave() {
    let run = start(&["bounds=1..16"]);
    let address = run.socket_addr();
    let held: Vec<_> = (0..8).map(|_| Held::open(address)).collect();
    assert_eq!(run.pool()["totals"]["in_flight"], 8);
    held.into_iter().for_each(Held::release);
    wait_staying(&run, 1);
    let slots: Vec<_> = run.pool()["handlers"].as_array().unwrap().to_vec();
    assert_eq!(slots[0]["slot"], 0, "the highest leave first");
    let reasons = of_kind(&run, "scale");
    assert!(reasons.len() >= 2, "{reasons:?}");
    assert!(reasons.iter().all(|it| it["reason"].as_str().unwrap().starts_with("demand: ")));
    end(run);
}

#[test]
fn a_handler_that_serves_is_not_sent_away() {
    let run = start(&["bounds=1..8", "grace=100"]);
    let address = run.socket_addr();
    let mut held: Vec<_> = (0..6).map(|_| Held::open(address)).collect();
    let last = held.pop().unwrap();
    held.into_iter().for_each(Held::release);
    // One is kept by the limits, or is the one that serves.
    eventually(PATIENCE, "the idle to leave", || (staying(&run) <= 2).then_some(()));
    last.release();
    wait_staying(&run, 1);
    assert_eq!(run.pool()["totals"]["aborted"], 0);
    end(run);
}

#[test]
fn going_up_and_down_a_hundred_times_loses_nothing() {
    let run = start(&["bounds=1..8", "balance=delayed-off:idle=10ms"]);
    let address = run.socket_addr();
    for _ in 0..100 {
        let held: Vec<_> = (0..4).map(|_| Held::open(address)).collect();
        held.into_iter().for_each(Held::release);
        wait_staying(&run, 1);
    }
    let totals = run.pool()["totals"].clone();
    assert_eq!((&totals["accepted"], &totals["aborted"]), (&json!(400), &json!(0)));
    assert!(totals["spawned"].as_u64() >= Some(301), "{totals}");
    end(run);
}

#[test]
fn what_has_come_while_the_last_handler_leaves_is_served() {
    let run = start(&["bounds=0..4", "balance=delayed-off:idle=1ms"]);
    let address = run.socket_addr();
    for _ in 0..200 {
        assert!(say(address, "pid").parse::<u32>().is_ok());
    }
    assert_eq!(run.pool()["totals"]["aborted"], 0);
    end(run);
}

#[test]
fn nobody_is_kept_for_nobody_and_the_next_request_is_served() {
    let run = start(&["bounds=0..4"]);
    let address = run.socket_addr();
    for _ in 0..3 {
        wait_staying(&run, 0);
        assert!(say(address, "pid").parse::<u32>().is_ok());
    }
    wait_staying(&run, 0);
    assert_eq!(of_kind(&run, "start").len(), 1);
    end(run);
}

#[test]
fn a_stop_serves_what_has_come_where_there_is_no_handler() {
    let mut run = start(&["bounds=0..4"]);
    let address = run.socket_addr();
    wait_staying(&run, 0);
    let mut held = Held::ask(address);
    run.signal(Signal::TERM);
    assert_eq!(held.line(), "held");
    held.release();
    assert!(run.wait().success());
}

#[test]
fn a_reload_proves_the_new_generation_where_there_is_no_handler() {
    let run = start(&["bounds=0..4", "canary=50"]);
    wait_staying(&run, 0);
    let answer = run.control().tell(&json!({"verb": "reload"}));
    assert_eq!(answer["result"], "done", "{answer}");
    let ready = of_kind(&run, "ready");
    assert!(ready.iter().any(|it| it["generation"] == 2), "{ready:?}");
    wait_staying(&run, 0);
    assert!(say(run.socket_addr(), "pid").parse::<u32>().is_ok());
    end(run);
}

#[test]
fn no_more_than_the_most_are_made_and_the_limit_is_named() {
    let run = start(&["bounds=1..3"]);
    let address = run.socket_addr();
    let held: Vec<_> = (0..3).map(|_| Held::open(address)).collect();
    let waiting: Vec<_> = (0..3).map(|_| Held::ask(address)).collect();
    eventually(PATIENCE, "the limit to be named", || {
        let pool = run.pool();
        (pool["want"] == 3 && pool["limited_by"] == "max").then_some(())
    });
    held.into_iter().for_each(Held::release);
    for mut one in waiting {
        assert_eq!(one.line(), "held");
        one.release();
    }
    eventually(PATIENCE, "no limit to be felt", || {
        run.pool()["limited_by"].is_null().then_some(())
    });
    end(run);
}

#[test]
fn an_operator_chooses_between_which_numbers() {
    let run = start(&["handlers=2"]);
    let address = run.socket_addr();
    let tell = |handlers: &str| {
        let answer = run.control().tell(&json!({"verb": "scale", "handlers": handlers}));
        assert_eq!(answer["result"], "done", "{answer}");
    };
    tell("0..8");
    wait_staying(&run, 0);
    let held: Vec<_> = (0..5).map(|_| Held::open(address)).collect();
    held.into_iter().for_each(Held::release);
    tell("6");
    wait_staying(&run, 6);
    tell("auto");
    wait_staying(&run, 2);
    end(run);
}

#[test]
fn who_dies_is_replaced_as_far_as_the_load_needs() {
    let mut run = start(&["bounds=1..8"]);
    let address = run.socket_addr();
    let held: Vec<_> = (0..4).map(|_| Held::open(address)).collect();
    for pid in run.handler_pids() {
        kit::Kill::of(pid);
    }
    drop(held);
    assert!(say(address, "pid").parse::<u32>().is_ok());
    wait_staying(&run, 1);
    assert_conserved(&run.status());
    assert!(run.stop().success());
}

#[test]
fn a_frozen_handler_does_not_keep_requests_from_others() {
    let mut run = start(&["bounds=1..4"]);
    let address = run.socket_addr();
    let frozen = kit::Hold::stop(&run.handler_pids());
    assert!(say(address, "pid").parse::<u32>().is_ok());
    frozen.release();
    assert!(run.stop().success());
}

#[test]
fn a_stop_that_waits_for_a_request_does_not_keep_its_spawner_busy() {
    let mut run = start(&["bounds=1..8"]);
    let address = run.socket_addr();
    let held: Vec<_> = (0..3).map(|_| Held::open(address)).collect();
    run.signal(Signal::TERM);
    // A decision was due within the second that the handlers would have been kept.
    let (begin, used) = (std::time::Instant::now(), kit::usage::processor_time(run.pid()));
    eventually(PATIENCE, "two seconds to pass", || {
        (begin.elapsed() >= Duration::from_secs(2)).then_some(())
    });
    let used = kit::usage::processor_time(run.pid()) - used;
    assert!(used < 50, "the spawner used {used} hundredths of a second");
    held.into_iter().for_each(Held::release);
    assert!(run.wait().success());
}

#[test]
fn an_idle_elastic_pool_does_not_wake_its_spawner() {
    let run = start(&["bounds=1..64"]);
    say(run.socket_addr(), "pid");
    let mut rested = Vec::new();
    eventually(PATIENCE, "two seconds in a row without a wake-up of the spawner", || {
        let switches = kit::usage::voluntary_switches(run.pid());
        let now = std::time::Instant::now();
        rested.retain(|&(_, count)| count == switches);
        rested.push((now, switches));
        let since = rested.first().map(|&(at, _): &(std::time::Instant, u64)| now - at);
        since.filter(|&since| since >= Duration::from_secs(2))
    });
    end(run);
}
