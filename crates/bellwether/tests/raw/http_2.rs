//! What is no HTTP/2, and what a request over it must not be (RFC 9113, 3.4 to 8).

use std::net::SocketAddr;

use crate::conversation::mirror;
use crate::frames::{
    ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, GET, GOAWAY, HEADERS, PING, POST, PREFACE,
    Peer, RST_STREAM, SETTINGS, WINDOW_UPDATE, field, frame,
};

// Reasons of RFC 9113, 7.
const PROTOCOL_ERROR: u32 = 1;
const FLOW_CONTROL_ERROR: u32 = 3;
const FRAME_SIZE_ERROR: u32 = 6;

/// What becomes of frames behind the preface.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Outcome {
    /// The request of stream 1 has this status.
    Status(&'static str),
    /// Stream 1 was ended for this reason.
    Reset(u32),
    /// The connection was ended for this reason.
    Away(u32),
    /// The connection was ended without a word.
    Closed,
}

use Outcome::{Away, Closed, Reset, Status};

/// Sends and reads until there is an answer to any of it.
fn outcome(address: SocketAddr, sent: &[u8]) -> Outcome {
    let mut peer = Peer::silent(address);
    peer.send(sent);
    loop {
        let Some(frame) = peer.frame() else { return Closed };
        match frame.kind {
            GOAWAY => return Away(frame.reason()),
            RST_STREAM => return Reset(frame.reason()),
            HEADERS => return status(&frame.payload),
            _ => {}
        }
    }
}

/// The first field of an answer: `:status`, one of the static fields 8 to 14, or in words.
fn status(fields: &[u8]) -> Outcome {
    let known = ["200", "204", "206", "304", "400", "404", "500"];
    let index = usize::from(fields[0] & 0x7f);
    let said = ["413", "414", "431", "501"];
    match known.get(index.wrapping_sub(8)).filter(|_| fields[0] >= 0x80) {
        Some(status) => Status(status),
        // Literal, perhaps in the code of RFC 7541, appendix B; its digits have five or six bits.
        None => Status(said.into_iter().find(|it| huffman(it) == fields[2..4]).unwrap_or("other")),
    }
}

/// Three digits in the code of RFC 7541, appendix B, filled up with ones.
fn huffman(digits: &str) -> [u8; 2] {
    let mut bits = (0u32, 0);
    for digit in digits.bytes() {
        let (code, length) = match digit {
            b'0'..=b'2' => (u32::from(digit - b'0'), 5),
            _ => (0x19 + u32::from(digit - b'3'), 6),
        };
        bits = (bits.0 << length | code, bits.1 + length);
    }
    let filled = bits.0 << (32 - bits.1) | (u32::MAX >> bits.1);
    let [first, second, ..] = filled.to_be_bytes();
    [first, second]
}

/// Checks a table of names, what is sent behind the preface, and what becomes of it.
#[track_caller]
fn check(rows: &[(&str, Vec<u8>, Outcome)]) {
    let mut run = mirror(&["target-bytes=100", "head-bytes=1024", "body-bytes=10"]);
    let mut wrong = String::new();
    for (name, sent, expected) in rows {
        let came = outcome(run.socket_addr(), sent);
        if came != *expected {
            wrong += &format!("{name}: {expected:?}, but {came:?}\n");
        }
    }
    assert_eq!(wrong, "", "{wrong}");
    assert!(run.stop().success());
}

/// The preface, settings, and then these frames.
fn begun(frames: &[Vec<u8>]) -> Vec<u8> {
    [PREFACE, &frame(SETTINGS, 0, 0, &[]), &frames.concat()].concat()
}

fn headers(fields: &[&[u8]]) -> Vec<u8> {
    begun(&[frame(HEADERS, END_STREAM | END_HEADERS, 1, &fields.concat())])
}

/// A request with a body of these frames.
fn posted(more: &[u8], body: &[Vec<u8>]) -> Vec<u8> {
    let head = frame(HEADERS, END_HEADERS, 1, &[POST, more].concat());
    begun(&[vec![head], body.to_vec()].concat())
}

