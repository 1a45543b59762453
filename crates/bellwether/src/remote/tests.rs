//! What is made of servers that answer well, badly, in pieces, or not at all.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

use super::find::{Server, names_in};
use super::talk::{LONGEST, Talk};
use super::{Done, Events, Pending};
use crate::error::{Error, Result};
use crate::spawner::command::{Command, Why};
use crate::spawner::runtime_dir::SOCKET;

/// Another end than the one that the test waits for.
const SHORT: Duration = Duration::from_millis(20);

/// A folder of servers with one that does this with its first client.
fn stage(play: impl FnOnce(UnixStream) + Send + 'static) -> TempDir {
    let base = tempfile::tempdir().unwrap();
    let door = door(&base, "shop");
    thread::spawn(move || play(door.accept().unwrap().0));
    base
}

fn door(base: &TempDir, name: &str) -> UnixListener {
    std::fs::create_dir(base.path().join(name)).unwrap();
    UnixListener::bind(base.path().join(name).join(SOCKET)).unwrap()
}

/// Hears the command, then says this and closes.
fn saying(answer: impl Into<Vec<u8>>) -> TempDir {
    let answer = answer.into();
    stage(move |mut stream| {
        BufReader::new(&stream).read_line(&mut String::new()).unwrap();
        let _ = stream.write_all(&answer); // the client may have heard enough
    })
}

fn begin(base: &TempDir, command: &Command) -> Result<Talk> {
    Talk::begin(&Server::find(base.path(), Some("shop"))?, command)
}

fn reload(base: &TempDir) -> Result<Done> {
    Pending::new(begin(base, &Command::Reload {})?).wait()
}

#[track_caller]
fn check(error: &Error, status: u8, words: &[&str]) {
    let text = error.to_string();
    assert_eq!(error.exit_code(), status, "{text}");
    assert!(words.iter().all(|it| text.contains(it)), "{words:?} in: {text}");
    assert!(!text.contains(char::is_control), "{text:?}");
}

#[test]
fn a_command_that_is_done_is_told_in_one_sentence() {
    let line = r#"{"result":"done","what":"reloaded: generation 3","took_s":1.23,"cut":0}"#;
    let done = reload(&saying(format!("{line}\n"))).unwrap();
    assert_eq!(done.to_string(), "reloaded: generation 3, 1.2 s; nothing was cut");
    assert_eq!(serde_json::to_string(&done).unwrap(), line);
    let many = Done { cut: 2, ..done.clone() }.to_string();
    assert!(many.ends_with("; 2 connections were cut"), "{many}");
    assert!(Done { cut: 1, ..done }.to_string().ends_with("; 1 connection was cut"));
}

