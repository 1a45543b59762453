//! Tests of the client: a server that fails on purpose, and what is booked.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use crate::kit::ledger::Outcome;
use crate::kit::load::{Load, Until, load};

/// Serves every connection in the same way, each on a thread, until the test ends.
fn server(serve: impl Fn(TcpStream) + Copy + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let each = move |stream| drop(thread::spawn(move || serve(stream)));
    thread::spawn(move || listener.incoming().flatten().for_each(each));
    address
}

/// Reads the request, then replies with a form in which `ID` stands for its id.
fn replying(form: &'static str) -> SocketAddr {
    server(move |mut stream| {
        let id = request(&stream);
        stream.write_all(form.replace("ID", &id).as_bytes()).unwrap();
    })
}

fn request(stream: &TcpStream) -> String {
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).unwrap();
    line.trim_end().to_owned()
}

/// A reset in place of the usual end.
fn reset(stream: TcpStream) {
    rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO)).unwrap();
    drop(stream);
}

#[track_caller]
fn check(address: SocketAddr, expected: Outcome) {
    let load = Load {
        address,
        clients: 2,
        until: Until::Requests(2),
        patience: Duration::from_millis(300),
        pace: Duration::ZERO,
    };
    let outcomes: Vec<_> = load.run().entries().map(|it| it.outcome).collect();
    assert_eq!(outcomes, [expected; 4]);
}

#[test]
fn each_reply_has_its_outcome() {
    check(replying("ID 4711\n"), Outcome::Ok(4711));
    check(replying(""), Outcome::ResetBeforeByte);
    check(replying("I"), Outcome::WrongBody);
    check(replying("ID"), Outcome::ResetAfterByte);
    check(replying("ID "), Outcome::ResetAfterByte);
    check(replying("ID 47"), Outcome::ResetAfterByte);
    check(replying("ID x"), Outcome::WrongBody);
    check(replying("ID 4711\nID 4711\n"), Outcome::WrongBody);
    check(replying("0 4711\n"), Outcome::WrongBody);
    check(replying("HTTP/1.1 200 OK\r\n\r\n"), Outcome::WrongBody);
}

#[test]
fn a_reset_is_a_cut_and_not_an_error_of_the_client() {
    check(server(reset), Outcome::ResetBeforeByte);
    let late = server(|mut stream| {
        let id = request(&stream);
        stream.write_all(id.as_bytes()).unwrap();
        reset(stream);
    });
    check(late, Outcome::ResetAfterByte);
}

#[test]
fn silence_is_a_timeout_even_after_a_whole_reply() {
    let silent = server(|mut stream| drop(stream.read_to_end(&mut Vec::new())));
    check(silent, Outcome::Timeout);
    let open = server(|mut stream| {
        let id = request(&stream);
        writeln!(stream, "{id} 4711").unwrap();
        stream.read_to_end(&mut Vec::new()).ok();
    });
    check(open, Outcome::Timeout);
}

#[test]
fn nobody_there_is_refused() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    check(address, Outcome::Refused);
}

#[test]
fn a_load_ends_and_every_id_is_its_own() {
    let address = replying("ID 1\n");
    let mut ledger = load(address, 3, Until::Requests(5));
    assert_eq!(ledger.len(), 15);
    let timed = load(address, 1, Until::Time(Instant::now() + Duration::from_millis(20)));
    assert!(!timed.is_empty());
    let sum = ledger.len() + timed.len();
    ledger.merge(timed);
    assert_eq!(ledger.len(), sum);
    assert!(ledger.entries().all(|it| it.is_answered() && it.began <= it.ended));
}
