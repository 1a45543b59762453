//! Tests of the invariants: each kind of leftover is found, and nothing else is.

use std::fs;
use std::os::unix::net::UnixListener;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::kit::quiescent::leftovers;
use crate::kit::run::Signal;
use crate::kit::zombies::is_long;
use crate::kit::{
    Baseline, Kill, PATIENCE, Pid, Process, Run, ZombieWatch, assert_conserved, assert_descriptors,
    assert_quiescent, eventually, processes, usage,
};
use crate::stage::{complaint, script};

/// A program that does not wait for its child.
const CARELESS: &str = "sleep 600 & echo ready; exec sleep 600";

/// Ends a script, and checks that the end of the run is found wanting for this reason alone.
#[track_caller]
fn check_left(mut run: Run, reason: &str) {
    run.signal(Signal::KILL);
    run.wait();
    let text = complaint(|| assert_quiescent(run.baseline(), &run));
    assert!(text.contains(reason), "{text}");
    assert_eq!(leftovers(run.baseline(), &run).len(), 1, "{text}");
}

#[test]
fn a_stray_child_is_found() {
    check_left(script("sleep 600 & echo ready; wait"), "process ");
}

#[test]
fn a_stray_child_in_a_session_of_its_own_is_found() {
    let run = script("setsid sleep 600 & echo ready; wait");
    let escaped = || processes::children(run.pid()).into_iter().find(|it| it.session == it.pid);
    eventually(PATIENCE, "a child in its own session", escaped);
    check_left(run, "process ");
}

#[test]
fn a_zombie_is_found() {
    let run = script(CARELESS);
    leave_zombie(&run);
    check_left(run, "unreaped zombie ");
}

#[test]
fn a_socket_file_is_found_wherever_it_is() {
    let run = script("mkdir deep; echo ready; exec sleep 600");
    let _socket = UnixListener::bind(run.path("deep/x.sock")).unwrap();
    check_left(run, "deep/x.sock");
}

#[test]
fn anything_in_the_runtime_directory_is_found() {
    check_left(script("mkdir run/shop; echo ready; exec sleep 600"), "run/shop");
}

#[test]
fn other_files_are_no_leftovers() {
    let mut run = script("echo > record; echo ready; exec sleep 600");
    run.stop();
}

#[test]
fn new_shared_memory_is_found_and_old_is_not() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("old"), "").unwrap();
    let baseline = Baseline::watching(folder.path());
    let mut run = Run::start("/bin/true", &[]);
    run.wait();
    assert_quiescent(&baseline, &run);
    fs::write(folder.path().join("new"), "").unwrap();
    assert_eq!(
        leftovers(&baseline, &run),
        [format!("shared memory {}/new", folder.path().display())]
    );
}

#[test]
fn descriptors_come_back_to_their_number() {
    let wait = "sleep 600 & wait";
    let run = script(&format!("exec 4<&0; trap 'exec 4<&-' USR1; echo ready; {wait}; {wait}"));
    let start = usage::descriptors(run.pid());
    run.signal(Signal::USR1);
    assert_descriptors(&run, start - 1);
}

#[test]
fn a_watch_finds_only_zombies_that_stay() {
    let clean = script("sleep 600 & echo ready; wait");
    let run = script(CARELESS);
    let (none, some) = (ZombieWatch::over(clean.pid()), ZombieWatch::over(run.pid()));
    let zombie = leave_zombie(&run);
    let seen = Instant::now();
    let is_old = || (seen.elapsed() > Duration::from_millis(300)).then_some(());
    eventually(PATIENCE, "the zombie to be an old one", is_old);
    none.assert_none();
    assert_eq!(some.finish(), [zombie]);
}

#[test]
fn a_zombie_is_old_when_it_was_seen_often_and_long() {
    let first = Instant::now();
    let check = |sightings: u32, period: u64, expected: bool| {
        let period = Duration::from_millis(period);
        let times: Vec<_> = (0..sightings).map(|number| first + period * number).collect();
        assert_eq!(is_long(&times), expected, "{sightings} times, {period:?} apart");
    };
    check(0, 10, false);
    check(1, 10, false);
    check(12, 10, true);
    check(11, 10, false);
    check(5, 40, false);
    check(8, 40, true);
}

#[test]
fn the_conservation_law_is_checked() {
    // accepted, completed, aborted, in flight; spawned, exited, alive
    let cases = [
        ([10, 7, 1, 2, 5, 3, 2], true),
        ([0, 0, 0, 0, 0, 0, 0], true),
        ([10, 7, 1, 1, 5, 3, 2], false),
        ([9, 7, 1, 2, 5, 3, 2], false),
        ([10, 7, 1, 2, 5, 3, 1], false),
    ];
    for (numbers, holds) in cases {
        let status = totals(numbers);
        match holds {
            true => assert_conserved(&status),
            false => _ = complaint(|| assert_conserved(&status)),
        }
    }
    let text = complaint(|| assert_conserved(&json!({"pools": [{"totals": {}}]})));
    assert!(text.contains("no number totals."), "{text}");
}

fn totals(numbers: [u64; 7]) -> Value {
    let [accepted, completed, aborted, in_flight, spawned, exited, alive] = numbers;
    json!({"pools": [{"totals": {"accepted": accepted, "completed": completed, "aborted": aborted,
        "in_flight": in_flight, "spawned": spawned, "exited": exited, "alive": alive}}]})
}

/// The child of a careless program dies, and nobody waits for it.
fn leave_zombie(run: &Run) -> Pid {
    let careless = || Process::find(run.pid()).filter(|it| it.name == "sleep");
    eventually(PATIENCE, "the shell to become a program that never waits", careless);
    let child = processes::children(run.pid())[0].pid;
    Kill::of(child).expect("it lived").pid
}