#[test]
fn what_is_not_done_is_an_error_with_its_exit_status() {
    let cases = [
        ("failed", 70, "failed: because"),
        ("refused", 75, "not done: because"),
        ("denied", 77, "not allowed: because"),
        ("unknown", 70, "understand `reload`: because; is it of another version"),
    ];
    for (result, status, words) in cases {
        let line = format!(r#"{{"result":"{result}","reason":"because"}}"#);
        check(&reload(&saying(format!("{line}\n"))).unwrap_err(), status, &[words]);
        // The same line may come in place of whatever was asked for.
        let base = saying(format!("{line}\n"));
        let error = begin(&base, &Command::Why {}).unwrap().answer::<Why>().unwrap_err();
        assert_eq!(error.exit_code(), status, "{error}");
    }
}

#[test]
fn rubbish_is_not_believed() {
    let more = ["", "{}", "[", "null", "\u{1b}[2J\u{7}", r#"{"error":"unknown variant"}"#];
    for line in more.map(String::from).into_iter().chain(["x".repeat(1000)]) {
        let base = saying(format!("{line}\n"));
        let words = ["understand the answer of server `shop` to `reload`", "another version"];
        check(&reload(&base).unwrap_err(), 70, &words);
    }
    let base = saying(b"\xff\xfe\n");
    assert_eq!(reload(&base).unwrap_err().exit_code(), 70);
    let base = saying("{\"result\":\"done\",\"what\":\"x\",\"took_s\":0}\n");
    let error = begin(&base, &Command::Status {}).unwrap().answer::<Why>().unwrap_err();
    check(&error, 70, &["to `status`", "says only that this is done: x"]);
}

#[test]
fn a_line_without_end_is_not_kept_for_ever() {
    let error = reload(&saying(vec![b' '; LONGEST + 2])).unwrap_err();
    check(&error, 70, &["longer than 33554432 bytes"]);
}

#[test]
fn a_server_that_ends_first_is_told_from_one_that_refuses() {
    for beginning in ["", r#"{"result":"done","what"#] {
        let error = reload(&saying(beginning)).unwrap_err();
        check(&error, 70, &["answer to `reload`", "`shop` closed", "ended, was killed"]);
    }
    // The reason is heard even by those who were turned away before they spoke.
    let base = stage(|mut stream| {
        stream.write_all(b"{\"result\":\"denied\",\"reason\":\"uid 7\"}\n").unwrap();
    });
    check(&reload(&base).unwrap_err(), 77, &["uid 7"]);
}

#[test]
fn an_answer_may_take_its_time_and_come_in_pieces() {
    let (go, told) = mpsc::channel::<()>();
    let base = stage(move |mut stream| {
        stream.write_all(b"{\"result\":\"done\",\"what\":\"x\",").unwrap();
        told.recv().unwrap();
        stream.write_all(b"\"took_s\":7,\"cut\":1}\n").unwrap();
    });
    let mut pending = Pending::new(begin(&base, &Command::Stop { now: true }).unwrap());
    assert_eq!(pending.wait_for(SHORT).unwrap(), None);
    assert_eq!(pending.wait_for(Duration::ZERO).unwrap(), None);
    go.send(()).unwrap();
    let done = pending.wait().unwrap();
    assert_eq!((done.what.as_str(), done.took_s, done.cut), ("x", 7.0, 1));
}

#[test]
fn a_server_that_does_not_answer_is_named_with_its_process() {
    let (_hold, released) = mpsc::channel::<()>();
    let base = stage(move |_stream| released.recv().unwrap_or_default());
    let mut talk = begin(&base, &Command::Status {}).unwrap();
    assert_eq!(talk.hear(Some(SHORT)).unwrap(), super::talk::Heard::Nothing);
    let process = format!("process {} hangs", std::process::id());
    check(&talk.silent(), 69, &["`shop` has not answered `status` within 5 s", &process]);
}

#[test]
fn events_come_until_the_server_closes() {
    let entry = r#"{"number":1,"unix_ms":5,"kind":"start","rule":"start","reason":"began"}"#;
    let lines = format!("{entry}\n{entry}\n");
    for follow in [false, true] {
        let talk = begin(&saying(lines.clone()), &Command::Events { follow }).unwrap();
        let heard: Vec<_> = Events::new(talk, follow).map(|it| it.unwrap().reason).collect();
        assert_eq!(heard, ["began", "began"]);
    }
    let talk = begin(&saying(format!("{lines}rubbish\n{lines}")), &Command::Why {}).unwrap();
    let heard: Vec<_> = Events::new(talk, true).map(|it| it.is_ok()).collect();
    assert_eq!(heard, [true, true, false], "an error is the last");
}

#[test]
fn only_a_server_that_lives_has_a_name() {
    let base = tempfile::tempdir().unwrap();
    let find = || Server::find(base.path(), None).map(|server| server.name);
    check(&find().unwrap_err(), 69, &["no server runs", "start one"]);
    drop(door(&base, "dead"));
    check(&find().unwrap_err(), 69, &["no server runs"]);
    let _shop = door(&base, "shop");
    assert_eq!(find().unwrap(), "shop");
    let _cafe = door(&base, "cafe");
    check(&find().unwrap_err(), 69, &["several", "--name: cafe, shop"]);
    let dead = Server::find(base.path(), Some("dead")).unwrap();
    check(&dead.connect().unwrap_err(), 69, &["no server `dead`", "running: cafe, shop"]);
}

#[test]
fn a_server_whose_door_is_crowded_lives() {
    let base = tempfile::tempdir().unwrap();
    let door = door(&base, "shop");
    rustix::net::listen(&door, 0).unwrap();
    let socket = base.path().join("shop").join(SOCKET);
    let _first = UnixStream::connect(socket).unwrap();
    assert_eq!(names_in(base.path()).unwrap(), ["shop"]);
}

#[test]
fn a_door_that_is_closed_to_us_says_whose_it_is() {
    let base = tempfile::tempdir().unwrap();
    let server = Server::find(base.path(), Some("shop")).unwrap();
    let us = rustix::process::geteuid();
    let whose = format!("`shop` belongs to uid {us}, and we are uid {us}");
    check(&server.denied(base.path()), 77, &[&whose, "`allow`"]);
    check(&super::find::closed(base.path()), 77, &["cannot list", "--name"]);
}
