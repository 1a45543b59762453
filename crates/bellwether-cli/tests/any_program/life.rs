//! How programs live and end in a pool: those that behave, and those that do not.

use std::net::{SocketAddr, TcpStream};
use std::process::Command;

use rustix::process::{Pid, Signal, kill_process};

use crate::installed::has;
use crate::kit::processes::{descendants, is_alive};
use crate::kit::{Launch, PATIENCE, Run, assert_quiescent, eventually};
use crate::trial::{PROGRAM, free_port, get, run};

const QUICK: &[&str] = &["--handlers", "2", "--kill-after", "1s", "--stop-grace", "3s"];

/// A server of one connection after the other, that binds what the test says.
pub(crate) const SERVES: &str = r#"
import os, socket, sys, time
def serve(listener):
    while True:
        connection, _ = listener.accept()
        connection.recv(65536)
        time.sleep(float(os.environ.get("SLEEP", "0")))
        body = (str(os.getpid()) + " " + os.environ.get("BELLWETHER_SLOT", "?")).encode()
        head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"
        connection.sendall(head % len(body) + body)
        connection.close()
def bound(port):
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(7)
    return listener
"#;

/// Starts a Python script that begins with [`SERVES`]; `PORT` is replaced.
pub(crate) fn python(script: &str, flags: &[&str]) -> Option<(Run, SocketAddr)> {
    python_from(Launch::of(PROGRAM), script, flags)
}

/// The same with a launch that says more.
pub(crate) fn python_from(
    launch: Launch,
    script: &str,
    flags: &[&str],
) -> Option<(Run, SocketAddr)> {
    if !has("python3") {
        println!("SKIPPED: python3: it is not installed");
        return None;
    }
    let port = free_port();
    let text = format!("{SERVES}{}", script.replace("PORT", &port.to_string()));
    let path = launch.path("app.py");
    std::fs::write(&path, text).unwrap();
    let command = ["python3".into(), path.to_str().unwrap().into()];
    Some((run(launch, port, flags, &command), SocketAddr::from(([127, 0, 0, 1], port))))
}

#[track_caller]
pub(crate) fn stop(mut server: Run) {
    assert_eq!(server.stop().code(), Some(0), "{}", server.logs());
    assert_quiescent(server.baseline(), &server);
}

/// Waits until the server has given up, and returns what it said last.
#[track_caller]
pub(crate) fn refusal(mut server: Run) -> String {
    let code = server.wait().code();
    assert!(code.is_some_and(|code| code >= 64), "{code:?} {}", server.logs());
    assert_quiescent(server.baseline(), &server);
    server.stderr()
}

#[test]
fn a_program_that_dies_is_replaced_with_all_that_it_had_started() {
    let script = "import subprocess\nsubprocess.Popen(['sleep', '1000'])\nserve(bound(PORT))";
    let Some((server, address)) = python(script, QUICK) else { return };
    server.wait_ready(2);
    let before = server.handler_pids();
    let first = get(address).unwrap();
    let pid: i32 = first.split(' ').next().unwrap().parse().unwrap();
    kill_process(pid_of(pid), Signal::KILL).unwrap();
    eventually(PATIENCE, "another in its place", || {
        let now = server.handler_pids();
        (now.len() == 2 && now != before).then_some(())
    });
    let sleepers = || descendants(server.pid()).iter().filter(|it| it.name == "sleep").count();
    eventually(PATIENCE, "one sleeper each", || (sleepers() == 2).then_some(()));
    assert!(server.journal().iter().any(|it| it["kind"] == "exit" && it["cause"] == "signal"));
    for _ in 0..20 {
        get(address).unwrap();
    }
    stop(server);
}

#[test]
fn a_request_in_hand_is_finished_before_its_program_ends() {
    let Some((server, address)) =
        python("serve(bound(PORT))", &["--handlers", "1", "-e", "SLEEP=0.6"])
    else {
        return;
    };
    server.wait_ready(1);
    std::thread::scope(|scope| {
        let answer = scope.spawn(|| get(address));
        eventually(PATIENCE, "it to be busy", || {
            (server.pool()["handlers"][0]["open"] == 1).then_some(())
        });
        stop(server);
        assert!(answer.join().unwrap().is_ok());
    });
}

