//! Stops in the middle of something, and stops that are asked for twice.

use serde_json::json;

use crate::clients::Door;
use crate::kit::{PATIENCE, Run, Signal, assert_quiescent, eventually};
use crate::pool::start;
use crate::way::{WAYS, assert_answer};

#[track_caller]
fn wait_until(run: &Run, state: &str) {
    eventually(PATIENCE, state, || (run.status()["state"] == state).then_some(()));
}

/// Waits for the end of a server that was told to stop, all of whose processes are known.
#[track_caller]
fn assert_ended(run: &mut Run) {
    assert_eq!(run.wait().code(), Some(0));
    assert_quiescent(run.baseline(), run);
}

#[test]
fn a_stop_ends_the_change_that_is_going_on() {
    for way in WAYS {
        let mut run = start(&["handlers=3", "canary=60000"]);
        let door = Door::of(&run);
        let mut renewal = way.enter(&run);
        let hold = door.hold();
        run.processes();
        let mut stop = run.control().begin(&json!({"verb": "stop"}));
        assert_answer(&renewal.answer(), "failed", &["the server stops"]);
        hold.release();
        let answer = stop.answer();
        assert_answer(&answer, "done", &["stopped"]);
        assert_eq!(answer["cut"], 0, "{answer}");
        assert_ended(&mut run);
    }
}

#[test]
fn the_second_order_to_stop_is_not_graceful_whatever_the_first_was() {
    let orders = [
        (Signal::TERM, Signal::INT),
        (Signal::INT, Signal::TERM),
        (Signal::TERM, Signal::QUIT),
        (Signal::INT, Signal::INT),
    ];
    for (first, second) in orders {
        let mut run = start(&["handlers=2"]);
        let mut hold = Door::of(&run).hold();
        run.processes();
        run.signal(first);
        wait_until(&run, "stopping");
        run.signal_later(second);
        assert_ended(&mut run);
        assert_eq!(hold.answer(), None, "{first:?} {second:?}: its handler was killed");
    }
}

#[test]
fn a_signal_after_the_command_to_stop_ends_the_server_at_once_and_says_what_was_cut() {
    let mut run = start(&["handlers=2"]);
    let mut hold = Door::of(&run).hold();
    run.processes();
    let mut stop = run.control().begin(&json!({"verb": "stop"}));
    wait_until(&run, "stopping");
    run.signal_later(Signal::TERM);
    let answer = stop.answer();
    assert_eq!((&answer["result"], &answer["cut"]), (&json!("done"), &json!(1)), "{answer}");
    assert_eq!(hold.answer(), None);
    assert_ended(&mut run);
}

#[test]
fn everybody_who_asked_for_the_stop_is_told_that_it_is_over() {
    let mut run = start(&["handlers=2"]);
    let hold = Door::of(&run).hold();
    run.processes();
    let control = run.control();
    let mut clients: Vec<_> = (0..10).map(|_| control.begin(&json!({"verb": "stop"}))).collect();
    wait_until(&run, "stopping");
    run.status(); // all of them were heard before this
    hold.release();
    for client in &mut clients {
        assert_answer(&client.answer(), "done", &["stopped"]);
    }
    assert_ended(&mut run);
}

#[test]
fn newcomers_are_served_as_long_as_the_stop_is_announced() {
    let mut run = start(&["handlers=2", "announce=60000"]);
    let door = Door::of(&run);
    run.processes();
    run.signal(Signal::TERM);
    wait_until(&run, "announcing");
    door.ask("pid");
    run.signal_later(Signal::TERM);
    assert_ended(&mut run);
}

#[test]
fn a_stop_at_once_during_a_change_leaves_nobody_behind() {
    for way in WAYS {
        for round in 0..5 {
            let mut run = start(&["handlers=8", "canary=0"]);
            drop(way.begin(&run));
            // Later in each round: at the first new handler, at the second, …
            eventually(PATIENCE, "some new handlers", || {
                run.processes();
                let spawned = run.pool()["totals"]["spawned"].as_u64()?;
                (spawned > 8 + round).then_some(())
            });
            run.processes();
            run.signal(Signal::QUIT);
            assert_ended(&mut run);
        }
    }
}
