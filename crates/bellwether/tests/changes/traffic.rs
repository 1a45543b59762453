//! Clients that ask without a pause while something else is done.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use crate::clients::Door;
use crate::kit::load::{judge, make, unconnected};
use crate::kit::{Ledger, Outcome, PATIENCE};

/// How clients ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// A line for each connection, as `programs/pool` understands it.
    Line,
    /// An HTTP request for each connection.
    Short,
    /// HTTP requests over one connection, until the server closes it.
    Keep,
}

/// What the clients have done so far.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    made: AtomicUsize,
    over: AtomicBool,
}

/// Ends the traffic, also when what was done beside it panics.
struct Ending<'a>(&'a Traffic);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.over.store(true, Ordering::Relaxed);
    }
}

impl Traffic {
    /// How many requests were made.
    pub(crate) fn made(&self) -> usize {
        self.made.load(Ordering::Relaxed)
    }

    fn client(&self, door: &Door, manner: Manner) -> Ledger {
        let (mut ledger, mut kept) = (Ledger::default(), None);
        while !self.over.load(Ordering::Relaxed) {
            ledger.enter(make(|id| match manner {
                Manner::Line => line(door, id),
                Manner::Short => over_http(door, id, &mut None, "close"),
                Manner::Keep => over_http(door, id, &mut kept, "keep-alive"),
            }));
            self.made.fetch_add(1, Ordering::Relaxed);
        }
        ledger
    }
}

/// Does something while so many clients ask; returns their books beside what was done.
pub(crate) fn beside<T>(
    door: &Door,
    manner: Manner,
    clients: usize,
    work: impl FnOnce(&Traffic) -> T,
) -> (Ledger, T) {
    let traffic = Traffic::default();
    thread::scope(|scope| {
        let ask = || scope.spawn(|| traffic.client(door, manner));
        let clients: Vec<_> = (0..clients).map(|_| ask()).collect();
        let ending = Ending(&traffic);
        let done = work(&traffic);
        drop(ending);
        let mut ledger = Ledger::default();
        clients.into_iter().for_each(|it| ledger.merge(it.join().expect("a client panicked")));
        (ledger, done)
    })
}

fn connect(door: &Door) -> io::Result<File> {
    let fd: OwnedFd = match door {
        Door::Tcp(address) => {
            let stream = TcpStream::connect_timeout(address, PATIENCE)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.into()
        }
        Door::Unix(path) => {
            let stream = UnixStream::connect(path)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.into()
        }
    };
    Ok(fd.into())
}

fn line(door: &Door, id: u64) -> Outcome {
    let mut stream = match connect(door) {
        Ok(stream) => stream,
        Err(error) => return unconnected(&error),
    };
    let mut reply = Vec::new();
    let sent = stream.write_all(format!("{id}\n").as_bytes());
    let received = sent.and_then(|()| stream.read_to_end(&mut reply));
    judge(id, &reply, received.err().as_ref())
}

fn over_http(
    door: &Door,
    id: u64,
    kept: &mut Option<BufReader<File>>,
    connection: &str,
) -> Outcome {
    let mut stream = match kept.take().map_or_else(|| connect(door).map(BufReader::new), Ok) {
        Ok(stream) => stream,
        Err(error) => return unconnected(&error),
    };
    let request = format!("GET /{id} HTTP/1.1\r\nHost: x\r\nConnection: {connection}\r\n\r\n");
    let sent = stream.get_mut().write_all(request.as_bytes());
    match sent.and_then(|()| reply(&mut stream)) {
        Ok((body, closes)) => {
            *kept = (!closes).then_some(stream);
            judge(id, &body, None)
        }
        Err(error) => judge(id, b"", Some(&error)),
    }
}

/// The body of an answer, and whether the server closes the connection after it.
fn reply(stream: &mut BufReader<File>) -> io::Result<(Vec<u8>, bool)> {
    let (mut length, mut closes) = (0, false);
    loop {
        let mut field = String::new();
        if stream.read_line(&mut field)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let field = field.trim_end().to_ascii_lowercase();
        match field.split_once(": ") {
            Some(("content-length", number)) => length = number.parse().unwrap_or(0),
            Some(("connection", "close")) => closes = true,
            _ if field.is_empty() => break,
            _ => {}
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    Ok((body, closes))
}