#[test]
fn handlers_follow_the_load() {
    let flags = ["--handlers", "1..6", "--kind", "serial", "-e", "SLEEP=0.2"];
    let Some((server, address)) = python("serve(bound(PORT))", &flags) else { return };
    server.wait_ready(1);
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| (0..10).for_each(|_| drop(get(address).unwrap())));
        }
        eventually(PATIENCE, "more handlers", || (server.handler_pids().len() >= 4).then_some(()));
    });
    eventually(PATIENCE, "fewer handlers", || (server.handler_pids().len() == 1).then_some(()));
    assert_eq!(server.pool()["totals"]["crashed"], 0, "{}", server.logs());
    stop(server);
}

#[test]
fn from_nothing_the_first_request_makes_a_handler() {
    let flags = ["--handlers", "0..2", "--kind", "serial"];
    let Some((server, address)) = python("serve(bound(PORT))", &flags) else { return };
    eventually(PATIENCE, "nobody to be left", || {
        let status = server.control().status().ok()?;
        let pool = &status["pools"][0];
        (pool["totals"]["spawned"] == 1 && pool["totals"]["alive"] == 0).then_some(())
    });
    get(address).unwrap();
    stop(server);
}

#[test]
fn what_it_cannot_run_is_said() {
    let check = |command: &[&str], words: &[&str]| {
        let command: Vec<String> = command.iter().map(|it| (*it).to_owned()).collect();
        let flags = ["--handlers", "1", "--boot-timeout", "1s", "--kill-after", "200ms"];
        let said = refusal(run(Launch::of(PROGRAM), free_port(), &flags, &command));
        for word in words {
            assert!(said.contains(word), "no {word:?} in: {said}");
        }
    };
    check(&["no-such-program"], &["cannot run `no-such-program`", "installed", "PATH"]);
    check(&["/no/such/program"], &["cannot run `/no/such/program`", "no such file"]);
    check(&["/etc/passwd"], &["cannot run `/etc/passwd`", "chmod +x"]);
    check(&["sh", "-c", "exit 7"], &["ended with exit status 7 before it was ready"]);
    check(&["sh", "-c", "kill -SEGV $$"], &["was ended by SIGSEGV before it was ready"]);
    check(&["sh", "-c", "sleep 100 & exit 0"], &["background", "foreground"]);
    check(&["sleep", "100"], &["not ready within 1 s", "it has opened no address"]);
    check(&["nginx"], &["daemon off"]);
}

#[test]
fn a_long_request_is_finished_by_a_reload_and_an_idle_connection_does_not_hold_it_up() {
    let flags = ["--handlers", "1", "-e", "SLEEP=4"];
    let Some((server, address)) = python("serve(bound(PORT))", &flags) else { return };
    server.wait_ready(1);
    std::thread::scope(|scope| {
        let answer = scope.spawn(|| get(address));
        eventually(PATIENCE, "it to be busy", || {
            (server.pool()["handlers"][0]["open"] == 1).then_some(())
        });
        let mut reload = Command::new(PROGRAM);
        reload.arg("reload").env("BELLWETHER_RUNTIME_DIR", server.runtime());
        assert!(reload.output().unwrap().status.success(), "{}", server.logs());
        assert!(answer.join().unwrap().is_ok(), "{}", server.logs());
    });
    // Nobody says a word on this one, so its program waits for one: it is told to end all the same.
    let idle = TcpStream::connect(address).unwrap();
    eventually(PATIENCE, "it to be taken", || {
        (server.pool()["handlers"][0]["open"] == 1).then_some(())
    });
    stop(server);
    drop(idle);
}

#[test]
fn a_program_that_ends_may_write_its_last_file() {
    let script = "
import signal
def end(*_):
    open(sys.argv[0] + '.' + str(os.getpid()), 'w').write('bye')
    os._exit(0)
signal.signal(signal.SIGTERM, end)
serve(bound(PORT))";
    let Some((server, address)) = python(script, QUICK) else { return };
    server.wait_ready(2);
    get(address).unwrap();
    let folder = server.directory().to_owned();
    let mut server = server;
    assert_eq!(server.stop().code(), Some(0), "{}", server.logs());
    let is_word = |name: &std::ffi::OsStr| name.to_string_lossy().starts_with("app.py.");
    let words = std::fs::read_dir(folder).unwrap().flatten().filter(|it| is_word(&it.file_name()));
    assert_eq!(words.count(), 2, "{}", server.logs());
}

