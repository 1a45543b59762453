//! A running server is told to change, as a user types it: what is printed, and the exit status.

use std::fs::Permissions;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Output, Stdio};

use rustix::process::{Signal, kill_process};
use serde_json::json;

use crate::clients::raw;
use crate::kit::{Launch, PATIENCE, Run, assert_quiescent, eventually};
use crate::stage::{PROGRAM, ask, serve, shell};

const QUICK: &[&str] = &["--canary", "10ms"];
/// Changes that last until the test has seen enough.
const SLOW: &[&str] = &["--canary", "1h"];

/// Asserts an exit status, and that these words were printed where they belong.
#[track_caller]
fn assert_told(output: &Output, status: i32, words: &[&str]) {
    let (out, err) = (text_of(&output.stdout), text_of(&output.stderr));
    let said = if status == 0 { &out } else { &err };
    assert_eq!(output.status.code(), Some(status), "{out}{err}");
    for word in words {
        assert!(said.contains(word), "no {word:?} in: {said}");
    }
    assert!(status == 0 || (said.starts_with("error: ") && out.is_empty()), "{out}{err}");
}

fn text_of(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Begins a command that waits for the server.
#[track_caller]
fn begin(run: &Run, arguments: &[&str]) -> Child {
    let mut command = Command::new(PROGRAM);
    command.args(arguments).env("BELLWETHER_RUNTIME_DIR", run.runtime());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

#[track_caller]
fn wait_for_change(run: &Run) {
    eventually(PATIENCE, "the change to begin", || {
        run.control().status().ok()?["change"].as_str().map(drop)
    });
}

#[test]
fn a_reload_an_upgrade_and_a_scale_say_what_they_have_done() {
    let mut run = serve(QUICK);
    assert_told(&ask(&run, &["reload"]), 0, &["generation 2, 2 handlers", "nothing was cut"]);
    assert_told(&ask(&run, &["upgrade"]), 0, &["generation 3, 2 handlers", "nothing was cut"]);
    assert_told(&ask(&run, &["scale", "4"]), 0, &["4 handlers", "nothing was cut"]);
    assert_told(&ask(&run, &["scale", "auto"]), 0, &["2 handlers"]);
    let json = ask(&run, &["reload", "--json"]);
    assert_told(&json, 0, &[]);
    let done: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!((&done["result"], &done["cut"]), (&"done".into(), &0.into()));
    assert_eq!(raw(&run, "GET /", "").status, 200);
    assert_eq!(run.stop().code(), Some(0));
}

#[test]
fn what_happened_is_shown_by_events_and_why() {
    let mut run = serve(QUICK);
    assert_told(&ask(&run, &["reload"]), 0, &[]);
    for question in [&["events"][..], &["why"]] {
        let words = ["begins, told by process", "proves itself", "done: ", "generation 2"];
        assert_told(&ask(&run, question), 0, &words);
    }
    run.stop();
}

/// Begins to follow what happens in a server and waits for the first word of it.
#[track_caller]
fn follow(run: &Run) -> Child {
    let mut follower = begin(run, &["events", "-f"]);
    follower.stdout.as_mut().unwrap().read_exact(&mut [0; 10]).unwrap();
    follower
}

#[test]
fn who_follows_a_server_that_stops_has_heard_all_and_others_hear_that_it_is_gone() {
    let mut run = serve(QUICK);
    assert_told(&ask(&run, &["drain"]), 0, &[]);
    let follower = follow(&run);
    run.stop();
    assert_told(&follower.wait_with_output().unwrap(), 0, &["told by"]);

    let run = serve(&["--orphan-grace", "1ms"]);
    let follower = follow(&run);
    run.signal(Signal::KILL);
    let output = follower.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(69));
    assert!(text_of(&output.stderr).starts_with("error: the server is gone"));
}

#[test]
fn the_second_of_two_changes_is_not_done_and_says_why() {
    let mut run = serve(SLOW);
    let first = begin(&run, &["reload"]);
    wait_for_change(&run);
    assert_told(&ask(&run, &["reload"]), 75, &["one change at a time", "reload"]);
    assert_told(&ask(&run, &["upgrade"]), 75, &["one change at a time", "reload"]);
    assert_told(&ask(&run, &["drain"]), 75, &["wait until it is over"]);
    run.stop();
    assert_told(&first.wait_with_output().unwrap(), 70, &["the server stops"]);
}

/// Asserts what a program reads on standard output, and the exit status.
#[track_caller]
fn assert_refused_in_json(output: &Output, status: i32, result: &str, word: &str) {
    assert_eq!(output.status.code(), Some(status));
    let read: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(read["result"], result);
    assert!(read["reason"].as_str().unwrap().contains(word), "{read}");
}

#[test]
fn a_program_reads_as_json_why_something_was_not_done() {
    let mut run = serve(SLOW);
    let first = begin(&run, &["reload", "--json"]);
    wait_for_change(&run);
    let refused = ask(&run, &["scale", "web", "3", "--json"]);
    assert_refused_in_json(&refused, 70, "failed", "no pool `web`");
    assert_refused_in_json(&ask(&run, &["drain", "--json"]), 75, "refused", "until it is over");
    run.stop();
    assert_refused_in_json(&first.wait_with_output().unwrap(), 70, "failed", "the server stops");
    for question in ["status", "why", "events", "stop"] {
        assert_refused_in_json(&ask(&run, &[question, "--json"]), 69, "error", "no server runs");
    }
}

#[test]
fn ctrl_c_ends_the_waiting_and_not_the_change() {
    let mut run = serve(&["--canary", "500ms"]);
    let mut client = begin(&run, &["reload"]);
    wait_for_change(&run);
    kill_process(rustix::process::Pid::from_child(&client), Signal::INT).unwrap();
    assert!(!client.wait().unwrap().success());
    eventually(PATIENCE, "the new generation", || (run.pool()["generation"] == 2).then_some(()));
    assert_eq!(run.stop().code(), Some(0));
}

#[test]
fn a_drained_server_serves_nobody_refuses_changes_and_stops() {
    let mut run = serve(QUICK);
    run.processes();
    assert_told(&ask(&run, &["drain"]), 0, &["drained", "nothing was cut"]);
    assert_told(&ask(&run, &["scale", "3"]), 75, &["drained"]);
    assert_told(&ask(&run, &["reload"]), 75, &["drained"]);
    assert_told(&ask(&run, &["status"]), 0, &["drained"]);
    assert_told(&ask(&run, &["stop"]), 0, &["the server has stopped", "nothing was cut"]);
    assert_eq!(run.wait().code(), Some(0));
    assert_quiescent(run.baseline(), &run);
}

#[test]
fn a_pool_that_a_reload_leaves_out_is_nowhere_to_be_seen() {
    let launch = Launch::of(PROGRAM).args(["start", "-c", "bellwether.toml"]);
    let file = launch.path("bellwether.toml");
    let pool =
        |name| format!("[pool.{name}]\nlisten = ['127.0.0.1:0']\nhandlers = 1\ncanary = 0\n");
    std::fs::write(&file, pool("web") + &pool("also")).unwrap();
    let mut run = launch.start();
    run.wait_ready(2);
    std::fs::write(&file, pool("web")).unwrap();
    assert_told(&ask(&run, &["reload"]), 0, &["pool `web`: generation 2"]);
    eventually(PATIENCE, "the pool to be gone", || {
        (run.status()["pools"].as_array()?.len() == 1).then_some(())
    });
    let why = run.control().tell(&json!({"verb": "why"}));
    assert_eq!(why["pools"].as_array().unwrap().len(), 1, "{why}");
    let answer = run.control().tell(&json!({"verb": "drain", "pool": "also"}));
    assert_eq!(answer["reason"], "there is no pool `also`; there are: web");
    assert_told(&ask(&run, &["scale", "2"]), 0, &["pool `web` has 2 handlers"]);
    assert_eq!(run.stop().code(), Some(0));
}

#[test]
fn a_stop_ends_a_change_and_a_server_that_is_gone_is_not_there() {
    let mut run = serve(SLOW);
    run.processes();
    let change = begin(&run, &["reload"]);
    wait_for_change(&run);
    assert_told(&ask(&run, &["stop", "--now"]), 0, &["the server has stopped"]);
    assert_told(&change.wait_with_output().unwrap(), 70, &["the server stops"]);
    assert_eq!(run.wait().code(), Some(0));
    assert_quiescent(run.baseline(), &run);
    assert_told(&ask(&run, &["reload"]), 69, &[]);
}

#[test]
fn a_program_that_cannot_go_on_is_no_upgrade() {
    let script = "cp \"$0\" ./bellwether && exec ./bellwether serve --listen 127.0.0.1:0 \
                  --handlers 2 --canary 10ms";
    let mut run = shell(script).start();
    let program = run.path("bellwether");
    run.wait_ready(2);
    let pids = run.handler_pids();
    std::fs::remove_file(&program).unwrap();
    assert_told(&ask(&run, &["upgrade"]), 70, &["cannot be opened", "nothing was changed"]);
    let mut foreign = std::fs::read(PROGRAM).unwrap();
    foreign[18] ^= 1; // e_machine of elf(5)
    let other_form = format!(
        "#!/bin/sh\nsed 's/\"form\":1/\"form\":2/' /proc/self/fd/$BELLWETHER_BATON > baton\n\
         BELLWETHER_BATON=9 exec {PROGRAM} serve --listen 127.0.0.1:0 9< baton\n"
    );
    for (bytes, mode, word) in [
        (b"no program".as_slice(), 0o755, "cannot be executed"),
        (b"#!/bin/sh\nexit 0\n", 0o644, "Permission denied"),
        (b"#!/bin/sh\nexit 0\n", 0o755, "exit status 0"),
        (b"#!/bin/sh\necho of no use >&2; exit 3\n", 0o755, "of no use"),
        (b"#!/bin/sh\nkill -SEGV $$\n", 0o755, "SIGSEGV"),
        (&foreign, 0o755, "cannot be executed"),
        (other_form.as_bytes(), 0o755, "form 2"),
    ] {
        std::fs::write(&program, bytes).unwrap();
        std::fs::set_permissions(&program, Permissions::from_mode(mode)).unwrap();
        assert_told(&ask(&run, &["upgrade"]), 70, &[word, "nothing was changed"]);
    }
    assert_eq!(run.handler_pids(), pids);
    std::fs::remove_file(&program).unwrap();
    std::fs::copy(PROGRAM, &program).unwrap();
    assert_told(&ask(&run, &["upgrade"]), 0, &["generation 2"]);
    assert_eq!(run.stop().code(), Some(0));
}

#[test]
fn a_program_that_fails_after_its_rehearsal_makes_way_for_the_one_before() {
    const FILE: &str = "[pool.web]\nlisten = ['127.0.0.1:0']\nhandlers = 2\ncanary = '10ms'\n";
    let script = "cp \"$0\" ./bellwether && exec ./bellwether start";
    let launch = shell(script);
    let file = launch.path("bellwether.toml");
    std::fs::write(&file, FILE).unwrap();
    let mut run = launch.start();
    let program = run.path("bellwether");
    run.wait_ready(2);
    let (pids, descriptors) = (run.handler_pids(), descriptors_at_rest(&run));
    std::fs::remove_file(&program).unwrap();
    for spoil in ["echo '[pool.web' > bellwether.toml", "set -- start -c nowhere.toml"] {
        let text = format!(
            "#!/bin/sh\n[ -n \"$BELLWETHER_REHEARSAL\" ] || {{ {spoil}; }}\nexec {PROGRAM} \"$@\"\n"
        );
        std::fs::write(&program, text).unwrap();
        std::fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
        let words = ["could not go on", "the program from before serves on"];
        assert_told(&ask(&run, &["upgrade"]), 70, &words);
        assert_eq!(run.handler_pids(), pids, "{spoil}");
        eventually(PATIENCE, "as many descriptors as before", || {
            (descriptors_of(&run) == descriptors).then_some(())
        });
        std::fs::write(&file, FILE).unwrap();
    }
    assert_told(&ask(&run, &["reload"]), 0, &["reloaded"]);
    assert_eq!(run.stop().code(), Some(0));
}

/// How many it has open when the connection of the last question is closed, a moment after it.
fn descriptors_at_rest(run: &Run) -> usize {
    let mut last = 0;
    eventually(PATIENCE, "the descriptors to be steady", || {
        let before = std::mem::replace(&mut last, descriptors_of(run));
        (before == last).then_some(last)
    })
}

/// How many descriptors the spawner has open.
fn descriptors_of(run: &Run) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", run.pid())).unwrap().count()
}

