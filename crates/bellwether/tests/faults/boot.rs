//! Applications that do not start: H17 and H18 of the fault catalogue.

use crate::clients::Door;
use crate::journal::{alarms, assert_rare, said};
use crate::kit::{Kill, Launch, PATIENCE, Run, assert_quiescent, eventually, example};
use crate::looks::{finish, idle_in, total};

fn launch(words: &[&str]) -> Run {
    Launch::of(example("pool")).arg("127.0.0.1:0").args(words).start()
}

/// Asserts that a pool gives up, says why in its last line, and leaves nothing behind.
#[track_caller]
fn gives_up(words: &[&str], why: &str) {
    let mut run = launch(words);
    let status = run.wait();
    let errors = run.stderr();
    let last = errors.lines().last().unwrap_or_default();
    assert!(last.starts_with("error: no handler became ready: "), "{words:?}: {last:?}");
    assert!(last.contains(why), "{words:?}: {last:?} does not say {why:?}");
    assert_eq!(status.code(), Some(70), "{words:?}");
    assert_quiescent(run.baseline(), &run);
}

#[test]
fn an_application_that_cannot_be_loaded_is_told_in_its_own_words() {
    gives_up(&["handlers=2", "load=fail"], "it was told not to load");
}

#[test]
fn an_application_that_never_ends_to_load_is_told_with_the_limit() {
    gives_up(&["handlers=2", "load=hang", "boot=300"], "within 0.3 s");
}

#[test]
fn an_application_that_starts_threads_before_the_fork_is_told_which() {
    gives_up(&["handlers=2", "load=threads"], "stray");
}

#[test]
fn handlers_that_never_start_end_the_server() {
    gives_up(&["handlers=2", "start=fail"], "it could not start");
    gives_up(&["handlers=2", "threads=3", "start=fail"], "it could not start");
}

#[test]
fn handlers_that_exit_at_their_start_end_the_server() {
    gives_up(&["handlers=2", "start=exit"], "exited with status 0");
}

#[test]
fn handlers_that_panic_at_their_start_end_the_server() {
    gives_up(&["handlers=2", "start=panic"], "it panicked: as told at its start");
}

#[test]
fn handlers_that_hang_at_their_start_end_the_server_with_the_limit_told() {
    gives_up(&["handlers=2", "start=hang", "boot=300"], "within 0.3 s");
}

#[test]
fn a_thread_that_does_not_start_takes_its_handler_with_it_at_once() {
    gives_up(&["handlers=1", "threads=2", "start=thread1:fail", "boot=500"], "it could not start");
}

/// Waits until the handler of slot 1 has failed so often; the times in milliseconds.
#[track_caller]
fn failures(run: &Run, number: usize) -> Vec<u64> {
    eventually(PATIENCE, &format!("{number} failures"), || {
        let lines = said(run, "the handler could not start: this slot fails slot=1");
        (lines.len() >= number).then(|| lines.iter().map(|line| line.ms).collect())
    })
}

#[test]
fn a_slot_that_never_starts_is_tried_ever_more_rarely_while_the_others_serve() {
    let run = launch(&["handlers=3", "start=1:fail"]);
    run.wait_ready(2);
    let door = Door::of(&run);
    let times = failures(&run, 5);
    let spawned = total(&run, "spawned");
    // The others may have become ready after the first failure, which makes the next the first.
    // Each pause is twice the one before, less a fifth: 100 ms, 200 ms, 400 ms.
    for (pause, pair) in [80, 160, 320].into_iter().zip(times[1..].windows(2)) {
        assert!(pair[1].wrapping_sub(pair[0]) >= pause, "{times:?}");
    }
    assert!(spawned <= 2 + 5 + 1, "{spawned} forks for two handlers and five failures");
    for slot in [0, 2] {
        idle_in(&run, slot);
    }
    door.ask("pid");
    assert_rare(&said(&run, "did not become ready"));
    finish(run);
}

#[test]
fn a_slot_that_never_starts_does_not_delay_the_others_after_a_crash() {
    let run = launch(&["handlers=3", "start=1:fail"]);
    failures(&run, 5); // now it is left alone for over a second
    let spawned = total(&run, "spawned");
    let killed = idle_in(&run, 0);
    Kill::of(killed).expect("it was alive");
    eventually(PATIENCE, "another handler in slot 0", || {
        (idle_in(&run, 0) != killed).then_some(())
    });
    assert_eq!(
        total(&run, "spawned"),
        spawned + 1,
        "it did not wait for slot 1: {:?}",
        alarms(&run)
    );
    finish(run);
}