#[test]
fn an_order_holds_although_the_spawner_dies() {
    let script = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nserve(bound(PORT))";
    let flags = ["--handlers", "1", "--stop-grace", "1s", "--kill-after", "1h"];
    let Some((mut server, address)) = python(script, &flags) else { return };
    server.wait_ready(1);
    get(address).unwrap();
    let family = descendants(server.pid());
    kill_process(pid_of(server.pid()), Signal::TERM).unwrap();
    eventually(PATIENCE, "it to stop", || server.logs().contains("stopping").then_some(()));
    kill_process(pid_of(server.pid()), Signal::KILL).unwrap();
    server.wait();
    eventually(PATIENCE, "all to end", || family.iter().all(|it| !is_alive(it.pid)).then_some(()));
}

#[test]
fn a_program_that_listens_elsewhere_is_told_apart_from_one_that_does_not_listen() {
    let flags = ["--handlers", "1", "--boot-timeout", "2s", "--kill-after", "200ms"];
    let Some((server, _)) = python("serve(bound(0))", &flags) else { return };
    let said = refusal(server);
    assert!(said.contains("not ready within 2 s"), "{said}");
    assert!(said.contains("opens tcp://127.0.0.1:0"), "{said}");
}

#[test]
fn a_second_port_of_its_own_is_left_to_it() {
    let script = "other = bound(0)\nserve(bound(PORT))";
    let Some((server, address)) = python(script, QUICK) else { return };
    server.wait_ready(2);
    get(address).unwrap();
    stop(server);
}

#[test]
fn one_that_binds_late_is_waited_for() {
    let script = "time.sleep(0.5)\nserve(bound(PORT))";
    let Some((server, address)) = python(script, QUICK) else { return };
    server.wait_ready(2);
    get(address).unwrap();
    stop(server);
}

#[test]
fn one_that_forks_workers_of_its_own_ends_with_them() {
    let script = "listener = bound(PORT)\nos.fork()\nos.fork()\nserve(listener)";
    let Some((server, address)) = python(script, QUICK) else { return };
    server.wait_ready(2);
    for _ in 0..20 {
        get(address).unwrap();
    }
    stop(server);
}

#[test]
fn one_that_does_not_hear_is_ended_all_the_same() {
    let script = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nserve(bound(PORT))";
    let flags = ["--handlers", "1", "--stop-grace", "300ms", "--kill-after", "200ms"];
    let Some((mut server, address)) = python(script, &flags) else { return };
    server.wait_ready(1);
    get(address).unwrap();
    let family = descendants(server.pid());
    kill_process(pid_of(server.pid()), Signal::TERM).unwrap();
    server.wait();
    eventually(PATIENCE, "all to end", || family.iter().all(|it| !is_alive(it.pid)).then_some(()));
}

#[test]
fn it_may_say_itself_that_it_is_ready() {
    let script = "
listener = socket.socket(fileno=3)
assert os.environ['LISTEN_PID'] == str(os.getpid()) and os.environ['LISTEN_FDS'] == '1'
time.sleep(0.2)
name = os.environ['NOTIFY_SOCKET']
socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b'READY=1', '\\0' + name[1:])
serve(listener)";
    let flags = ["--handlers", "2", "--pass", "listen-fds", "--ready", "notify"];
    let Some((server, address)) = python(script, &flags) else { return };
    server.wait_ready(2);
    get(address).unwrap();
    stop(server);
}

#[test]
fn the_spawner_may_be_killed_and_nothing_outlives_the_grace() {
    let flags = ["--handlers", "2", "--orphan-grace", "300ms", "--stop-grace", "300ms"];
    let Some((mut server, address)) = python("serve(bound(PORT))", &flags) else { return };
    server.wait_ready(2);
    let family = descendants(server.pid());
    assert!(family.len() >= 5, "a template, two wardens, two programs: {family:?}");
    kill_process(pid_of(server.pid()), Signal::KILL).unwrap();
    server.wait();
    get(address).unwrap();
    eventually(PATIENCE, "all to end", || family.iter().all(|it| !is_alive(it.pid)).then_some(()));
}

pub(crate) fn pid_of(number: i32) -> Pid {
    Pid::from_raw(number).unwrap()
}
