//! Tests of starting, watching and ending a real process.

use std::fs;
use std::path::PathBuf;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::kit::run::Signal;
use crate::kit::{Launch, PATIENCE, Run, eventually, processes, within};
use crate::stage::{FakeControl, complaint, script, status};

/// Ends its child and itself at SIGTERM, like a graceful server.
const GRACEFUL: &str = "trap 'kill $!; wait $!; exit 3' TERM; sleep 600 & echo ready; wait";

#[test]
fn waiting_returns_what_was_seen_or_names_what_was_not() {
    let mut looks = 0..3;
    assert_eq!(eventually(PATIENCE, "the third look", || looks.nth(2)), 2);
    assert_eq!(within(Duration::ZERO, || None::<()>), None);
    let text = complaint(|| eventually(Duration::ZERO, "a miracle", || None::<()>));
    assert!(text.contains("a miracle"), "{text}");
}

#[test]
fn a_graceful_program_stops_and_leaves_nothing() {
    let mut run = script(GRACEFUL);
    assert_eq!(run.processes().len(), 2);
    assert_eq!(run.stop().code(), Some(3));
    assert!(!run.is_alive());
}

#[test]
fn a_program_has_its_arguments_environment_and_directory() {
    let launch =
        Launch::of("/bin/sh").args(["-c", "echo $0 $KEY; pwd; echo $BELLWETHER_RUNTIME_DIR >&2"]);
    let mut run = launch.arg("name").env("KEY", "value").start();
    assert!(run.wait().success());
    assert_eq!(run.stdout(), format!("name value\n{}\n", run.directory().display()));
    assert_eq!(run.stderr(), format!("{}\n", run.runtime().display()));
    assert_eq!(run.logs(), run.stdout() + &run.stderr());
}

#[test]
fn a_second_program_may_share_the_runtime_directory() {
    let first = script(GRACEFUL);
    let launch = Launch::of("/bin/sh").args(["-c", "echo $BELLWETHER_RUNTIME_DIR"]).beside(&first);
    let mut second = launch.start();
    assert!(second.wait().success());
    assert_eq!(second.stdout(), format!("{}\n", first.runtime().display()));
}

#[test]
fn the_status_tells_handlers_and_address() {
    let run = script(GRACEFUL);
    let control = FakeControl::of(&run, || status(&[11, 12], "busy"));
    run.wait_ready(2);
    assert_eq!(run.handler_pids(), [11, 12]);
    assert_eq!(run.socket_addr(), "127.0.0.1:41234".parse().unwrap());
    drop(control);
    let text = complaint(|| run.status());
    assert!(text.contains("no status"), "{text}");
}

#[test]
fn a_server_that_ends_is_not_waited_for() {
    let run = Run::start("/bin/true", &[]);
    let text = complaint(|| run.wait_ready(1));
    assert!(text.contains("ended before"), "{text}");
}

#[test]
fn a_failing_test_keeps_the_directory_and_kills_everything() {
    let (send, evidence) = mpsc::channel();
    let failing = thread::spawn(move || {
        let run = script("sleep 600 & setsid sleep 600 & echo ready; wait");
        // The second one has a group of its own only when setsid has become sleep.
        eventually(PATIENCE, "three processes", || {
            let sleepers = run.processes().into_iter().filter(|it| it.name == "sleep").count();
            (sleepers == 2).then_some(())
        });
        send.send((run.directory().to_owned(), run.processes())).unwrap();
        panic!("on purpose");
    });
    assert!(failing.join().is_err());
    let (directory, family): (PathBuf, Vec<_>) = evidence.recv().unwrap();
    assert_eq!(fs::read_to_string(directory.join("stdout")).unwrap(), "ready\n");
    fs::remove_dir_all(directory).unwrap();
    for process in family {
        let now = processes::Process::find(process.pid);
        assert!(now.is_none_or(|it| it.started != process.started), "{process:?} is left");
    }
}

#[test]
fn orphans_of_a_killed_program_are_ours_to_wait_for() {
    let mut run = script("sleep 600 & echo ready; wait");
    run.signal(Signal::KILL);
    run.wait();
    let [orphan] = &run.processes()[..] else { panic!("{:?}", run.processes()) };
    assert_eq!((orphan.parent, orphan.is_zombie()), (processes::own(), false));
    crate::kit::Kill::of(orphan.pid).expect("it lived");
    run.wait_gone();
    assert_eq!(run.processes(), []);
}
