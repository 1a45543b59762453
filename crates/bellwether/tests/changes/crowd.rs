//! Many clients that keep their connections, most of which rest, while something else is done.
//!
//! They do what good clients do (RFC 9112, 9.3.1; RFC 9113, 6.8) and no more: a connection that was
//! closed before a request is left for a new one, and what GOAWAY says was not processed is asked
//! again. A request that was sent and got nothing back but the end is counted apart: it has crossed
//! the server's close on its way, and may be asked once more.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use h2::client::SendRequest;
use rustix::net::{RecvFlags, recv};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::kit::PATIENCE;

/// How many clients there are of each kind.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Crowd {
    /// That rest most of the time, over HTTP/1 and HTTP/2.
    pub(crate) resting: (usize, usize),
    /// That ask without a pause, over HTTP/1 and HTTP/2.
    pub(crate) active: (usize, usize),
    /// For how long the first rest; the moment at which a handler that leaves closes is among them.
    pub(crate) rest: Duration,
}

/// How many requests of one connection of HTTP/2 are under way at once.
const STREAMS: u64 = 3;

/// What became of all that they asked.
#[derive(Debug, Default)]
pub(crate) struct Books {
    pub(crate) answered: AtomicUsize,
    /// Connections that were opened.
    pub(crate) opened: AtomicUsize,
    /// Connections that were found closed before anything was asked.
    pub(crate) left: AtomicUsize,
    /// Requests that GOAWAY says were not processed.
    pub(crate) turned_back: AtomicUsize,
    /// Requests that met the end of their connection on the way.
    pub(crate) crossed: AtomicUsize,
    failed: Mutex<Vec<String>>,
    ids: AtomicUsize,
    over: AtomicBool,
}

impl Books {
    pub(crate) fn count(of: &AtomicUsize) -> usize {
        of.load(Ordering::Relaxed)
    }

    fn add(to: &AtomicUsize) {
        to.fetch_add(1, Ordering::Relaxed);
    }

    fn fail(&self, why: String) {
        self.failed.lock().unwrap().push(why);
    }

    #[track_caller]
    pub(crate) fn assert_nothing_failed(&self) {
        let failed = self.failed.lock().unwrap();
        let some: Vec<_> = failed.iter().take(5).collect();
        assert!(failed.is_empty(), "{} failed, as {some:?}; {self}", failed.len());
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    fn next_path(&self) -> (usize, String) {
        let id = self.ids.fetch_add(1, Ordering::Relaxed);
        (id, format!("/{id}"))
    }
}

impl std::fmt::Display for Books {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [answered, opened, left, turned_back, crossed] =
            [&self.answered, &self.opened, &self.left, &self.turned_back, &self.crossed]
                .map(Self::count);
        write!(
            f,
            "{answered} answers over {opened} connections; {left} found closed, {turned_back} turned \
             back, {crossed} crossed a close"
        )
    }
}

/// Ends the clients, also when what was done beside them panics.
struct Ending<'a>(&'a Books);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.over.store(true, Ordering::Relaxed);
    }
}

impl Crowd {
    /// Does something while they ask; returns their books.
    pub(crate) fn beside(self, server: SocketAddr, work: impl FnOnce(&Books)) -> Arc<Books> {
        let books = Arc::<Books>::default();
        thread::scope(|scope| {
            let clients = scope.spawn(|| self.ask(server, &books));
            let ending = Ending(&books);
            work(&books);
            drop(ending);
            clients.join().expect("the clients panicked");
        });
        books.assert_nothing_failed();
        books
    }

    fn ask(self, server: SocketAddr, books: &Arc<Books>) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (first, second) = self.resting;
            let pauses = |many: usize| {
                // A little more each, so that they do not ask all at once.
                (0..many).map(move |it| {
                    Some(self.rest + self.rest * u32::try_from(it % 16).unwrap() / 64)
                })
            };
            let (one, two) = self.active;
            let firsts = pauses(first).chain((0..one).map(|_| None));
            let seconds = pauses(second).chain((0..two).map(|_| None));
            let mut clients: Vec<_> = firsts
                .map(|pause| tokio::spawn(first_version(server, Arc::clone(books), pause)))
                .collect();
            clients.extend(
                seconds.map(|pause| tokio::spawn(second_version(server, Arc::clone(books), pause))),
            );
            for client in clients {
                client.await.unwrap();
            }
        });
    }
}

/// Lets a client rest, but not beyond the end.
async fn rest(pause: Option<Duration>, books: &Books) {
    let Some(mut left) = pause else { return tokio::task::yield_now().await };
    while !left.is_zero() && !books.is_over() {
        let piece = left.min(Duration::from_millis(100));
        sleep(piece).await;
        left -= piece;
    }
}

async fn connect(server: SocketAddr, books: &Books) -> Option<TcpStream> {
    Books::add(&books.opened);
    match TcpStream::connect(server).await {
        Ok(stream) => stream.set_nodelay(true).map(|()| stream).ok(),
        Err(error) => {
            books.fail(format!("connect: {error}"));
            None
        }
    }
}