#[test]
fn how_it_begins() {
    let settings = frame(SETTINGS, 0, 0, &[]);
    let get = frame(HEADERS, END_STREAM | END_HEADERS, 1, GET);
    check(&[
        ("as it should", begun(std::slice::from_ref(&get)), Status("200")),
        // RFC 9113, 3.4 wants settings first; h2 takes the defaults until some come.
        ("settings last", [PREFACE, &get, &settings].concat(), Status("200")),
        ("no settings", [PREFACE, &get].concat(), Status("200")),
        ("twice the preface", [PREFACE, &settings, PREFACE].concat(), Away(FRAME_SIZE_ERROR)),
        ("a frame too large", begun(&[frame(DATA, 0, 1, &[0; 16_385])]), Away(FRAME_SIZE_ERROR)),
        ("settings of a stream", begun(&[frame(SETTINGS, 0, 1, &[])]), Away(PROTOCOL_ERROR)),
        ("settings cut off", begun(&[frame(SETTINGS, 0, 0, &[0; 5])]), Away(PROTOCOL_ERROR)),
        ("an ACK with settings", begun(&[frame(SETTINGS, ACK, 0, &[0; 6])]), Away(PROTOCOL_ERROR)),
        (
            "a window beyond all",
            begun(&[frame(SETTINGS, 0, 0, &[0, 4, 255, 255, 255, 255])]),
            Away(PROTOCOL_ERROR),
        ),
        (
            "an unknown setting",
            begun(&[frame(SETTINGS, 0, 0, &[9, 9, 0, 0, 0, 0]), get.clone()]),
            Status("200"),
        ),
        ("an unknown frame", begun(&[frame(99, 0, 0, b"what?"), get.clone()]), Status("200")),
        ("a ping cut off", begun(&[frame(PING, 0, 0, &[0; 7])]), Away(PROTOCOL_ERROR)),
        ("a ping of a stream", begun(&[frame(PING, 0, 1, &[0; 8])]), Away(PROTOCOL_ERROR)),
    ]);
}

#[test]
fn streams_and_windows() {
    let get = |stream| frame(HEADERS, END_STREAM | END_HEADERS, stream, GET);
    let window = |stream, more: u32| frame(WINDOW_UPDATE, 0, stream, &more.to_be_bytes());
    check(&[
        ("stream 0", begun(&[get(0)]), Away(PROTOCOL_ERROR)),
        ("an even stream", begun(&[get(2)]), Away(PROTOCOL_ERROR)),
        ("a stream that goes back", begun(&[get(5), get(3)]), Away(PROTOCOL_ERROR)),
        ("data of an idle stream", begun(&[frame(DATA, 0, 1, b"x")]), Away(PROTOCOL_ERROR)),
        ("data of stream 0", begun(&[frame(DATA, 0, 0, b"x")]), Away(PROTOCOL_ERROR)),
        (
            "a reset of an idle stream",
            begun(&[frame(RST_STREAM, 0, 1, &[0; 4])]),
            Away(PROTOCOL_ERROR),
        ),
        ("no more window", begun(&[window(0, 0)]), Away(PROTOCOL_ERROR)),
        ("a window beyond all", begun(&[window(0, 0x7fff_ffff)]), Away(FLOW_CONTROL_ERROR)),
    ]);
}

#[test]
fn heads_and_bodies_in_frames() {
    let get = |stream| frame(HEADERS, END_STREAM | END_HEADERS, stream, GET);
    check(&[
        (
            "a continuation of nothing",
            begun(&[frame(CONTINUATION, END_HEADERS, 1, GET)]),
            Away(PROTOCOL_ERROR),
        ),
        (
            "a head cut off by another frame",
            begun(&[frame(HEADERS, 0, 1, GET), get(3)]),
            Away(PROTOCOL_ERROR),
        ),
        (
            "a head that another stream goes on with",
            begun(&[frame(HEADERS, 0, 1, GET), frame(CONTINUATION, END_HEADERS, 3, &[])]),
            Away(PROTOCOL_ERROR),
        ),
        (
            "a head in two",
            begun(&[
                frame(HEADERS, END_STREAM, 1, &GET[..2]),
                frame(CONTINUATION, END_HEADERS, 1, &GET[2..]),
            ]),
            Status("200"),
        ),
        (
            "padding longer than its frame",
            begun(&[frame(HEADERS, 0x8 | END_HEADERS, 1, &[9, 0x82])]),
            Away(PROTOCOL_ERROR),
        ),
        (
            "a stream that depends on itself",
            begun(&[frame(
                HEADERS,
                0x20 | END_STREAM | END_HEADERS,
                1,
                &[&[0, 0, 0, 1, 0], GET].concat(),
            )]),
            Reset(PROTOCOL_ERROR),
        ),
        (
            "a push by the client",
            begun(&[frame(5, END_HEADERS, 1, &[0, 0, 0, 2])]),
            Away(PROTOCOL_ERROR),
        ),
        // RFC 9113 has other reasons for these (5, 9 and 9); that they are errors is what counts.
        (
            "data behind the end",
            posted(&[], &[frame(DATA, END_STREAM, 1, b"x"), frame(DATA, 0, 1, b"y")]),
            Away(PROTOCOL_ERROR),
        ),
        ("fields that no table has", headers(&[&[0xff, 0xff, 0xff]]), Away(PROTOCOL_ERROR)),
        ("fields cut off", headers(&[&[0x82, 0x00, 9]]), Away(PROTOCOL_ERROR)),
    ]);
}