#[test]
fn a_full_disk_for_the_log_stops_no_request_and_no_change() {
    let words = "--listen 127.0.0.1:0 --handlers 2 --canary 10ms";
    let script = format!("exec \"$0\" serve {words} >/dev/full 2>&1");
    let mut run = shell(&script).env("BELLWETHER_LOG", "trace").start();
    run.wait_ready(2);
    assert_eq!(raw(&run, "GET /", "").status, 200);
    assert_told(&ask(&run, &["reload"]), 0, &["generation 2"]);
    assert_told(&ask(&run, &["upgrade"]), 0, &["generation 3"]);
    for pid in run.handler_pids() {
        crate::kit::Kill::of(pid);
    }
    run.wait_ready(2);
    assert_eq!(raw(&run, "GET /", "").status, 200);
    assert_eq!(run.stop().code(), Some(0));
}

#[test]
fn a_runtime_folder_that_is_removed_stops_no_request_and_no_server() {
    let mut run = serve(QUICK);
    let (address, before) = (run.socket_addr(), run.handler_pids());
    let folders = std::fs::read_dir(run.runtime()).unwrap().filter_map(Result::ok);
    folders.for_each(|it| std::fs::remove_dir_all(it.path()).unwrap());
    assert_told(&ask(&run, &["status"]), 69, &[]);
    let answers = || {
        let mut client = TcpStream::connect(address).unwrap();
        client.write_all(b"GET / HTTP/1.0\r\nHost: x\r\n\r\n").unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        answer.contains(" 200 OK")
    };
    assert!(answers());
    run.signal(Signal::HUP);
    let replaced = || before.iter().all(|pid| !crate::kit::processes::is_alive(*pid)).then_some(());
    eventually(PATIENCE, "the old handlers to leave", replaced);
    assert!(answers());
    assert_eq!(run.stop().code(), Some(0));
}

/// A machine that has slept, or whose clocks do not agree: the time since boot is days ahead of
/// the monotonic clock.
#[test]
fn clocks_that_are_days_apart_change_no_decision() {
    let words = "--listen 127.0.0.1:0 --handlers 2 --canary 10ms --soft-deadline 5s";
    for clocks in ["--monotonic 86400 --boottime 172800", "--monotonic 172800 --boottime 86400"] {
        let script = format!("exec unshare --time {clocks} \"$0\" serve {words}");
        let possible = Command::new("unshare").args(["--time", "true"]).output();
        if !possible.is_ok_and(|it| it.status.success()) {
            println!("SKIPPED: no time namespace can be made here");
            return;
        }
        let mut run = shell(&script).start();
        run.wait_ready(2);
        assert_eq!(raw(&run, "GET /", "").status, 200);
        assert_told(&ask(&run, &["reload"]), 0, &["generation 2"]);
        assert_told(&ask(&run, &["upgrade"]), 0, &["generation 3"]);
        assert_eq!(run.stop().code(), Some(0));
    }
}
