//! Clients of the control socket that are too many, too slow or too quiet.

use serde_json::json;

use crate::kit::{Pending, assert_descriptors, usage};
use crate::pool::start;
use crate::way::{Way, assert_answer, descriptors, generation, scale, wait_calm};

#[test]
fn forty_clients_at_once_are_answered_or_turned_away_and_leave_nothing() {
    let mut run = start(&["handlers=2", "canary=10"]);
    let (open, control) = (descriptors(&run), run.control());
    let before = generation(&run);
    let clients: Vec<Pending> =
        (0..40).map(|_| control.begin(&json!({"verb": "events", "follow": true}))).collect();
    drop(clients);
    assert_descriptors(&run, open);
    let mut clients: Vec<Pending> = (0..40).map(|_| Way::Reload.begin(&run)).collect();
    let answers: Vec<_> = clients.iter_mut().filter_map(Pending::line).collect();
    let with = |result| answers.iter().filter(|it| it["result"] == result).count();
    assert!(with("done") >= 1, "{answers:?}");
    assert_eq!(with("done") + with("refused"), answers.len(), "{answers:?}");
    drop(clients);
    wait_calm(&run, 2);
    assert_eq!(generation(&run), before + with("done") as u64);
    assert_descriptors(&run, open);
    run.stop();
}

#[test]
fn a_client_that_follows_and_never_reads_is_sent_away() {
    let mut run = start(&["handlers=1"]);
    let (open, control) = (descriptors(&run), run.control());
    let deaf = control.begin(&json!({"verb": "events", "follow": true}));
    while usage::descriptors(run.pid()) > open {
        for handlers in ["40", "1"] {
            assert_answer(&scale(&control, handlers).answer(), "done", &[]);
        }
        wait_calm(&run, 1);
    }
    drop(deaf);
    run.stop();
}

#[test]
fn a_client_that_follows_sees_a_change_from_its_beginning_to_its_end() {
    let mut run = start(&["handlers=2", "canary=10"]);
    let mut follower = run.control().begin(&json!({"verb": "events", "follow": true}));
    Way::Reload.succeed(&run);
    let changes = std::iter::from_fn(|| Some(follower.answer()))
        .filter(|entry| entry["kind"] == "change")
        .map(|entry| entry["reason"].as_str().unwrap_or_default().to_owned());
    let mut told = Vec::new();
    for reason in changes {
        let over = reason.starts_with("done: ");
        told.push(reason);
        if over {
            break;
        }
    }
    assert!(told[0].starts_with("begins, told by process"), "{told:?}");
    assert!(told.iter().any(|it| it.contains("takes the place of the old")), "{told:?}");
    run.stop();
}