#[test]
fn requests_that_are_none() {
    let ok = |name: &str, value: &str| headers(&[GET, &field(name, value)]);
    check(&[
        ("a field", ok("x", "y"), Status("200")),
        // To RFC 9113, 8.1.1 these are errors of the stream; h2 ends the connection, as it may (5.4.2).
        ("a name with capitals", ok("X", "y"), Away(PROTOCOL_ERROR)),
        ("a name with a space", ok("x y", "z"), Away(PROTOCOL_ERROR)),
        ("a value with CR LF", ok("x", "y\r\nz: w"), Away(PROTOCOL_ERROR)),
        ("a value with NUL", ok("x", "y\0"), Away(PROTOCOL_ERROR)),
        ("an unknown pseudo field", ok(":what", "x"), Away(PROTOCOL_ERROR)),
        ("connection: close", ok("connection", "close"), Reset(PROTOCOL_ERROR)),
        ("transfer-encoding: chunked", ok("transfer-encoding", "chunked"), Reset(PROTOCOL_ERROR)),
        ("keep-alive", ok("keep-alive", "9"), Reset(PROTOCOL_ERROR)),
        ("upgrade", ok("upgrade", "h2c"), Reset(PROTOCOL_ERROR)),
        ("proxy-connection", ok("proxy-connection", "close"), Reset(PROTOCOL_ERROR)),
        ("te: trailers", ok("te", "trailers"), Status("200")),
        ("te: gzip", ok("te", "gzip"), Reset(PROTOCOL_ERROR)),
        ("a pseudo field of answers", ok(":status", "200"), Reset(PROTOCOL_ERROR)),
        (
            "a pseudo field last",
            headers(&[&GET[..2], &field("x", "y"), &GET[2..]]),
            Reset(PROTOCOL_ERROR),
        ),
        ("twice the method", headers(&[&[0x83], GET]), Reset(PROTOCOL_ERROR)),
        ("no method", headers(&[&GET[1..]]), Reset(PROTOCOL_ERROR)),
        ("no scheme", headers(&[&[0x82, 0x84]]), Reset(PROTOCOL_ERROR)),
        // RFC 9113, 8.3.1 wants one; the service sees `/`, as for an empty one in HTTP/1.
        ("no path", headers(&[&[0x82, 0x86]]), Status("200")),
        ("an empty path", headers(&[&[0x82, 0x86], &field(":path", "")]), Reset(PROTOCOL_ERROR)),
        (
            "a path without a slash",
            headers(&[&[0x82, 0x86], &field(":path", "a")]),
            Reset(PROTOCOL_ERROR),
        ),
        ("a host that is the authority", ok("host", "a"), Status("200")),
        ("a host that is another", ok("host", "b"), Status("400")),
        ("no authority and no host", headers(&[&GET[..3]]), Status("200")),
        ("no authority and a host", headers(&[&GET[..3], &field("host", "b")]), Status("200")),
        (
            "no authority and two hosts",
            headers(&[&GET[..3], &field("host", "b"), &field("host", "b")]),
            Status("400"),
        ),
    ]);
}

#[test]
fn bodies_and_sizes() {
    let data = |flags, bytes: &[u8]| frame(DATA, flags, 1, bytes);
    let length = |text: &str| field("content-length", text);
    let long = |count: usize| field("x", &"y".repeat(100)).repeat(count);
    check(&[
        ("a body", posted(&[], &[data(END_STREAM, b"hello")]), Status("200")),
        (
            "a body as long as it says",
            posted(&length("5"), &[data(END_STREAM, b"hello")]),
            Status("200"),
        ),
        (
            "a body shorter than it says",
            posted(&length("6"), &[data(END_STREAM, b"hello")]),
            Reset(PROTOCOL_ERROR),
        ),
        (
            "a body longer than it says",
            posted(&length("4"), &[data(END_STREAM, b"hello")]),
            Reset(PROTOCOL_ERROR),
        ),
        (
            "a length of nonsense",
            posted(&length("+5"), &[data(END_STREAM, b"hello")]),
            Reset(PROTOCOL_ERROR),
        ),
        ("a body too long by its word", posted(&length("11"), &[]), Status("413")),
        (
            "a body too long",
            posted(&[], &[data(0, b"0123456789"), data(END_STREAM, b"0")]),
            Status("413"),
        ),
        (
            "a target too long",
            headers(&[&GET[..2], &GET[3..], &field(":path", &format!("/{}", "a".repeat(100)))]),
            Status("414"),
        ),
        ("a head too long", headers(&[GET, &long(10)]), Status("431")),
        (
            "a head of 90 KB",
            begun(&[
                frame(HEADERS, END_STREAM, 1, &[GET, &long(140)].concat()),
                frame(CONTINUATION, 0, 1, &long(150)),
                frame(CONTINUATION, 0, 1, &long(150)),
                frame(CONTINUATION, 0, 1, &long(150)),
                frame(CONTINUATION, 0, 1, &long(150)),
                frame(CONTINUATION, END_HEADERS, 1, &long(150)),
            ]),
            Status("431"),
        ),
    ]);
}
