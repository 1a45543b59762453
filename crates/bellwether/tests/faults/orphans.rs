//! Handlers whose spawner has died: S1 and S2 of the fault catalogue.

use std::path::PathBuf;

use crate::clients::Door;
use crate::kit::run::Signal;
use crate::kit::{Launch, Pid, Run, example, processes};
use crate::looks::{finish, template};

/// Kills the spawner; its orphans live on.
#[track_caller]
fn behead(run: &mut Run) {
    run.processes(); // from now on they are known, even as zombies
    run.signal(Signal::KILL);
    run.wait();
}

/// Starts a pool of two at this address.
#[track_caller]
fn start_at(launch: Launch, address: &str, orphan_ms: &str) -> Run {
    let words = [address, "handlers=2", orphan_ms];
    let run = launch.args(words).start();
    run.wait_ready(2);
    run
}

/// The address of a running pool, to be used again.
fn address(door: &Door) -> String {
    match door {
        Door::Tcp(address) => address.to_string(),
        Door::Unix(path) => format!("unix:{}", path.display()),
    }
}

/// What a server that was killed left in its runtime directory.
fn control_socket(run: &Run) -> Option<PathBuf> {
    let mut folders = std::fs::read_dir(run.runtime()).ok()?;
    Some(folders.next()?.ok()?.path().join("control.sock")).filter(|it| it.exists())
}

#[track_caller]
fn serve_on_and_start_again(launch: Launch, address_to_open: &str) {
    let mut run = start_at(launch, address_to_open, "orphan=1500");
    let (door, handlers) = (Door::of(&run), run.handler_pids());
    behead(&mut run);
    for _ in 0..20 {
        let answer: Pid = door.ask("pid").parse().unwrap();
        assert!(handlers.contains(&answer), "an orphan answers");
    }
    run.wait_gone();
    assert!(control_socket(&run).is_some(), "a killed server cannot clean up");
    let successor = Launch::of(example("pool")).beside(&run);
    let successor = start_at(successor, &address(&door), "orphan=1500");
    assert!(!handlers.contains(&door.ask("pid").parse().unwrap()), "the successor answers");
    finish(successor);
    assert_eq!(control_socket(&run), None);
    if let Door::Unix(path) = door {
        assert!(!path.exists(), "{} is left", path.display());
    }
}

#[test]
fn orphans_serve_on_and_their_port_can_be_opened_again_afterwards() {
    serve_on_and_start_again(Launch::of(example("pool")), "127.0.0.1:0");
}

#[test]
fn orphans_serve_on_and_their_socket_file_is_replaced_afterwards() {
    let launch = Launch::of(example("pool"));
    let path = launch.path("door.sock");
    serve_on_and_start_again(launch, &format!("unix:{}", path.display()));
}

#[test]
fn orphans_leave_when_nobody_comes() {
    let mut run = start_at(Launch::of(example("pool")), "127.0.0.1:0", "orphan=200");
    let template = template(&run);
    behead(&mut run);
    run.wait_gone();
    assert!(!processes::is_alive(template));
}

#[test]
fn an_orphan_finishes_what_it_has_before_it_leaves() {
    let mut run = start_at(Launch::of(example("pool")), "127.0.0.1:0", "orphan=100");
    let door = Door::of(&run);
    let hold = door.hold();
    let (busy, idle) = crate::looks::busy_and_idle(&run);
    behead(&mut run);
    crate::kit::eventually(crate::kit::PATIENCE, "the idle one to leave", || {
        (!processes::is_alive(idle)).then_some(())
    });
    assert!(processes::is_alive(busy));
    hold.release();
    run.wait_gone();
}
