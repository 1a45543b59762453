//! Clients that take their time, or send too much, and who is served beside them.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;

use crate::clients::{Reply, connect, raw};
use crate::kit::{PATIENCE, Run, eventually};
use crate::stage::serve_site;

fn site(flags: &[&str]) -> Run {
    serve_site(flags, |site| {
        fs::write(site.join("page"), "text").unwrap();
        fs::write(site.join("large"), vec![b'x'; 32 << 20]).unwrap();
    })
}

/// Sends something and reads to the end.
fn said(run: &Run, bytes: &str) -> String {
    let mut stream = connect(run);
    stream.write_all(bytes.as_bytes()).unwrap();
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    answer
}

#[test]
fn flags_say_how_much_may_be_sent() {
    let mut run = site(&["--max-target", "100", "--max-head", "1KiB", "--max-body", "1KiB"]);
    let check = |request: String, status: u16, words: &str| {
        let reply = Reply::read(said(&run, &request).as_bytes());
        assert_eq!((reply.status, reply.text().contains(words)), (status, true), "{request}");
    };
    let long = "a".repeat(1000);
    check(format!("GET /{long} HTTP/1.1\r\nHost: x\r\n\r\n"), 414, "may have 100 bytes");
    check(format!("GET / HTTP/1.1\r\nHost: {long}{long}\r\n\r\n"), 431, "may have 1024 bytes");
    let upload = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1025\r\n\r\n";
    check(format!("{upload}{long}"), 413, "may have 1024 bytes");
    check("GET /page HTTP/1.1\r\n\r\n".into(), 400, "must name its host");
    assert_eq!(run.stop().code(), Some(0));
}

#[test]
fn an_upload_that_nobody_wants_is_answered_though_it_was_not_read() {
    let mut run = site(&[]);
    let head = "POST /page HTTP/1.1\r\nHost: x\r\nContent-Length: 9000000\r\n\r\n";
    let answer = said(&run, &format!("{head}{}", "x".repeat(9_000_000)));
    assert!(answer.starts_with("HTTP/1.1 405 "), "{answer}");
    assert_eq!(run.stop().code(), Some(0));
}

#[test]
fn a_thousand_ranges_are_no_more_work_than_one() {
    let mut run = site(&[]);
    let ranges: Vec<_> = (0..1000).map(|number| format!("5-{number}")).collect();
    let reply = raw(&run, "GET /large", &format!("Range: bytes=0-,{}\r\n", ranges.join(",")));
    assert!([200, 416].contains(&reply.status), "{}", reply.status);
    assert_eq!(run.stop().code(), Some(0));
}

/// Clients of one kind, at once: what each says, and so many.
fn crowd(run: &Run, says: &str, count: usize) -> Vec<TcpStream> {
    let one = || {
        let mut stream = connect(run);
        stream.write_all(says.as_bytes()).unwrap();
        stream
    };
    (0..count).map(|_| one()).collect()
}

#[test]
fn slow_clients_take_nobody_his_place_and_lose_their_own() {
    let mut run = site(&["--head-timeout", "4s", "--idle-timeout", "2s", "--write-timeout", "2s"]);
    let crowds = [
        crowd(&run, "GET /page HTTP/1.1\r\nHost: x\r\nX-", 200),
        crowd(&run, "POST /page HTTP/1.1\r\nHost: x\r\nContent-Length: 8192\r\n\r\nslow", 100),
        crowd(&run, "GET /large HTTP/1.1\r\nHost: x\r\n\r\n", 100),
        crowd(&run, "GET /page HTTP/1.1\r\nHost: x\r\n\r\n", 100),
    ];
    let alone = || run.pool()["totals"]["in_flight"] == 0;
    eventually(PATIENCE, "the crowd to be gone", || {
        assert_eq!(raw(&run, "GET /page", "").text(), "text");
        alone().then_some(())
    });
    drop(crowds);
    assert_eq!(run.stop().code(), Some(0));
}
