//! Clients that use up their time: how each is told, and that its place is free again.
//!
//! Nothing here looks at a clock: a server is told short times, and each client waits for its end.

use std::io::Read;
use std::thread;

use crate::conversation::{Client, mirror};
use crate::frames::{
    END_HEADERS, END_STREAM, GET, GOAWAY, HEADERS, PING, POST, Peer, RST_STREAM, SETTINGS, frame,
};
use crate::kit::{Launch, PATIENCE, Run, eventually, example};

/// A server with short times, in milliseconds, and what else it is told.
fn server(words: &[&str]) -> Run {
    let run = Launch::of(example("web")).args(["127.0.0.1:0", "handlers=1"]).args(words).start();
    run.wait_ready(1);
    run
}

/// Waits until nobody is served any more.
fn all_are_gone(run: &Run) {
    eventually(PATIENCE, "every connection to end", || {
        (run.pool()["totals"]["in_flight"] == 0).then_some(())
    });
}

#[track_caller]
fn finish(mut run: Run) {
    all_are_gone(&run);
    assert!(run.stop().success());
}

#[test]
fn a_head_that_takes_too_long_gets_408_and_silence_nothing() {
    let run = mirror(&["head=1000"]);
    let address = run.socket_addr();
    let check = |sent: &str, expected: &str| {
        let mut client = Client::connect(address);
        client.send(sent.as_bytes(), usize::MAX);
        let words = client.words();
        assert!(words.starts_with(expected) && words.is_empty() == expected.is_empty(), "{words}");
    };
    thread::scope(|scope| {
        let cases = [
            ("", ""),
            ("PRI * HTTP/2.0\r\n", ""),
            ("G", "HTTP/1.1 408 Request Timeout\r\n"),
            ("GET / HTTP/1.1\r\nHost: a\r\n", "HTTP/1.1 408 Request Timeout\r\n"),
        ];
        for (sent, expected) in cases {
            scope.spawn(move || check(sent, expected));
        }
    });
    let mut kept = Client::connect(address);
    kept.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", usize::MAX);
    assert_eq!(kept.answer().as_deref(), Some("200 GET / @a"));
    kept.send(b"GET /2 HT", usize::MAX);
    assert!(kept.words().ends_with("\r\n\r\nthe head of the request took too long\n"));
    finish(run);
}

#[test]
fn a_client_that_drips_its_head_gets_no_more_time_for_it() {
    let run = mirror(&["head=1000"]);
    let mut client = Client::connect(run.socket_addr());
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\n", usize::MAX);
    let answer = eventually(PATIENCE, "the end of patience", || {
        client.send(b"X: y\r\n", usize::MAX);
        let mut first = [0; 12];
        client.stream().set_nonblocking(true).unwrap();
        let read = client.stream().peek(&mut first);
        client.stream().set_nonblocking(false).unwrap();
        read.ok().filter(|length| *length == 12).map(|_| first)
    });
    assert_eq!(&answer, b"HTTP/1.1 408");
    drop(client);
    finish(run);
}

#[test]
fn a_kept_connection_may_rest_for_a_while() {
    let run = mirror(&["idle=300"]);
    let mut kept = Client::connect(run.socket_addr());
    kept.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", usize::MAX);
    assert_eq!(kept.answer().as_deref(), Some("200 GET / @a"));
    assert_eq!(kept.answer(), None);
    let mut other = Peer::connect(run.socket_addr(), &[]);
    other.send(&frame(HEADERS, END_STREAM | END_HEADERS, 1, GET));
    assert!(other.until(|frame| frame.kind == HEADERS).is_some());
    // A ping is no request.
    other.send(&frame(PING, 0, 0, &[1; 8]));
    let away = other.until(|frame| frame.kind == GOAWAY).unwrap();
    assert_eq!(away.reason(), 0, "no error");
    assert_eq!(other.until(|frame| frame.kind == HEADERS), None);
    finish(run);
}

#[test]
fn a_request_that_takes_long_is_not_idle() {
    let mut run = server(&["idle=100", "write=100", "soft=1000"]);
    let mut client = Client::connect(run.socket_addr());
    client.send(b"GET /stuck HTTP/1.1\r\nHost: a\r\n\r\n", usize::MAX);
    assert_eq!(client.answer().as_deref(), Some("503"));
    drop(client);
    all_are_gone(&run);
    assert!(run.stop().success());
}

