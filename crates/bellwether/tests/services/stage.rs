//! An example that serves, a request to it, a change of it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use serde_json::json;

use crate::kit::{Launch, PATIENCE, Run, example};

/// Starts an example with two handlers on a free port.
#[track_caller]
pub(crate) fn start(program: &str) -> Run {
    let run = Launch::of(example(program)).arg("127.0.0.1:0").start();
    run.wait_ready(2);
    run
}

/// Starts the web server of the tests with one handler.
#[track_caller]
pub(crate) fn web(words: &[&str]) -> Run {
    let launch = Launch::of(example("web")).args(["127.0.0.1:0", "handlers=1", "canary=20"]);
    let run = launch.args(words).start();
    run.wait_ready(1);
    run
}

#[track_caller]
pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect_timeout(&address, PATIENCE).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Asks over a connection of its own, which is to end with the answer.
#[track_caller]
pub(crate) fn ask(address: SocketAddr, path: &str) -> TcpStream {
    let mut stream = connect(address);
    write!(stream, "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
    stream
}

/// All that is answered until the connection ends.
#[track_caller]
pub(crate) fn rest(mut stream: TcpStream) -> String {
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[track_caller]
pub(crate) fn reload(run: &Run) {
    let answer = run.control().tell(&json!({"verb": "reload"}));
    assert_eq!(answer["result"], "done", "{answer}");
}
