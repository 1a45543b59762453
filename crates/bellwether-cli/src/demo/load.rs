//! The load: requests at their times, whatever became of those before.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::play::Request;
use super::stage::DEADLY;
use super::theatre;

/// So many requests can be on their way at once.
const CLIENTS: usize = 128;

/// Whoever is not answered until then is lost.
const PATIENCE: Duration = Duration::from_secs(10);

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// After so long since the moment at which it was due.
    Answered(Duration),
    /// It killed its handler, as was intended.
    Killed,
    Lost,
}

/// Makes all requests from this moment on, and tells what became of each.
pub(super) fn run(address: SocketAddr, requests: &[Request]) -> Vec<Outcome> {
    let (next, outcomes) = (AtomicUsize::new(0), Mutex::new(Vec::with_capacity(requests.len())));
    let begin = Instant::now();
    let client = || {
        while let Some(request) = requests.get(next.fetch_add(1, Ordering::Relaxed)) {
            let due = begin + request.at;
            thread::sleep(due.saturating_duration_since(Instant::now()));
            if theatre::is_over() {
                return;
            }
            let outcome = make(address, *request, due);
            outcomes.lock().unwrap_or_else(PoisonError::into_inner).push(outcome);
        }
    };
    thread::scope(|scope| (0..CLIENTS).for_each(|_| drop(scope.spawn(client))));
    outcomes.into_inner().unwrap_or_else(PoisonError::into_inner)
}

fn make(address: SocketAddr, request: Request, due: Instant) -> Outcome {
    let target = if request.deadly { DEADLY } else { "/" };
    match (ask(address, target), request.deadly) {
        (Ok(reply), _) if reply.starts_with("HTTP/1.1 200 ") => Outcome::Answered(due.elapsed()),
        (_, true) => Outcome::Killed,
        _ => Outcome::Lost,
    }
}

fn ask(address: SocketAddr, target: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(format!("GET {target} HTTP/1.1\r\nHost: demo\r\n\r\n").as_bytes())?;
    let mut reply = String::new();
    stream.read_to_string(&mut reply)?;
    Ok(reply)
}