/// A client of HTTP/1 with a connection that it keeps as long as it may.
async fn first_version(server: SocketAddr, books: Arc<Books>, pause: Option<Duration>) {
    let mut kept: Option<TcpStream> = None;
    while !books.is_over() {
        if kept.as_ref().is_some_and(is_closed) {
            Books::add(&books.left);
            kept = None;
        }
        let is_new = kept.is_none();
        let stream = match kept.take() {
            Some(stream) => Some(stream),
            None => connect(server, &books).await,
        };
        let Some(mut stream) = stream else { return };
        match timeout(PATIENCE, ask_over(&mut stream, &books)).await {
            Ok(Ok(closes)) => {
                Books::add(&books.answered);
                kept = (!closes).then_some(stream);
                rest(pause, &books).await;
            }
            // Nothing came, over a connection that had answered before.
            Ok(Err((_, 0))) if !is_new => Books::add(&books.crossed),
            Ok(Err((error, got))) => books.fail(format!("HTTP/1 after {got} bytes: {error}")),
            Err(_) => books.fail("HTTP/1: no answer in time".into()),
        }
    }
}

/// Tells whether the server has closed; what the runtime knows of it may be old.
fn is_closed(stream: &TcpStream) -> bool {
    let looked = recv(stream, &mut [0; 1], RecvFlags::PEEK | RecvFlags::DONTWAIT);
    looked != Err(rustix::io::Errno::AGAIN)
}

/// Asks and reads the answer; returns whether the server closes after it, or what went wrong and
/// after how many bytes of the answer.
async fn ask_over(stream: &mut TcpStream, books: &Books) -> Result<bool, (io::Error, usize)> {
    let (id, path) = books.next_path();
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
    let mut answer = Vec::new();
    let asked = stream.write_all(request.as_bytes()).await;
    let read = match asked {
        Ok(()) => read_answer(stream, &mut answer).await,
        Err(error) => Err(error),
    };
    let text = String::from_utf8_lossy(&answer).to_ascii_lowercase();
    match read {
        Ok(()) if text.contains(&format!("\r\n\r\n{id} ")) => {
            Ok(text.contains("connection: close\r\n"))
        }
        Ok(()) => Err((io::Error::other(text), answer.len())),
        Err(error) => Err((error, answer.len())),
    }
}

async fn read_answer(stream: &mut TcpStream, answer: &mut Vec<u8>) -> io::Result<()> {
    loop {
        if stream.read_buf(answer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let text = String::from_utf8_lossy(answer);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if length.is_some_and(|it| it.parse() == Ok(body.len())) {
                return Ok(());
            }
        }
    }
}

/// A client of HTTP/2, which asks several things at once.
async fn second_version(server: SocketAddr, books: Arc<Books>, pause: Option<Duration>) {
    while !books.is_over() {
        let Some(stream) = connect(server, &books).await else { return };
        let (sender, connection) = match h2::client::handshake(stream).await {
            Ok(both) => both,
            Err(error) => return books.fail(format!("HTTP/2: handshake: {error}")),
        };
        let driver = tokio::spawn(connection);
        let streams = if pause.is_some() { 1 } else { STREAMS };
        let workers: Vec<_> = (0..streams)
            .map(|_| tokio::spawn(streamed(sender.clone(), Arc::clone(&books), pause)))
            .collect();
        drop(sender);
        for worker in workers {
            worker.await.unwrap();
        }
        driver.abort();
    }
}

/// Asks over a connection of HTTP/2, one after the other, as long as it takes anything.
async fn streamed(sender: SendRequest<Bytes>, books: Arc<Books>, pause: Option<Duration>) {
    while !books.is_over() {
        let Ok(mut sender) = sender.clone().ready().await else {
            return Books::add(&books.left);
        };
        match timeout(PATIENCE, ask_by(&mut sender, &books)).await {
            Ok(Ok(())) => Books::add(&books.answered),
            Ok(Err(error)) if is_turned_back(&error) => return Books::add(&books.turned_back),
            Ok(Err(error)) => return books.fail(format!("HTTP/2: {error:?}")),
            Err(_) => return books.fail("HTTP/2: no answer in time".into()),
        }
        rest(pause, &books).await;
    }
}

async fn ask_by(sender: &mut SendRequest<Bytes>, books: &Books) -> Result<(), h2::Error> {
    let (id, path) = books.next_path();
    let request = http::Request::get(format!("http://x{path}")).body(()).unwrap();
    let (answer, _) = sender.send_request(request, true)?;
    let mut body = answer.await?.into_body();
    let mut text = Vec::new();
    while let Some(piece) = body.data().await {
        text.extend(piece?);
    }
    assert!(String::from_utf8_lossy(&text).starts_with(&format!("{id} ")), "{text:?}");
    Ok(())
}

/// Whether the server has said that it did not process a request.
fn is_turned_back(error: &h2::Error) -> bool {
    let refused = error.is_reset() && error.reason() == Some(h2::Reason::REFUSED_STREAM);
    refused
        || error.is_go_away() && error.is_remote() && error.reason() == Some(h2::Reason::NO_ERROR)
}
