//! Connections that are kept and then speak something else than HTTP, while their handler leaves.
#![cfg(feature = "http")]

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

use crate::kit::{Launch, PATIENCE, eventually, example};
use crate::pool::connect;
use crate::way::Way;

/// The head of the answer to a request over a connection that is kept.
#[track_caller]
fn head(stream: &mut BufReader<TcpStream>, path: &str) -> String {
    let words = "Host: x\r\nConnection: upgrade\r\nUpgrade: echo";
    write!(stream.get_mut(), "GET {path} HTTP/1.1\r\n{words}\r\n\r\n").unwrap();
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert!(stream.read_line(&mut head).unwrap() > 0, "half an answer: {head}");
    }
    head
}

#[test]
fn a_handler_that_leaves_lets_a_connection_switch_protocols() {
    let words = ["127.0.0.1:0", "handlers=1", "canary=20"];
    let mut run = Launch::of(example("web")).args(words).start();
    run.wait_ready(1);
    let mut others: Vec<_> = (0..2).map(|_| BufReader::new(connect(run.socket_addr()))).collect();
    let mut ask = |i: usize, path: &str| {
        let head = head(&mut others[i], path);
        if !head.starts_with("HTTP/1.1 101") {
            others[i].read_line(&mut String::new()).unwrap();
        }
        head.to_ascii_lowercase()
    };
    assert!(ask(1, "/1").contains(" 200 "), "it is kept");
    Way::Reload.succeed(&run);
    eventually(PATIENCE, "the old handler to say that it leaves", || {
        ask(0, "/2").contains("connection: close").then_some(())
    });
    let switched = ask(1, "/switch");
    assert!(switched.contains("connection: upgrade\r\n"), "{switched}");
    assert!(!switched.contains("close"), "{switched}");
    drop(others);
    run.stop();
}
