//! A successor takes the queue over, or says why it cannot.

use std::collections::BTreeSet;
use std::fs;

use crate::clients::Door;
use crate::crowd::Crowd;
use crate::kit::run::Signal;
use crate::kit::{Launch, Pid, Run, eventually, example, processes};

/// Starts a pool of two.
#[track_caller]
pub(crate) fn start(launch: Launch, address: &str, words: &[&str]) -> Run {
    let run = launch.arg(address).args(["handlers=2"]).args(words).start();
    run.wait_ready(2);
    run
}

/// Kills the spawner; its orphans live on.
#[track_caller]
pub(crate) fn behead(run: &mut Run) {
    run.processes(); // from now on they are known, even as zombies
    run.signal(Signal::KILL);
    run.wait();
}

/// The address of a running pool, to be used again.
pub(crate) fn address(door: &Door) -> String {
    match door {
        Door::Tcp(address) => address.to_string(),
        Door::Unix(path) => format!("unix:{}", path.display()),
    }
}

pub(crate) fn pool() -> Launch {
    Launch::of(example("pool"))
}

/// Where the tests of both kinds of sockets listen.
pub(crate) fn unix(launch: &Launch) -> String {
    format!("unix:{}", launch.path("door.sock").display())
}

fn sockets(pid: Pid) -> BTreeSet<String> {
    let links = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten();
    let links = links.filter_map(|entry| fs::read_link(entry.path()).ok());
    links.map(|link| link.display().to_string()).filter(|it| it.starts_with("socket:")).collect()
}

/// What a pool wrote before it ended by itself.
#[track_caller]
fn refusal(launch: Launch, address: &str, words: &[&str]) -> String {
    let mut run = launch.arg(address).args(words).start();
    let status = run.wait();
    assert_eq!(status.code(), Some(69), "{}", run.stderr());
    run.stderr()
}

#[track_caller]
fn hand_on(launch: Launch, to_open: &str) {
    let mut run = start(launch, to_open, &["orphan=4000"]);
    let (door, orphans) = (Door::of(&run), run.handler_pids());
    let crowd = Crowd::at(&door, 4);
    behead(&mut run);
    let held = sockets(orphans[0]);
    let successor = start(pool().beside(&run), &address(&door), &["take-over"]);
    let shared: Vec<_> = sockets(successor.pid()).intersection(&held).cloned().collect();
    assert_eq!(shared.len(), 1, "the queue is the same, and nothing else is shared: {shared:?}");
    run.wait_gone();
    let asked = crowd.disperse();
    assert!(asked.by.iter().any(|pid| orphans.contains(pid)), "orphans serve on: {asked:?}");
    let answer: Pid = door.ask("pid").parse().unwrap();
    assert!(successor.handler_pids().contains(&answer), "the successor serves alone");
    assert!(successor.stderr().contains("taken over from orphaned handlers"));
    finish(successor, &door);
}

/// Ends a successor; nothing of it is left, nor of its predecessor.
#[track_caller]
fn finish(mut successor: Run, door: &Door) {
    assert!(successor.stop().success());
    if let Door::Unix(path) = door {
        assert!(!path.exists(), "{} is left", path.display());
    }
}

#[test]
fn a_successor_takes_the_queue_of_a_port_over_and_no_request_is_refused() {
    hand_on(pool(), "127.0.0.1:0");
}

#[test]
fn a_successor_takes_the_queue_of_a_socket_file_over_and_no_request_is_refused() {
    let launch = pool();
    let address = unix(&launch);
    hand_on(launch, &address);
}

#[test]
fn what_waits_in_the_buffer_is_served_by_the_successor() {
    let mut run = start(pool(), "127.0.0.1:0", &["orphan=2000"]);
    let door = Door::of(&run);
    let orphans = run.handler_pids();
    let frozen = crate::kit::Hold::stop(&orphans);
    let mut waiting: Vec<_> = (0..8).map(|_| door.say("pid")).collect();
    behead(&mut run);
    let successor = start(pool().beside(&run), &address(&door), &["take-over"]);
    for client in &mut waiting {
        let pid: Pid = client.answer().expect("an answer").parse().unwrap();
        assert!(!orphans.contains(&pid));
    }
    frozen.release();
    run.wait_gone();
    finish(successor, &door);
}

#[test]
fn without_the_wish_to_take_over_the_orphans_are_named() {
    let launch = pool();
    let path = unix(&launch);
    for (launch, to_open) in [(pool(), "127.0.0.1:0"), (launch, path.as_str())] {
        let mut run = start(launch, to_open, &["orphan=60000"]);
        let (door, orphans) = (Door::of(&run), run.handler_pids());
        behead(&mut run);
        let said = refusal(pool().beside(&run), &address(&door), &[]);
        assert!(said.contains("orphaned handlers of a dead server have it (process "), "{said}");
        assert!(said.contains("--take-over"), "{said}");
        assert!(orphans.contains(&door.ask("pid").parse().unwrap()), "they are not harmed");
    }
}

#[test]
fn a_living_server_is_not_taken_over() {
    let launch = pool();
    let path = unix(&launch);
    for (launch, to_open) in [(pool(), "127.0.0.1:0"), (launch, path.as_str())] {
        let mut run = start(launch, to_open, &[]);
        let door = Door::of(&run);
        let said = refusal(pool().beside(&run), &address(&door), &["take-over", "name=other"]);
        assert!(said.contains("another process"), "{said}");
        let said = refusal(pool().beside(&run), &address(&door), &["take-over"]);
        assert!(said.contains("another process"), "{said}");
        assert!(run.handler_pids().contains(&door.ask("pid").parse().unwrap()));
        run.stop();
    }
}

#[test]
fn with_nobody_to_take_over_from_a_server_starts_as_ever() {
    let mut run = start(pool(), "127.0.0.1:0", &["take-over"]);
    run.stop();
}

#[test]
fn a_successor_that_fails_leaves_the_socket_file_to_the_orphans() {
    let launch = pool();
    let path = unix(&launch);
    let mut run = start(launch, &path, &["orphan=60000"]);
    let door = Door::of(&run);
    behead(&mut run);
    let mut other = start(pool(), "127.0.0.1:0", &["name=taken"]);
    let said = refusal(pool().beside(&other), &path, &["take-over", "name=taken"]);
    assert!(said.contains("`taken`"), "{said}");
    let answer: Pid = door.ask("pid").parse().unwrap();
    assert!(run.processes().iter().any(|it| it.pid == answer));
    other.stop();
    let successor = start(pool().beside(&run), &path, &["take-over"]);
    finish(successor, &door);
}

#[test]
fn a_template_is_no_heir() {
    let mut run = start(pool(), "127.0.0.1:0", &["orphan=60000"]);
    let template = processes::children(run.pid()).into_iter().find(|it| it.name == "bw:template");
    let template = template.expect("a template").pid;
    behead(&mut run);
    eventually(crate::kit::PATIENCE, "the template to end", || {
        (!processes::is_alive(template)).then_some(())
    });
}
