//! Processes that a program has started and that have left its group and its session.

use rustix::process::{Pid, Signal, kill_process};

use crate::kit::processes::{Process, descendants, is_alive};
use crate::kit::{PATIENCE, Run, assert_quiescent, eventually};
use crate::life::{python, stop};
use crate::rights::{as_nobody, nobodys};
use crate::trial::get;

/// A program with a child and an orphan, each in a session of its own, which say nothing and end
/// by nothing but force.
const STRAYS: &str = r"
import signal, subprocess
def stray():
    return subprocess.Popen(['sleep', '1000'], start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGTERM, signal.SIG_IGN))
stray()
if os.fork() == 0:
    stray()
    os._exit(0)
os.wait()
";

fn strays(server: &Run) -> Vec<Process> {
    descendants(server.pid()).into_iter().filter(|it| it.name == "sleep").collect()
}

/// Kills the warden of a pool of one; all that its program has started must end.
#[track_caller]
fn check(server: Run) {
    server.wait_ready(1);
    let strays =
        eventually(PATIENCE, "two strays", || Some(strays(&server)).filter(|it| it.len() == 2));
    let warden = server.handler_pids()[0];
    assert!(strays.iter().all(|it| it.group != warden && it.session != server.pid()));
    kill_process(Pid::from_raw(warden).unwrap(), Signal::KILL).unwrap();
    eventually(PATIENCE, "the strays to end", || {
        strays.iter().all(|it| !is_alive(it.pid)).then_some(())
    });
    eventually(PATIENCE, "another in its place", || {
        let now = server.handler_pids();
        (now.len() == 1 && now[0] != warden).then_some(())
    });
    stop(server);
}

/// A stray that does not hear holds up a stop for as long as one may take.
const ONE: &[&str] = &["--handlers", "1", "--stop-grace", "500ms", "--kill-after", "100ms"];

fn script(serves: &str) -> String {
    format!("{STRAYS}{serves}")
}

#[test]
fn they_end_with_a_warden_that_was_killed() {
    let Some((server, _)) = python(&script("serve(bound(PORT))"), ONE) else { return };
    check(server);
}

#[test]
fn they_end_when_they_are_of_another_user() {
    let Some((server, _)) = as_nobody("adopt", &script("serve(bound(PORT))"), ONE) else {
        return;
    };
    check(server);
}

#[test]
fn they_end_when_nobody_is_root() {
    let Some((server, _)) = nobodys(&script("serve(bound(PORT))"), ONE) else { return };
    check(server);
}

#[test]
fn a_program_that_has_left_its_group_itself_is_no_different() {
    let leaves = "os.setsid() if os.getpid() != os.getpgrp() else None\nserve(bound(PORT))";
    let Some((server, _)) = python(&script(leaves), ONE) else { return };
    check(server);
}

#[test]
fn they_end_with_a_server_that_ends_at_once() {
    let Some((mut server, address)) = python(&script("serve(bound(PORT))"), ONE) else {
        return;
    };
    server.wait_ready(1);
    get(address).unwrap();
    let all = server.processes();
    server.signal(Signal::QUIT);
    server.wait();
    assert!(all.len() >= 5, "spawner, template, warden, program, strays: {all:?}");
    assert_quiescent(server.baseline(), &server);
}

#[test]
fn they_end_with_a_server_whose_program_was_never_ready() {
    let flags = ["--handlers", "1", "--boot-timeout", "500ms", "--kill-after", "100ms"];
    let Some((mut server, _)) = python(&script("time.sleep(1000)"), &flags) else { return };
    server.wait();
    assert_quiescent(server.baseline(), &server);
}

#[test]
fn a_child_that_the_server_had_before_is_left_alone() {
    let launch = crate::kit::Launch::of("sh");
    // What a shell has started before it became the server is the server's child.
    let script = r#"sleep 1000 & exec "$0" "$@""#;
    let launch = launch.args(["-c", script, crate::trial::PROGRAM]);
    let Some((mut server, _)) = crate::life::python_from(launch, "serve(bound(PORT))", ONE) else {
        return;
    };
    server.wait_ready(1);
    let older = strays(&server);
    assert_eq!(older.len(), 1, "{older:?}");
    let warden = server.handler_pids()[0];
    kill_process(Pid::from_raw(warden).unwrap(), Signal::KILL).unwrap();
    eventually(PATIENCE, "another in its place", || {
        let now = server.handler_pids();
        (now.len() == 1 && now[0] != warden).then_some(())
    });
    server.wait_ready(1);
    server.signal(Signal::TERM);
    server.wait();
    assert!(is_alive(older[0].pid), "{}", server.logs());
}
