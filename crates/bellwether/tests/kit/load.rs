//! A bounded load: clients that each send one request per connection and book its outcome.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::ledger::{Entry, Ledger, Outcome};
use super::processes::Pid;
use super::wait::pulse;

/// The first request that nobody made yet: ids stay unique over all loads of a test executable.
static NEXT: AtomicU64 = AtomicU64::new(1);

/// A reply has far fewer bytes: a server that sends without end is cut here.
const LONGEST: u64 = 4096;

/// When a load ends.
#[derive(Clone, Copy, Debug)]
pub enum Until {
    /// After so many requests of each client.
    Requests(usize),
    /// At this time; requests under way are finished.
    Time(Instant),
}

/// A load to come. Each client connects, sends `ID\n`, reads the reply `ID PID\n` to its end, and
/// goes on with the next request.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    pub address: SocketAddr,
    pub clients: usize,
    pub until: Until,
    /// How long a client waits for a connection, and for the next byte.
    pub patience: Duration,
    /// The shortest time from one request of a client to its next.
    pub pace: Duration,
}

/// Runs a load as fast as the server lets it.
pub fn load(address: SocketAddr, clients: usize, until: Until) -> Ledger {
    let patience = Duration::from_secs(10);
    Load { address, clients, until, patience, pace: Duration::ZERO }.run()
}

impl Load {
    /// Runs the load to its end.
    pub fn run(&self) -> Ledger {
        let mut ledger = Ledger::default();
        thread::scope(|scope| {
            let clients: Vec<_> =
                (0..self.clients).map(|_| scope.spawn(|| self.client())).collect();
            clients.into_iter().for_each(|it| ledger.merge(it.join().expect("a client panicked")));
        });
        ledger
    }

    fn client(&self) -> Ledger {
        let mut ledger = Ledger::default();
        pulse(self.pace, || {
            if self.is_over(&ledger) {
                return ControlFlow::Break(());
            }
            ledger.enter(self.request());
            ControlFlow::Continue(())
        });
        ledger
    }

    fn is_over(&self, ledger: &Ledger) -> bool {
        match self.until {
            Until::Requests(number) => ledger.len() >= number,
            Until::Time(end) => Instant::now() >= end,
        }
    }

    fn request(&self) -> Entry {
        make(|id| self.outcome(id))
    }

    fn outcome(&self, id: u64) -> Outcome {
        let mut stream = match TcpStream::connect_timeout(&self.address, self.patience) {
            Ok(stream) => stream,
            Err(error) => return unconnected(&error),
        };
        stream.set_read_timeout(Some(self.patience)).unwrap();
        stream.set_write_timeout(Some(self.patience)).unwrap();
        let mut reply = Vec::new();
        let sent = stream.write_all(format!("{id}\n").as_bytes());
        let received = sent.and_then(|()| stream.take(LONGEST).read_to_end(&mut reply));
        judge(id, &reply, received.err().as_ref())
    }
}

/// Makes the next request and books what became of it.
pub fn make(request: impl FnOnce(u64) -> Outcome) -> Entry {
    let id = NEXT.fetch_add(1, Ordering::Relaxed);
    let began = Instant::now();
    let outcome = request(id);
    Entry { id, began, ended: Instant::now(), outcome }
}

/// Only what a server can be blamed for is an outcome.
pub fn unconnected(error: &io::Error) -> Outcome {
    match error.kind() {
        ErrorKind::ConnectionRefused => Outcome::Refused,
        ErrorKind::ConnectionReset => Outcome::ResetBeforeByte,
        kind if is_timeout(kind) => Outcome::Timeout,
        _ => panic!("the client itself failed: {error}"),
    }
}

/// What a reply is worth, whole or not, and the error that ended it, if any.
pub fn judge(id: u64, reply: &[u8], error: Option<&io::Error>) -> Outcome {
    let text = String::from_utf8_lossy(reply);
    match answerer(id, &text) {
        _ if error.is_some_and(|it| is_timeout(it.kind())) => Outcome::Timeout,
        Some(pid) => Outcome::Ok(pid),
        None if text.is_empty() => Outcome::ResetBeforeByte,
        None if is_beginning(id, &text) => Outcome::ResetAfterByte,
        None => Outcome::WrongBody,
    }
}

/// Who answered, if the reply is whole and right.
fn answerer(id: u64, text: &str) -> Option<Pid> {
    text.strip_suffix('\n')?.strip_prefix(&format!("{id} "))?.parse().ok()
}

/// Whether the right reply may begin like this.
fn is_beginning(id: u64, text: &str) -> bool {
    let start = format!("{id} ");
    let pid = text.strip_prefix(&start);
    start.starts_with(text) || pid.is_some_and(|it| it.bytes().all(|byte| byte.is_ascii_digit()))
}

fn is_timeout(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::TimedOut | ErrorKind::WouldBlock)
}