#[test]
fn a_body_that_does_not_come_gets_408_whatever_the_service_makes_of_it() {
    let run = mirror(&["body=300"]);
    for body in ["Content-Length: 9\r\n\r\nhe", "Transfer-Encoding: chunked\r\n\r\n9\r\nhe"] {
        let mut client = Client::connect(run.socket_addr());
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\n", usize::MAX);
        client.send(body.as_bytes(), usize::MAX);
        let words = client.words();
        assert!(words.starts_with("HTTP/1.1 408 Request Timeout\r\n"), "{words}");
        assert!(words.ends_with("the body of the request took too long\n"), "{words}");
    }
    let mut peer = Peer::connect(run.socket_addr(), &[]);
    let whole = frame(HEADERS, END_STREAM | END_HEADERS, 3, GET);
    peer.send(&[frame(HEADERS, END_HEADERS, 1, POST), whole].concat());
    let answers = [3, 1].map(|stream| {
        let answer = peer.until(|frame| frame.kind == HEADERS).unwrap();
        (answer.stream, answer.payload[0] == 0x88) == (stream, stream == 3)
    });
    assert_eq!(answers, [true; 2], "200 to the third, then another status to the first");
    drop(peer);
    finish(run);
}

#[test]
fn a_client_that_does_not_read_is_cut_off() {
    let run = server(&["write=300"]);
    let mut client = Client::connect(run.socket_addr());
    client.send(b"GET /big HTTP/1.1\r\nHost: a\r\n\r\n", usize::MAX);
    assert_eq!(client.stream().peek(&mut [0]).unwrap(), 1, "it is being answered");
    all_are_gone(&run);
    let mut all = Vec::new();
    let _ = client.stream().read_to_end(&mut all); // what lay in buffers, and then an end
    assert!(!all.is_empty() && all.len() < 64 << 20, "{}", all.len());
    finish(run);
}

#[test]
fn a_client_of_http_2_that_opens_no_window_is_cut_off() {
    // SETTINGS_INITIAL_WINDOW_SIZE: 0, and 1, with which the whole answer is handed out.
    for window in [0, 1] {
        let run = server(&["write=300"]);
        let mut peer = Peer::connect(run.socket_addr(), &[0, 4, 0, 0, 0, window]);
        peer.send(&frame(HEADERS, END_STREAM | END_HEADERS, 1, &get("/big")));
        assert!(peer.until(|frame| frame.kind == HEADERS).is_some());
        all_are_gone(&run);
        drop(peer);
        finish(run);
    }
}

#[test]
fn a_client_that_reads_slowly_has_all_in_the_end() {
    let run = server(&["write=10000"]);
    let mut client = Client::connect(run.socket_addr());
    client.send(b"GET /big HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", usize::MAX);
    let mut all = 0;
    let mut piece = vec![0; 4096];
    while let Ok(length @ 1..) = client.stream().read(&mut piece) {
        all += length;
    }
    assert!(all > 64 << 20, "{all}");
    finish(run);
}

#[test]
fn who_takes_back_request_after_request_is_told_to_go() {
    let run = server(&[]);
    let mut peer = Peer::connect(run.socket_addr(), &[]);
    let mut away = None;
    for number in 0..1000 {
        let stream = 2 * number + 1;
        peer.send(&frame(HEADERS, END_STREAM | END_HEADERS, stream, &get("/stuck")));
        // Each is taken up before it is taken back: a ping behind it is answered.
        peer.send(&frame(PING, 0, 0, &[0; 8]));
        let answer = peer.until(|frame| [PING, GOAWAY].contains(&frame.kind));
        if answer.as_ref().is_none_or(|frame| frame.kind == GOAWAY) {
            away = Some(number);
            break;
        }
        peer.send(&frame(RST_STREAM, 0, stream, &8u32.to_be_bytes()));
    }
    let away = away.expect("nobody minds");
    assert!((100..200).contains(&away), "after {away}");
    drop(peer);
    finish(run);
}

/// The fields of GET for a path.
fn get(path: &str) -> Vec<u8> {
    let length = u8::try_from(path.len()).unwrap();
    [&[0x82, 0x86, 0x04, length], path.as_bytes(), &[0x01, 1, b'a']].concat()
}

#[test]
fn settings_that_are_not_acknowledged_change_nothing() {
    let run = mirror(&["idle=300"]);
    let mut peer = Peer::connect(run.socket_addr(), &[]);
    peer.send(&frame(HEADERS, END_STREAM | END_HEADERS, 1, GET));
    let settings = peer.until(|frame| frame.kind == SETTINGS).unwrap();
    let announced = |id: u8| {
        let mut all = settings.payload.chunks(6).filter(|it| it[..2] == [0, id]);
        all.next().map(|it| u32::from_be_bytes(it[2..].try_into().unwrap()))
    };
    // MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE, MAX_HEADER_LIST_SIZE of RFC 9113, 6.5.2.
    assert_eq!([3, 4, 6].map(announced), [100, 256 << 10, 64 << 10].map(Some));
    assert!(peer.until(|frame| frame.kind == GOAWAY).is_some());
    drop(peer);
    finish(run);
}
