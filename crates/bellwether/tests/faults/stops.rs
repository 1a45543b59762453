//! The end of a server, asked for at inconvenient moments.

use crate::clients::Door;
use crate::journal::{alarms, said};
use crate::kit::run::Signal;
use crate::kit::{Launch, PATIENCE, Run, assert_conserved, assert_quiescent, eventually, example};
use crate::looks::{busy_and_idle, idle_in};
use crate::pool::start;
use crate::tracer::{Tracer, can_trace};

const KINDS: [&str; 2] = ["tcp", "unix"];

/// Starts a pool of two on a port or on a socket file.
#[track_caller]
fn start_on(kind: &str) -> (Run, Door) {
    let launch = Launch::of(example("pool"));
    let address = match kind {
        "unix" => format!("unix:{}", launch.path("door.sock").display()),
        _ => "127.0.0.1:0".to_owned(),
    };
    let run = launch.arg(address).arg("handlers=2").start();
    run.wait_ready(2);
    let door = Door::of(&run);
    (run, door)
}

/// Sends a signal and waits until the spawner has seen it.
#[track_caller]
fn ask_to_stop(run: &Run, signal: Signal) {
    run.signal(signal);
    eventually(PATIENCE, "the server to be stopping", || {
        (run.status()["state"] == "stopping").then_some(())
    });
}

#[track_caller]
fn wait_for_depth(run: &Run, depth: u64) {
    eventually(PATIENCE, &format!("{depth} requests in the buffer"), || {
        (run.pool()["addresses"][0]["depth"] == depth).then_some(())
    });
}

/// Waits for the end of a server that was told to stop.
#[track_caller]
fn assert_stopped(run: &mut Run) {
    let status = run.wait();
    assert!(status.success(), "the server ended with {status}");
    assert_quiescent(run.baseline(), run);
}

#[test]
fn a_request_in_flight_is_finished_before_the_server_stops() {
    for kind in KINDS {
        for signal in [Signal::TERM, Signal::INT] {
            let (mut run, door) = start_on(kind);
            let hold = door.hold();
            ask_to_stop(&run, signal);
            eventually(PATIENCE, "the idle handler to leave", || {
                (run.handler_pids().len() == 1).then_some(())
            });
            assert_conserved(&run.status());
            hold.release();
            assert_stopped(&mut run);
            assert_eq!(alarms(&run), [], "{kind} {signal:?}: this is nothing to be alarmed about");
        }
    }
}

#[test]
fn requests_that_wait_in_the_buffer_are_answered_before_the_server_stops() {
    for kind in KINDS {
        let (mut run, door) = start_on(kind);
        let holds = [door.hold(), door.hold()];
        let mut clients: Vec<_> = (0..5).map(|_| door.say("pid")).collect();
        wait_for_depth(&run, 5);
        ask_to_stop(&run, Signal::TERM);
        holds.into_iter().for_each(crate::clients::Client::release);
        for client in &mut clients {
            assert!(client.answer().is_some(), "{kind}: a request was lost");
        }
        assert_stopped(&mut run);
    }
}

#[test]
fn a_refusal_while_the_buffer_is_emptied_loses_no_request() {
    if !can_trace() {
        return;
    }
    // The second try comes after the order to empty the buffer was heard.
    let faults = ["ECONNABORTED:when=1", "EINTR:when=2", "ECONNABORTED:when=2", "EMFILE:when=2"];
    for fault in faults {
        let mut run = start(&["handlers=1"]);
        let (door, pid) = (Door::of(&run), idle_in(&run, 0));
        let hold = door.hold();
        let mut clients: Vec<_> = (0..3).map(|_| door.say("pid")).collect();
        wait_for_depth(&run, 3);
        let calls = "accept4,accept,recvfrom"; // it waits for the word of its client
        let injection = format!("accept4,accept:error={fault}");
        let tracer = Tracer::attach(&run, pid, calls, &[&injection]);
        ask_to_stop(&run, Signal::TERM);
        hold.release();
        for client in &mut clients {
            assert_eq!(client.answer(), Some(pid.to_string()), "{fault}: a request was lost");
        }
        tracer.detach();
        assert_stopped(&mut run);
    }
}

#[test]
fn the_second_signal_ends_a_stopping_server_at_once() {
    for kind in KINDS {
        let (mut run, door) = start_on(kind);
        let mut hold = door.hold();
        ask_to_stop(&run, Signal::TERM);
        run.signal_later(Signal::TERM);
        assert_stopped(&mut run);
        assert_eq!(hold.answer(), None, "{kind}: its handler was killed");
        assert_eq!(said(&run, "ending at once").len(), 1);
    }
}

#[test]
fn sigquit_ends_a_server_at_once() {
    for kind in KINDS {
        let (mut run, door) = start_on(kind);
        let mut hold = door.hold();
        run.signal(Signal::QUIT);
        assert_stopped(&mut run);
        assert_eq!(hold.answer(), None, "{kind}: its handler was killed");
    }
}

#[test]
fn a_handler_that_does_not_finish_in_its_grace_is_ended() {
    let mut run = start(&["handlers=2", "grace=300"]);
    let mut spinner = Door::of(&run).say("spin");
    busy_and_idle(&run);
    ask_to_stop(&run, Signal::TERM);
    assert_stopped(&mut run);
    assert_eq!(spinner.answer(), None);
    assert_eq!(said(&run, "a handler took too long, ending it").len(), 1);
}

#[test]
fn a_server_that_is_ended_while_handlers_are_born_leaves_nobody_behind() {
    for round in 0..10 {
        let pool = Launch::of(example("pool")).args(["127.0.0.1:0", "handlers=32"]);
        let mut run = pool.start();
        // Later in each round: at the first handler, at the second, …
        eventually(PATIENCE, "some handlers", || {
            (run.processes().len() >= 2 + round).then_some(())
        });
        run.signal(Signal::QUIT);
        assert_stopped(&mut run);
    }
}
