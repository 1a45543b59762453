//! `bellwether top` on a terminal and without one.

use std::io::{Read, Write};
use std::process::{ChildStdout, Command, Stdio};

use crate::clients::raw;
use crate::kit::{PATIENCE, eventually};
use crate::stage::{PROGRAM, ask, has, serve};

/// Reads what a terminal is told until these words are in it.
#[track_caller]
fn read_until(words: &str, screen: &mut ChildStdout, told: &mut String) {
    let mut some = [0; 4096];
    while !told.contains(words) {
        let read = screen.read(&mut some).unwrap();
        assert!(read > 0, "no {words:?} in {told:?}");
        told.push_str(&String::from_utf8_lossy(&some[..read]));
    }
}

#[test]
fn it_draws_reloads_when_asked_twice_and_gives_the_terminal_back() {
    if !has("script") {
        return;
    }
    let mut run = serve(&["--name", "shop"]);
    raw(&run, "GET /", "");
    let line = format!("stty cols 80 rows 24; exec {PROGRAM} top --interval 100ms");
    let mut terminal = Command::new("script")
        .args(["-qfec", &line, "/dev/null"])
        .env("BELLWETHER_RUNTIME_DIR", run.runtime())
        .env("TERM", "xterm")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut keys, mut screen) = (terminal.stdin.take().unwrap(), terminal.stdout.take().unwrap());
    let mut told = String::new();
    read_until("2 handlers, 0 busy", &mut screen, &mut told);
    assert!(told.contains("shop | serving"), "{told:?}");
    keys.write_all(b"r").unwrap();
    read_until("again: yes", &mut screen, &mut told);
    assert_eq!(run.pool()["generation"], 1, "a question changes nothing");
    keys.write_all(b"r").unwrap();
    eventually(PATIENCE, "a second generation", || (run.pool()["generation"] == 2).then_some(()));
    keys.write_all(b"q").unwrap();
    read_until("\u{1b}[?1049l", &mut screen, &mut told);
    assert!(terminal.wait().unwrap().success());
    assert_eq!(run.stop().code(), Some(0));
}

#[test]
fn without_a_terminal_it_prints_lines_until_the_server_is_gone() {
    let mut run = serve(&["--name", "shop"]);
    let mut lines = Command::new(PROGRAM)
        .args(["top", "--interval", "100ms"])
        .env("BELLWETHER_RUNTIME_DIR", run.runtime())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut told = String::new();
    let mut out = lines.stdout.take().unwrap();
    read_until("1 serving\n", &mut out, &mut told);
    assert!(told.starts_with("     UP POOL"), "{told}");
    assert_eq!(run.stop().code(), Some(0));
    assert_eq!(lines.wait().unwrap().code(), Some(69), "no such server runs any more");
}

#[test]
fn without_a_server_it_says_so() {
    let mut run = serve(&["--name", "shop"]);
    let output = ask(&run, &["top", "--name", "other"]);
    assert_eq!(output.status.code(), Some(69));
    assert!(String::from_utf8_lossy(&output.stderr).contains("shop"), "{output:?}");
    assert_eq!(run.stop().code(), Some(0));
}
