//! Things asked for while another is going on.

use serde_json::json;

use crate::clients::Door;
use crate::kit::{Hold, Launch, PATIENCE, Run, eventually, example};
use crate::pool::start;
use crate::way::{WAYS, Way, assert_answer, change, generation, members, scale, told, wait_calm};

/// A pool whose changes last until the test has seen enough.
const SLOW: &[&str] = &["handlers=3", "canary=60000"];
const QUICK: &[&str] = &["handlers=3", "canary=300"];

#[test]
fn of_two_changes_at_once_the_second_is_refused() {
    for way in WAYS {
        for other in WAYS {
            let mut run = start(SLOW);
            let mut first = way.enter(&run);
            let answer = other.ask(&run);
            let going_on = format!("one change at a time: {}", way.verb());
            assert_answer(&answer, "refused", &[&going_on]);
            run.signal(other.signal());
            eventually(PATIENCE, "the second refusal in the journal", || {
                (told(&run, "refusal").len() == 2).then_some(())
            });
            assert!(change(&run).is_some(), "the first goes on");
            run.stop();
            assert_answer(&first.answer(), "failed", &["the server stops"]);
        }
    }
}

#[test]
fn who_waits_for_a_change_is_not_told_how_the_next_one_ended() {
    // A copy, whose file is gone when it is asked for.
    let script = "cp \"$0\" ./pool && exec ./pool \"$@\"";
    let launch = Launch::of("/bin/sh").args(["-c", script]).arg(example("pool"));
    let mut run = launch.args(["127.0.0.1:0", "handlers=1", "canary=10"]).start();
    run.wait_ready(1);
    std::fs::remove_file(run.path("pool")).unwrap();
    let (mut first, mut second) = (run.control().knock(), run.control().knock());
    run.status(); // both were let in before whoever asked this
    let hold = Hold::stop(&[run.pid()]);
    first.say(&json!({"verb": "upgrade"}));
    second.say(&json!({"verb": "reload"}));
    drop(hold);
    assert_answer(&first.answer(), "failed", &["cannot be opened"]);
    assert_answer(&second.answer(), "done", &["generation 2"]);
    run.stop();
}

#[test]
fn a_change_goes_on_when_nobody_waits_for_it_any_more() {
    for way in WAYS {
        let mut run = start(QUICK);
        let before = generation(&run);
        drop(way.enter(&run));
        eventually(PATIENCE, "the new generation", || {
            (generation(&run) == before + 1).then_some(())
        });
        wait_calm(&run, 3);
        run.stop();
    }
}

#[test]
fn a_scale_during_a_change_is_true_of_the_old_and_of_the_new() {
    for way in WAYS {
        for handlers in [1, 2, 5] {
            let mut run = start(QUICK);
            let mut renewal = way.enter(&run);
            let mut scaling = scale(&run.control(), &handlers.to_string());
            assert_answer(&renewal.answer(), "done", &[]);
            assert_answer(&scaling.answer(), "done", &[&format!("({handlers})")]);
            wait_calm(&run, handlers);
            run.stop();
        }
    }
}

#[test]
fn handlers_that_are_killed_during_a_change_are_replaced_in_their_generation() {
    for way in WAYS {
        let mut run = start(QUICK);
        let before = generation(&run);
        let mut renewal = way.enter(&run);
        for pid in members(&run, before) {
            crate::kit::Kill::of(pid);
        }
        assert_answer(&renewal.answer(), "done", &[]);
        assert_eq!(generation(&run), before + 1);
        wait_calm(&run, 3);
        run.stop();
    }
}

#[test]
fn a_change_or_scale_of_a_drained_server_is_refused_and_it_still_stops() {
    for way in WAYS {
        let mut run = start(QUICK);
        let control = run.control();
        assert_answer(&control.tell(&json!({"verb": "drain"})), "done", &["drained"]);
        assert_eq!(run.status()["state"], "drained");
        assert_answer(&scale(&control, "2").answer(), "refused", &["is drained"]);
        assert_answer(&way.ask(&run), "refused", &["drained"]);
        assert!(run.is_alive(), "only the pool is drained");
        assert_answer(&control.tell(&json!({"verb": "stop"})), "done", &["stopped"]);
        assert_eq!(run.wait().code(), Some(0));
    }
}

#[test]
fn a_drain_during_a_change_is_refused() {
    let mut run = start(SLOW);
    let _pending = Way::Reload.enter(&run);
    let answer = run.control().tell(&json!({"verb": "drain"}));
    assert_answer(&answer, "refused", &["reload", "wait until it is over"]);
    run.stop();
}

#[test]
fn one_old_generation_too_many_is_cut() {
    let mut run = start(&["handlers=1", "canary=10", "old_generations=1"]);
    let door = Door::of(&run);
    let mut oldest = door.hold();
    Way::Reload.succeed(&run);
    let middle = door.hold();
    Way::Reload.succeed(&run);
    assert_eq!(oldest.answer(), None, "its generation is one too many");
    middle.release();
    assert!(told(&run, "change").iter().any(|it| it.starts_with("old_generations: ")));
    wait_calm(&run, 1);
    run.stop();
}

/// Says something to a server that is stopping, and lets it end.
#[track_caller]
fn assert_refused_while_stopping(run: &mut Run, way: Way) {
    let door = Door::of(run);
    let hold = door.hold();
    run.signal(crate::kit::Signal::TERM);
    eventually(PATIENCE, "the stop to begin", || {
        (run.status()["state"] != "serving").then_some(())
    });
    assert_answer(&way.ask(run), "refused", &["the server stops"]);
    let state = run.status()["state"].as_str().unwrap().to_owned();
    assert_answer(&scale(&run.control(), "5").answer(), "refused", &[&state]);
    run.signal(way.signal());
    eventually(PATIENCE, "the signal to be refused as well", || {
        told(run, "refusal").iter().any(|it| it.contains("SIG")).then_some(())
    });
    hold.release();
    assert_eq!(run.wait().code(), Some(0));
}

#[test]
fn a_server_that_stops_or_announces_it_is_not_changed_any_more() {
    for way in WAYS {
        assert_refused_while_stopping(&mut start(&["handlers=2"]), *way);
        assert_refused_while_stopping(&mut start(&["handlers=2", "announce=500"]), *way);
    }
}
