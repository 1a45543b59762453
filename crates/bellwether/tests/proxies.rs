//! A server behind proxies, and what peers can make it believe.
#![cfg(feature = "http")]
#![allow(
    clippy::unwrap_used,
    reason = "all of it is test code, but clippy sees that only in functions marked #[test]"
)]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;

use kit::{Launch, PATIENCE, Run, eventually, example};

mod kit;

const CLOSING: &str = "GET /client HTTP/1.1\r\nHost: own.example\r\nConnection: close\r\n";
const FORGED: &str = "X-Forwarded-For: 203.0.113.9\r\nX-Forwarded-Proto: https\r\n\
    X-Forwarded-Host: evil.example\r\nX-Real-IP: 203.0.113.9\r\n\
    Forwarded: for=203.0.113.9;proto=https;host=evil.example\r\n";
const PREFACE: &[u8] = b"PROXY TCP4 192.0.2.7 192.0.2.2 4711 443\r\n";
const LOCAL: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";

fn server(words: &[&str]) -> Run {
    let run = Launch::of(example("web")).args(["127.0.0.1:0", "handlers=1"]).args(words).start();
    run.wait_ready(1);
    run
}

fn finish(mut run: Run) {
    assert!(run.stop().success());
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// All that comes back; nothing where the connection is just closed.
fn rest(mut stream: impl Read) -> String {
    let mut text = Vec::new();
    match stream.read_to_end(&mut text) {
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => {}
        Err(error) => panic!("neither an answer nor an end: {error}"),
    }
    String::from_utf8_lossy(&text).into_owned()
}

/// What the server answers to these bytes, in pieces: its status and the text.
fn said(run: &Run, bytes: &[u8], piece: usize) -> String {
    let mut stream = connect(run.socket_addr());
    for piece in bytes.chunks(piece) {
        if stream.write_all(piece).is_err() {
            break; // it closes before all is sent
        }
    }
    outcome(&rest(stream))
}

fn outcome(answer: &str) -> String {
    let Some((head, text)) = answer.split_once("\r\n\r\n") else { return answer.into() };
    let status = head.split(' ').nth(1).unwrap();
    format!("{status} {text}")
}

fn request(before: &[u8], headers: &str) -> Vec<u8> {
    [before, CLOSING.as_bytes(), headers.as_bytes(), b"\r\n"].concat()
}

#[test]
fn a_peer_that_is_not_trusted_can_say_nothing_about_itself() {
    for kind in ["none", "forwarded", "x-forwarded"] {
        let headers = format!("proxy-headers={kind}");
        let run = server(&["trust=127.0.0.2", "trust=unix", "proxy-protocol=on", &headers]);
        let plain = "200 127.0.0.1 http own.example Kernel []";
        assert_eq!(said(&run, &request(b"", FORGED), usize::MAX), plain, "{kind}");
        for begun in [PREFACE, LOCAL, b"PROXY UNKNOWN\r\n"] {
            let answer = said(&run, &request(begun, ""), usize::MAX);
            assert!(answer.is_empty() || answer.starts_with("400 "), "{kind}: {answer}");
        }
        assert_eq!(run.stderr().matches("PROXY header").count(), 0, "{}", run.stderr());
        finish(run);
    }
}

#[test]
fn a_proxy_header_names_the_client_however_it_comes() {
    let run = server(&["trust=loopback", "proxy-protocol=on"]);
    let named = "200 192.0.2.7 http own.example Preface []";
    let second = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x13\xc0\0\x02\x07\xc0\0\x02\x02\x12\x67\x01\xbb\
        \x04\0\x04\0\0\0\0";
    for piece in [usize::MAX, 1, 20] {
        assert_eq!(said(&run, &request(PREFACE, FORGED), piece), named);
        assert_eq!(said(&run, &request(second, FORGED), piece), named);
        let local = "200 127.0.0.1 http own.example Kernel []";
        assert_eq!(said(&run, &request(LOCAL, FORGED), piece), local);
        assert_eq!(said(&run, &request(b"PROXY UNKNOWN x\r\n", FORGED), piece), local);
    }
    finish(run);
}

#[test]
fn it_holds_for_all_requests_of_a_connection() {
    let run = server(&["trust=loopback", "proxy-protocol=on"]);
    let kept = CLOSING.replace("close", "keep-alive") + "\r\n";
    let twice = [PREFACE, kept.as_bytes(), CLOSING.as_bytes(), b"\r\n"].concat();
    let mut stream = connect(run.socket_addr());
    stream.write_all(&twice).unwrap();
    assert_eq!(rest(stream).matches("192.0.2.7 http own.example Preface").count(), 2);
    finish(run);
}

#[test]
fn a_trusted_peer_that_begins_otherwise_is_closed_and_the_operator_is_told() {
    let run = server(&["trust=loopback", "proxy-protocol=on", "head=1000"]);
    let plain = request(b"", "");
    let broken = request(b"PROXY TCP4 192.0.2.7 192.0.2.2 4711\r\n", "");
    for begun in [&plain[..], &broken, b"\x16\x03\x01", b"PRI * HTTP/2.0\r\n\r\n"] {
        assert_eq!(said(&run, begun, usize::MAX), "");
    }
    // Nothing, and half a header: they are closed after their time.
    for begun in [&b""[..], b"PROXY TCP4 192."] {
        assert_eq!(said(&run, begun, usize::MAX), "");
    }
    drop(connect(run.socket_addr()));
    let told = run.stderr();
    let lines: Vec<_> = told.lines().filter(|line| line.contains("PROXY header")).collect();
    assert!((1..=3).contains(&lines.len()), "{told}");
    for words in ["127.0.0.1:", "began with something else", "send-proxy-v2"] {
        assert!(lines[0].contains(words), "{words} is missing: {told}");
    }
    assert_eq!(said(&run, &request(PREFACE, ""), usize::MAX).get(..13), Some("200 192.0.2.7"));
    finish(run);
}

#[test]
fn headers_of_a_trusted_peer_are_believed_if_they_are_of_the_chosen_kind() {
    let check = |kind: &str, expected: &str| {
        let run = server(&["trust=loopback", &format!("proxy-headers={kind}")]);
        assert_eq!(said(&run, &request(b"", FORGED), usize::MAX), expected);
        finish(run);
    };
    check("forwarded", "200 203.0.113.9 https evil.example Headers [\"forwarded\"]");
    let names = "[\"x-forwarded-for\", \"x-forwarded-proto\", \"x-forwarded-host\"]";
    check("x-forwarded", &format!("200 203.0.113.9 https evil.example Headers {names}"));
}

#[test]
fn a_unix_socket_is_trusted_by_its_name() {
    let launch = Launch::of(example("web"));
    let socket = launch.path("web.sock");
    let listen = format!("unix:{}", socket.display());
    let words = ["handlers=1", "trust=unix", "proxy-protocol=on", "proxy-headers=x-forwarded"];
    let run = launch.arg(listen).args(words).start();
    run.wait_ready(1);
    let ask = |bytes: &[u8]| {
        let mut stream = UnixStream::connect(&socket).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(bytes).unwrap();
        outcome(&rest(stream))
    };
    let named = "200 192.0.2.7 http own.example Preface []";
    assert_eq!(ask(&request(PREFACE, FORGED)), named);
    assert_eq!(ask(&request(LOCAL, FORGED)), "200 - http own.example Kernel []");
    assert_eq!(ask(&request(b"", FORGED)), "");
    eventually(PATIENCE, "the complaint", || run.stderr().contains("a Unix socket").then_some(()));
    finish(run);
}

#[test]
fn without_proxies_nothing_is_touched() {
    let run = server(&[]);
    assert_eq!(said(&run, &request(b"", FORGED), usize::MAX), "200 nobody said");
    finish(run);
}

#[test]
fn settings_that_believe_nobody_are_refused() {
    let words = ["127.0.0.1:0", "handlers=1", "trust=loopback"];
    let mut run = Launch::of(example("web")).args(words).start();
    assert_eq!(run.wait().code(), Some(78));
    assert!(run.stderr().contains("choose the PROXY protocol or headers"), "{}", run.stderr());
}
