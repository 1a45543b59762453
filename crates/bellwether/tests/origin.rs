//! What a request over HTTP tells of its connection.
#![cfg(feature = "http")]
#![allow(
    clippy::unwrap_used,
    reason = "all of it is test code, but clippy sees that only in functions marked #[test]"
)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;

use kit::{Launch, PATIENCE, example};

mod kit;

/// Asks over a connection that is kept, and reads the text of the answer.
fn origin<S: Read + Write>(stream: &mut BufReader<S>) -> String {
    stream.get_mut().write_all(b"GET /origin HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut length = 0;
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).unwrap();
        if let Some(value) = line.strip_prefix("content-length: ") {
            length = value.trim().parse().unwrap();
        }
        if line == "\r\n" {
            break;
        }
    }
    let mut text = vec![0; length];
    stream.read_exact(&mut text).unwrap();
    String::from_utf8(text).unwrap()
}

#[test]
fn every_request_knows_its_client_and_the_first_how_long_it_waited() {
    let mut run = Launch::of(example("web")).args(["127.0.0.1:0", "handlers=1"]).start();
    run.wait_ready(1);
    let stream = TcpStream::connect(run.socket_addr()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let us = stream.local_addr().unwrap();
    let mut stream = BufReader::new(stream);
    for is_first in [true, false, false] {
        assert_eq!(origin(&mut stream), format!("Some(Peer({us})) {is_first}"));
    }
    drop(stream);
    run.stop();
}

#[test]
fn of_a_unix_socket_neither_is_known() {
    let launch = Launch::of(example("web"));
    let socket = launch.path("web.sock");
    let mut run = launch.arg(format!("unix:{}", socket.display())).arg("handlers=1").start();
    run.wait_ready(1);
    let stream = UnixStream::connect(&socket).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    assert_eq!(origin(&mut BufReader::new(stream)), "None false");
    run.stop();
}
