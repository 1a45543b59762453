//! A successor started with `--take-over`, beside clients that keep their connections.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::kit::run::Signal;
use crate::kit::{Launch, PATIENCE, Run};
use crate::stage::{PROGRAM, assert_refused, serving, text};

/// A client that keeps its connection for as long as the server does.
struct Loyal {
    address: SocketAddr,
    connection: Option<BufReader<TcpStream>>,
    connections: usize,
}

impl Loyal {
    fn to(address: SocketAddr) -> Self {
        Self { address, connection: None, connections: 0 }
    }

    /// Asks once. A kept connection may be closed just when it is used again; then, and only before
    /// the first byte of an answer, a client asks again on a new one (RFC 9112, 9.3.1).
    fn ask(&mut self) {
        if let Some(kept) = self.connection.take()
            && self.exchange(kept)
        {
            return;
        }
        let stream = TcpStream::connect(self.address).expect("nobody is refused");
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        self.connections += 1;
        assert!(self.exchange(BufReader::new(stream)), "a new connection is answered");
    }

    /// Sends one request and reads the answer; `false` when there is not one byte of it.
    fn exchange(&mut self, mut connection: BufReader<TcpStream>) -> bool {
        let request = b"GET /page.txt HTTP/1.1\r\nHost: x\r\n\r\n";
        if connection.get_mut().write_all(request).is_err() {
            return false;
        }
        let mut line = String::new();
        if !connection.read_line(&mut line).is_ok_and(|length| length > 0) {
            return false;
        }
        assert!(line.starts_with("HTTP/1.1 200"), "{line}");
        let (mut length, mut closes) = (0, false);
        while line != "\r\n" {
            line.clear();
            connection.read_line(&mut line).expect("the rest of the head");
            let field = line.trim_end().to_ascii_lowercase();
            closes |= field == "connection: close";
            if let Some(text) = field.strip_prefix("content-length: ") {
                length = text.parse().unwrap();
            }
        }
        connection.read_exact(&mut vec![0; length]).expect("the whole body");
        self.connection = (!closes).then_some(connection);
        true
    }
}

/// Kills the spawner; its orphans live on.
fn behead(run: &mut Run) {
    run.processes();
    run.signal(Signal::KILL);
    run.wait();
}

#[test]
fn clients_that_keep_their_connections_lose_no_request_while_a_successor_takes_over() {
    let launch = serving();
    let site = launch.path("site");
    std::fs::create_dir(&site).unwrap();
    std::fs::write(site.join("page.txt"), "from a file").unwrap();
    let mut run = launch.args([text(&site), "--orphan-grace", "4s"]).start();
    run.wait_ready(2);
    let address = run.socket_addr();
    let enough = Arc::new(AtomicBool::new(false));
    let client = || {
        let enough = Arc::clone(&enough);
        std::thread::spawn(move || {
            let (mut loyal, mut requests) = (Loyal::to(address), 0);
            while !enough.load(Ordering::Relaxed) {
                loyal.ask();
                requests += 1;
            }
            (requests, loyal.connections)
        })
    };
    let clients: Vec<_> = std::iter::repeat_with(client).take(4).collect();
    behead(&mut run);
    let words = ["--listen", &address.to_string(), "--handlers", "2", "--take-over"];
    let successor = Launch::of(PROGRAM).beside(&run).args(["serve", text(&site)]);
    let mut successor = successor.args(words).start();
    successor.wait_ready(2);
    run.wait_gone();
    enough.store(true, Ordering::Relaxed);
    for client in clients {
        let (requests, connections) = client.join().expect("every request is answered");
        assert!(requests > connections, "{requests} requests over {connections} connections");
    }
    assert!(successor.stderr().contains("taken over from orphaned"), "{}", successor.stderr());
    assert_eq!(successor.stop().code(), Some(0));
}

#[test]
fn an_address_that_orphans_hold_is_refused_with_the_way_to_take_it_over() {
    let mut run = serving().start();
    run.wait_ready(2);
    let address = run.socket_addr().to_string();
    behead(&mut run);
    let mut second = Launch::of(PROGRAM).beside(&run).args(["serve", "--listen", &address]).start();
    assert_refused(&mut second, 69, &[&address, "orphaned handlers", "(process ", "--take-over"]);
}

#[test]
fn with_nobody_to_take_over_from_it_says_so_and_starts() {
    let mut run = serving().arg("--take-over").start();
    run.wait_ready(2);
    let said = run.stderr();
    // Orphans of another test may be there; of this address there are none.
    assert!(said.contains("nobody to take over from") || !said.contains("taken over"), "{said}");
    assert_eq!(run.stop().code(), Some(0));
}
