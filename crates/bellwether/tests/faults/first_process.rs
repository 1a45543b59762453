//! A pool as PID 1, as in a container: S13 of the fault catalogue.

use std::process::{Command, Stdio};

use rustix::process::{Signal, kill_process};

use crate::clients::Door;
use crate::journal::alarms;
use crate::kit::{
    Launch, PATIENCE, Pid, Run, assert_conserved, assert_quiescent, eventually, example, processes,
};
use crate::looks::total;

/// A process tree of its own, which dies with its root.
const NAMESPACE: [&str; 4] = ["--pid", "--fork", "--mount-proc", "--kill-child"];

/// Whether unshare is there and we may make namespaces; says why not.
fn can_unshare() -> bool {
    let mut command = Command::new("unshare");
    command.args(NAMESPACE).arg("true").stdout(Stdio::null()).stderr(Stdio::null());
    let why = match command.status() {
        Ok(status) if status.success() => return true,
        Ok(status) => format!("unshare ends with {status} (it needs root)"),
        Err(error) => format!("unshare does not start: {error}"),
    };
    println!("SKIPPED: a server as PID 1: {why}");
    false
}

/// Starts a pool as PID 1; it, as it is called out here, and where it listens.
#[track_caller]
fn start() -> (Run, Pid, Door) {
    let launch = Launch::of("unshare").args(NAMESPACE).arg(example("pool"));
    let path = launch.path("door.sock");
    let run = launch.arg(format!("unix:{}", path.display())).arg("handlers=2").start();
    let server = eventually(PATIENCE, "a server with two handlers", || {
        let server = processes::children(run.pid()).first()?.pid;
        (handlers(server) == 2).then_some(server)
    });
    (run, server, Door::Unix(path))
}

fn handlers(server: Pid) -> usize {
    let family = processes::children(server);
    family.iter().filter(|it| it.name.starts_with("bw:handler") && !it.is_zombie()).count()
}

/// Stops it as a container is stopped: by a signal from outside to its first process.
#[track_caller]
fn stop(mut run: Run, server: Pid) {
    run.processes(); // from now on they are known, even as zombies
    kill_process(rustix::process::Pid::from_raw(server).unwrap(), Signal::TERM).unwrap();
    assert!(run.wait().success());
    assert_quiescent(run.baseline(), &run);
}

#[test]
fn as_pid_1_a_server_reaps_strangers_and_does_not_take_them_for_handlers() {
    if !can_unshare() {
        return;
    }
    let (run, server, door) = start();
    for _ in 0..3 {
        let orphan: Pid = door.ask("daemon").parse().expect("the pid of an orphan");
        assert!(orphan > 1);
    }
    eventually(PATIENCE, "nobody but template and handlers to be left", || {
        (handlers(server) == 2 && processes::children(server).len() == 3).then_some(())
    });
    assert_eq!(alarms(&run), []);
    stop(run, server);
}

#[test]
fn a_server_in_a_container_tells_its_status_to_its_owner_outside() {
    if !can_unshare() {
        return;
    }
    let (run, server, door) = start();
    door.ask("daemon");
    let status = run.control().status();
    assert!(status.is_ok(), "{status:?}: {:?}", alarms(&run));
    assert_eq!(run.status()["pid"], 1, "it is the first process in there");
    let totals = ["spawned", "alive", "exited", "crashed"].map(|name| total(&run, name));
    assert_eq!(totals, [2, 2, 0, 0], "an orphan is no handler");
    assert_conserved(&run.status());
    stop(run, server);
}
