//! Asynchronous handlers: what the gate lets in, and what it leaves to others.
#![cfg(feature = "tokio")]

use kit::{Launch, PATIENCE, Run, Signal, assert_conserved, eventually, example};
use pool::{Held, each, say};

mod kit;
mod pool;

fn start(limit: &str, words: &[&str]) -> Run {
    let run = Launch::of(example("gate")).args(["127.0.0.1:0", limit]).args(words).start();
    let number = words.iter().find_map(|word| word.strip_prefix("handlers=")?.parse().ok());
    run.wait_ready(number.unwrap_or(1));
    run
}

fn depth(run: &Run) -> u64 {
    run.pool()["addresses"][0]["depth"].as_u64().unwrap_or_default()
}

#[test]
fn a_full_handler_leaves_the_next_in_the_buffer() {
    for threads in [1, 2] {
        let words = ["handlers=2", &format!("threads={threads}")];
        let mut run = start("2", &words);
        let address = run.socket_addr();
        let mut held: Vec<_> = (0..4 * threads).map(|_| Held::open(address)).collect();
        let mut next = Held::ask(address);
        eventually(PATIENCE, "one to wait", || (depth(&run) == 1).then_some(()));
        held.remove(0).release();
        assert_eq!(next.line(), "held", "as soon as there is room");
        held.into_iter().for_each(Held::release);
        next.release();
        assert_conserved(&run.status());
        run.stop();
    }
}

#[test]
fn long_connections_spread_over_the_handlers() {
    for mode in ["all", "some:2", "one", "turn"] {
        let mut run = start("1000", &["handlers=4", &format!("notification={mode}")]);
        let address = run.socket_addr();
        // A fair share is 20, and a handler leaves newcomers to others while it holds more than 4
        // above that; unless they do not come in time, as on a machine that is busy elsewhere.
        eventually(PATIENCE, &format!("fair shares in mode {mode}"), || {
            let held: Vec<_> = (0..80).map(|_| Held::open(address)).collect();
            let shares = each(&run.status(), "open");
            held.into_iter().for_each(Held::release);
            shares.iter().all(|share| (1..=32).contains(share)).then_some(())
        });
        run.stop();
    }
}

#[test]
fn a_panic_costs_its_connection_alone() {
    let mut run = start("100", &["handlers=1"]);
    let address = run.socket_addr();
    let other = Held::open(address);
    assert_eq!(say(address, "panic"), "");
    other.release();
    eventually(PATIENCE, "the books to close", || {
        (run.pool()["totals"]["in_flight"] == 0).then_some(())
    });
    let status = run.status();
    assert_eq!(kit::control::pool(&status)["totals"]["aborted"], 1);
    assert_eq!(kit::control::pool(&status)["totals"]["exited"], 0, "the process lives on");
    assert_conserved(&status);
    run.stop();
}

#[test]
fn a_panic_before_the_first_await_costs_its_connection_alone() {
    let mut run = start("100", &["handlers=1", "early=panic"]);
    let address = run.socket_addr();
    for _ in 0..5 {
        assert_eq!(say(address, "pid"), "");
    }
    eventually(PATIENCE, "five to be counted", || {
        (run.pool()["totals"]["aborted"] == 5).then_some(())
    });
    assert_eq!(run.pool()["totals"]["exited"], 0, "the process lives on");
    assert_conserved(&run.status());
    run.stop();
}

#[test]
fn a_stop_waits_for_what_was_accepted_and_for_what_waits() {
    let mut run = start("1", &["handlers=1"]);
    let address = run.socket_addr();
    let held = Held::open(address);
    let mut next = Held::ask(address);
    eventually(PATIENCE, "one to wait", || (depth(&run) == 1).then_some(()));
    run.signal(Signal::TERM);
    held.release();
    assert_eq!(next.line(), "held", "a stop empties the buffer");
    next.release();
    assert!(run.wait().success());
    run.wait_gone();
}

#[test]
fn a_handler_that_cannot_start_is_told_with_its_reason() {
    let words = ["127.0.0.1:0", "1", "handlers=2", "threads=2", "start=fail"];
    let mut run = Launch::of(example("gate")).args(words).start();
    assert_eq!(run.wait().code(), Some(70));
    assert!(run.stderr().contains("it could not start: it was told to fail"), "{}", run.logs());
}

#[test]
fn with_more_threads_of_a_runtime_one_that_blocks_does_not_block_the_others() {
    let mut run = start("100", &["handlers=1", "runtime=2"]);
    let address = run.socket_addr();
    let other = std::thread::spawn(move || say(address, "meet"));
    assert_eq!(say(address, "meet"), "met", "each blocks a thread until the other comes");
    assert_eq!(other.join().unwrap(), "met");
    assert_conserved(&run.status());
    run.stop();
}
