//! Floods of HTTP/2 frames: the memory of the handler stays bounded, and others are served meanwhile.

use std::fs;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::conversation::Client;
use crate::frames::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, GET, GOAWAY, HEADERS, PING, POST, Peer,
    RST_STREAM, SETTINGS, WINDOW_UPDATE, frame,
};
use crate::kit::{Launch, PATIENCE, Run, eventually, example};

/// How much more memory a flood may cost than a server that idles has, in KiB: several times what
/// the bounds of one connection come to, and a small part of what is sent.
const MEMORY: u64 = 16 << 10;

const ENHANCE_YOUR_CALM: u32 = 11;

/// Floods a server, and tells what the flood came to; meanwhile somebody else is served.
#[track_caller]
fn flood<T: Send>(words: &[&str], flood: impl FnOnce(SocketAddr) -> T + Send) -> T {
    let launch = Launch::of(example("web")).args(["127.0.0.1:0", "handlers=1"]).args(words);
    let mut run = launch.start();
    run.wait_ready(1);
    let address = run.socket_addr();
    served(address);
    let before = memory(&run);
    let over = AtomicBool::new(false);
    let outcome = thread::scope(|scope| {
        let flood = scope.spawn(|| {
            let outcome = flood(address);
            over.store(true, Ordering::Relaxed);
            outcome
        });
        let mut most = 0;
        while !over.load(Ordering::Relaxed) && !flood.is_finished() {
            served(address);
            most = most.max(memory(&run));
        }
        assert!(most < before + MEMORY, "{most} KiB, and {before} before");
        flood.join().unwrap()
    });
    served(address);
    eventually(PATIENCE, "the flood to be over", || {
        (run.pool()["totals"]["in_flight"] == 0).then_some(())
    });
    assert_eq!(run.pool()["totals"]["exited"], 0, "no handler has ended");
    assert!(run.stop().success());
    outcome
}

/// Asks on a connection of its own and gets its answer.
#[track_caller]
fn served(address: SocketAddr) {
    let mut client = Client::connect(address);
    client.send(b"GET /7 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", usize::MAX);
    assert_eq!(client.answer().as_deref(), Some("200"));
}

/// What the handler holds in memory (resident), in KiB.
fn memory(run: &Run) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", run.handler_pids()[0])).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Sends the same again and again until the server does not take it or so much was sent; the reason
/// of the GOAWAY that came, if any came.
fn pour(peer: &mut Peer, drop: &[u8], times: usize) -> Option<u32> {
    let many = drop.repeat(1000);
    let taken = (0..times.div_ceil(1000)).all(|_| peer.send(&many));
    if taken {
        return None;
    }
    peer.until(|frame| frame.kind == GOAWAY).map(|frame| frame.reason())
}

fn get(stream: u32) -> Vec<u8> {
    frame(HEADERS, END_STREAM | END_HEADERS, stream, GET)
}

#[test]
fn rapid_reset() {
    let reason = flood(&[], |address| {
        let mut peer = Peer::connect(address, &[]);
        let pair = |number: u32| {
            let stream = 2 * number + 1;
            [get(stream), frame(RST_STREAM, 0, stream, &8u32.to_be_bytes())].concat()
        };
        let _ = (0..200).all(|round| {
            let pairs: Vec<u8> = (0..100).flat_map(|i| pair(100 * round + i)).collect();
            peer.send(&pairs)
        });
        peer.until(|frame| frame.kind == GOAWAY).map(|frame| frame.reason())
    });
    assert!([None, Some(ENHANCE_YOUR_CALM)].contains(&reason), "{reason:?}");
}

#[test]
fn made_you_reset() {
    let reason = flood(&[], |address| {
        let mut peer = Peer::connect(address, &[]);
        // A request, and a window update of nothing, to which the server must reset it itself.
        let pair = |number: u32| {
            let stream = 2 * number + 1;
            [get(stream), frame(WINDOW_UPDATE, 0, stream, &[0; 4])].concat()
        };
        let _ = (0..200).all(|round| {
            let pairs: Vec<u8> = (0..100).flat_map(|i| pair(100 * round + i)).collect();
            peer.send(&pairs)
        });
        peer.until(|frame| frame.kind == GOAWAY).map(|frame| frame.reason())
    });
    assert!([None, Some(1), Some(ENHANCE_YOUR_CALM)].contains(&reason), "{reason:?}");
}

