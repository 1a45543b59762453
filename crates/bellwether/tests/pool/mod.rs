//! Talking to `programs/pool`, the server that does what its clients say.
#![allow(dead_code, reason = "each test binary uses a part")]
#![allow(unreachable_pub, reason = "included as a private module")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "all of it is test code")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};

use serde_json::Value;

use super::kit::{Launch, PATIENCE, Pid, Run, control, example, usage};

/// Starts a pool on a free port and waits until all its handlers are ready.
#[track_caller]
pub fn start(words: &[&str]) -> Run {
    let run = Launch::of(example("pool")).arg("127.0.0.1:0").args(words).start();
    let number = words.iter().find_map(|word| word.strip_prefix("handlers=")?.parse().ok());
    run.wait_ready(number.expect("handlers=N"));
    run
}

/// A client whose patience is bounded.
#[track_caller]
pub fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect_timeout(&address, PATIENCE).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Says a word and returns all that is answered; nothing when the handler did not live to answer.
#[track_caller]
pub fn say(address: SocketAddr, word: &str) -> String {
    let mut stream = connect(address);
    stream.write_all(format!("{word}\n").as_bytes()).unwrap();
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    answer.trim_end().into()
}

/// A connection that a handler holds until it is let go.
#[derive(Debug)]
pub struct Held(BufReader<TcpStream>);

impl Held {
    /// Connects and waits until a handler holds the connection.
    #[track_caller]
    pub fn open(address: SocketAddr) -> Self {
        let mut held = Self::ask(address);
        assert_eq!(held.line(), "held");
        held
    }

    /// Connects and asks, but does not wait for an answer.
    #[track_caller]
    pub fn ask(address: SocketAddr) -> Self {
        Self::ask_to(address, "hold")
    }

    /// Connects and says another word that makes a handler hold the connection.
    #[track_caller]
    pub fn ask_to(address: SocketAddr, word: &str) -> Self {
        let mut stream = connect(address);
        stream.write_all(format!("{word}\n").as_bytes()).unwrap();
        Self(BufReader::new(stream))
    }

    /// The next line of the answer.
    #[track_caller]
    pub fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        line.trim_end().into()
    }

    /// Whatever is still answered until the connection ends.
    pub fn rest(&mut self) -> String {
        let mut rest = String::new();
        let _ = self.0.read_to_string(&mut rest);
        rest
    }

    /// Lets the connection go and waits for the last word.
    #[track_caller]
    pub fn release(mut self) {
        self.0.get_mut().write_all(b"go\n").unwrap();
        assert_eq!(self.line(), "released");
    }
}

/// One number of each handler in a status, by slot.
#[track_caller]
pub fn each(status: &Value, key: &str) -> Vec<u64> {
    let handlers = control::pool(status)["handlers"].as_array().expect("handlers");
    handlers.iter().map(|handler| handler[key].as_u64().expect("a number")).collect()
}

/// One number of all handlers together.
#[track_caller]
pub fn sum(status: &Value, key: &str) -> u64 {
    each(status, key).iter().sum()
}

/// How often each handler has slept and woken, as the kernel counts.
#[track_caller]
pub fn switches(pids: &[Pid]) -> Vec<u64> {
    pids.iter().map(|&pid| usage::voluntary_switches(pid)).collect()
}
