//! Clients in the machine's network: curl, and a stream of requests whose outcomes are booked.

use std::collections::BTreeSet;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use serde_json::Value;

use crate::kit::{Entry, Ledger, Machine, Outcome, PATIENCE, Pid};
use crate::units::ADDRESS;

/// What curl gets, or what it complains about.
pub(crate) fn curl(machine: &Machine, path: &str) -> Result<String, String> {
    let limit = PATIENCE.as_secs().to_string();
    let mut curl = Command::new("curl");
    curl.args(["-q", "-sS", "--fail", "--noproxy", "*", "--max-time", &limit]);
    curl.arg(format!("http://{ADDRESS}{path}"));
    let output = machine.inside(|| curl.output().unwrap());
    let [said, complaint] = [output.stdout, output.stderr].map(|it| String::from_utf8(it).unwrap());
    if output.status.success() { Ok(said) } else { Err(complaint) }
}

/// Keeps four clients asking, one request a connection, until `meanwhile` is over; the outcomes.
pub(crate) fn stream(machine: &Machine, meanwhile: impl FnOnce()) -> Ledger {
    let over = AtomicBool::new(false);
    let mut ledger = Ledger::default();
    thread::scope(|scope| {
        let client = || machine.inside(|| ask_until(&over));
        let clients: Vec<_> = (0..4).map(|_| scope.spawn(client)).collect();
        let _over = Over(&over);
        meanwhile();
        drop(_over);
        clients.into_iter().for_each(|it| ledger.merge(it.join().unwrap()));
    });
    ledger
}

/// Who answered; panics when a request was not.
#[track_caller]
pub(crate) fn all_answered(ledger: &Ledger) -> BTreeSet<Pid> {
    let failed: Vec<_> = ledger.entries().filter(|it| !it.is_answered()).collect();
    assert!(failed.is_empty(), "{} of {} failed: {failed:#?}", failed.len(), ledger.len());
    let pids = ledger.entries().filter_map(|it| match it.outcome {
        Outcome::Ok(pid) => Some(pid),
        _ => None,
    });
    pids.collect()
}

/// Ends the stream even when the test panics, so that its threads can be joined.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn ask_until(over: &AtomicBool) -> Ledger {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let mut ledger = Ledger::default();
    while !over.load(Ordering::Relaxed) {
        let began = Instant::now();
        let outcome = ask();
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        ledger.enter(Entry { id, began, ended: Instant::now(), outcome });
    }
    ledger
}

/// One request; who answered is in the body.
fn ask() -> Outcome {
    let mut stream = match TcpStream::connect_timeout(&ADDRESS.parse().unwrap(), PATIENCE) {
        Ok(stream) => stream,
        Err(error) if error.kind() == ErrorKind::TimedOut => return Outcome::Timeout,
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {
            return Outcome::ResetBeforeByte;
        }
        Err(_) => return Outcome::Refused,
    };
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let request = b"GET /whoami HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let mut reply = Vec::new();
    let ended = stream.write_all(request).and_then(|()| stream.read_to_end(&mut reply));
    match answerer(&String::from_utf8_lossy(&reply)) {
        Some(pid) => Outcome::Ok(pid),
        None if matches!(&ended, Err(it) if it.kind() == ErrorKind::WouldBlock) => Outcome::Timeout,
        None if reply.is_empty() => Outcome::ResetBeforeByte,
        None if ended.is_err() => Outcome::ResetAfterByte,
        None => Outcome::WrongBody,
    }
}

fn answerer(reply: &str) -> Option<Pid> {
    let (head, body) = reply.split_once("\r\n\r\n")?;
    let body: Value = serde_json::from_str(body).ok()?;
    head.starts_with("HTTP/1.1 200 ").then(|| Pid::try_from(body["pid"].as_i64()?).ok())?
}