#[test]
fn continuations_without_end() {
    let reason = flood(&[], |address| {
        let mut peer = Peer::connect(address, &[]);
        peer.send(&frame(HEADERS, END_STREAM, 1, GET));
        pour(&mut peer, &frame(CONTINUATION, 0, 1, &[]), 100_000)
    });
    assert!([None, Some(ENHANCE_YOUR_CALM)].contains(&reason), "{reason:?}");
    let reason = flood(&[], |address| {
        let mut peer = Peer::connect(address, &[]);
        peer.send(&frame(HEADERS, END_STREAM, 1, GET));
        // Fields of the static table again and again: each byte stands for a whole field.
        pour(&mut peer, &frame(CONTINUATION, 0, 1, &[0x90; 16_384]), 2000)
    });
    assert!([None, Some(ENHANCE_YOUR_CALM)].contains(&reason), "{reason:?}");
}

#[test]
fn pings_and_settings_of_a_client_that_does_not_read() {
    let drops = [
        frame(PING, 0, 0, &[7; 8]),
        frame(SETTINGS, 0, 0, &[]),
        frame(SETTINGS, 0, 0, &[0, 1, 0, 0, 0, 0].repeat(100)),
    ];
    for drop in drops {
        let taken = flood(&["write=500"], |address| {
            let mut peer = Peer::connect(address, &[]);
            let many = drop.repeat(1000);
            (0..1000).take_while(|_| peer.send(&many)).count()
        });
        assert!(taken < 1000, "what is not read is not answered for ever");
    }
}

#[test]
fn pings_of_a_client_that_reads_hold_up_nobody() {
    flood(&[], |address| {
        let mut peer = Peer::connect(address, &[]);
        let ping = frame(PING, 0, 0, &[7; 8]).repeat(1000);
        for _ in 0..50 {
            peer.send(&ping);
            let pongs = (0..1000).filter(|_| peer.until(|it| it.kind == PING).is_some());
            assert_eq!(pongs.count(), 1000);
        }
    });
}

#[test]
fn empty_frames_of_a_body() {
    flood(&["body=1000"], |address| {
        let mut peer = Peer::connect(address, &[]);
        peer.send(&frame(HEADERS, END_HEADERS, 1, &path(POST, "/echo")));
        pour(&mut peer, &frame(DATA, 0, 1, &[]), 1_000_000);
    });
}

#[test]
fn windows_that_stay_shut() {
    flood(&["write=1000"], |address| {
        // INITIAL_WINDOW_SIZE: 0
        let mut peer = Peer::connect(address, &[0, 4, 0, 0, 0, 0]);
        for number in 0..100 {
            let fields = path(GET, "/7");
            peer.send(&frame(HEADERS, END_STREAM | END_HEADERS, 2 * number + 1, &fields));
        }
        let answers = (0..100).filter(|_| peer.until(|it| it.kind == HEADERS).is_some()).count();
        assert_eq!(answers, 100);
        // The end comes by itself.
        while peer.frame().is_some() {}
    });
}

#[test]
fn more_requests_at_once_than_are_allowed() {
    let (refused, stuck) = flood(&["soft=2000"], |address| {
        let mut peer = Peer::connect(address, &[]);
        for number in 0..1000 {
            let fields = path(GET, "/stuck");
            peer.send(&frame(HEADERS, END_STREAM | END_HEADERS, 2 * number + 1, &fields));
        }
        let mut ends = (0, 0);
        while ends.0 + ends.1 < 1000 {
            match peer.until(|it| [HEADERS, RST_STREAM, GOAWAY].contains(&it.kind)) {
                Some(frame) if frame.kind == RST_STREAM => ends.0 += 1,
                Some(frame) if frame.kind == HEADERS => ends.1 += 1,
                _ => break,
            }
        }
        ends
    });
    assert!(stuck <= 100 && refused >= 100, "{refused} refused, {stuck} answered");
}

#[test]
fn a_thousand_bodies_that_nobody_reads() {
    flood(&["soft=2000"], |address| {
        let mut peer = Peer::connect(address, &[]);
        // Of all that is sent, the window of the connection is taken and no more.
        for number in 0..100 {
            let stream = 2 * number + 1;
            peer.send(&frame(HEADERS, END_HEADERS, stream, &path(POST, "/stuck")));
            peer.send(&frame(DATA, 0, stream, &[b'x'; 4096]));
        }
        while peer.until(|it| it.kind == HEADERS).is_some_and(|it| it.stream < 199) {}
    });
}

/// The same fields with another path in the place of the third.
fn path(fields: &[u8], path: &str) -> Vec<u8> {
    let length = u8::try_from(path.len()).unwrap();
    [&fields[..2], &[0x04, length], path.as_bytes(), &fields[3..]].concat()
}
