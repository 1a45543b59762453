//! Deadlines as handlers know them: who is told, what they can do, and that others go on.
#![cfg(feature = "http")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use kit::{Launch, PATIENCE, Run, assert_conserved, eventually, example};
use pool::{Held, connect, say};

mod kit;
mod pool;

/// Starts one handler of an example whose requests have 200 ms.
fn start(program: &str, words: &[&str]) -> Run {
    let launch = Launch::of(example(program)).arg("127.0.0.1:0").args(words);
    let run = launch.args(["handlers=1", "soft=200"]).start();
    run.wait_ready(1);
    run
}

fn aborted(run: &Run) -> u64 {
    run.pool()["totals"]["aborted"].as_u64().unwrap_or_default()
}

#[test]
fn a_blocking_handler_is_told_by_timed_out_and_can_answer() {
    let mut run = start("pool", &[]);
    assert_eq!(say(run.socket_addr(), "told"), "timed out");
    assert_eq!(say(run.socket_addr(), "over"), "Some(false)");
    assert_eq!(aborted(&run), 0, "what it answers is up to the handler");
    assert_conserved(&run.status());
    run.stop();
}

#[test]
fn a_blocking_handler_can_extend_its_deadline() {
    let mut run = start("pool", &[]);
    let mut held = Held::ask_to(run.socket_addr(), "extend");
    assert_eq!(held.line(), "told: true, over: false");
    held.release();
    run.stop();
}

#[test]
fn the_time_in_the_buffer_counts() {
    let mut run = start("pool", &[]);
    let address = run.socket_addr();
    let mut held = Held::ask_to(address, "extend");
    assert_eq!(held.line(), "told: true, over: false");
    let mut waiting = connect(address);
    waiting.write_all(b"over\n").unwrap();
    let since = Instant::now();
    eventually(PATIENCE, "a deadline to pass in the buffer", || {
        (since.elapsed() > Duration::from_millis(300)).then_some(())
    });
    held.release();
    assert_eq!(rest(waiting), "Some(true)\n");
    run.stop();
}

#[test]
fn without_deadlines_a_handler_knows_none() {
    let mut run = pool::start(&["handlers=1"]);
    assert_eq!(say(run.socket_addr(), "over"), "None");
    run.stop();
}

#[test]
fn an_asynchronous_handler_is_dropped_while_others_go_on() {
    let mut run = start("gate", &["100"]);
    let address = run.socket_addr();
    let mut other = Held::ask_to(address, "extend");
    assert_eq!(other.line(), "held");
    assert_eq!(say(address, "stuck"), "", "its connection is closed");
    other.release();
    eventually(PATIENCE, "the books to close", || {
        (run.pool()["totals"]["in_flight"] == 0).then_some(())
    });
    assert_eq!(aborted(&run), 1);
    assert_eq!(run.pool()["totals"]["exited"], 0, "the process lives on");
    assert_conserved(&run.status());
    run.stop();
}

/// Sends the head of a request and the beginning of its body.
fn ask(address: SocketAddr, request: &str, body: &str) -> TcpStream {
    let mut stream = connect(address);
    let head = format!("{request} HTTP/1.1\r\nhost: test\r\n");
    let sent = stream.write_all(format!("{head}content-length: 2\r\n\r\n{body}").as_bytes());
    sent.unwrap_or_else(|error| panic!("cannot ask: {error}"));
    stream
}

fn rest(mut stream: TcpStream) -> String {
    let mut answer = String::new();
    let read = stream.read_to_string(&mut answer);
    read.unwrap_or_else(|error| panic!("no whole answer: {error}"));
    answer
}

#[test]
fn http_answers_503_while_other_requests_of_the_handler_go_on() {
    let mut run = start("web", &[]);
    let address = run.socket_addr();
    let mut other = ask(address, "POST /extend", "o");
    let late = rest(ask(address, "POST /stuck", "ok"));
    assert!(late.starts_with("HTTP/1.1 503 Service Unavailable\r\n"), "{late}");
    assert!(late.contains("\r\nconnection: close\r\n"), "{late}");
    assert!(late.contains("\r\ncontent-length: 26\r\n"), "{late}");
    assert!(late.ends_with("\r\n\r\nthe request took too long\n"), "{late}");
    // Older than the one that was too late, and still served.
    other.write_all(b"k").unwrap();
    let mut answer = [0; 1024];
    let length = other.read(&mut answer).unwrap();
    let answer = String::from_utf8_lossy(&answer[..length]);
    assert!(
        answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\nok"),
        "{answer}"
    );
    drop(other);
    eventually(PATIENCE, "the books to close", || {
        (run.pool()["totals"]["in_flight"] == 0).then_some(())
    });
    assert_eq!(aborted(&run), 0, "both connections ended with an answer");
    assert_conserved(&run.status());
    run.stop();
}

#[test]
fn a_client_that_is_slow_with_its_body_is_told_too() {
    let mut run = start("web", &[]);
    let late = rest(ask(run.socket_addr(), "POST /echo", "o"));
    assert!(late.starts_with("HTTP/1.1 503 "), "{late}");
    run.stop();
}
