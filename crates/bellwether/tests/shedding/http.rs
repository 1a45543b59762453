//! HTTP: a complete 503 for whoever waited too long to be accepted.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::entries::{finish, total};
use crate::kit::{Hold, Launch, PATIENCE, Run, eventually, example};
use crate::pool::connect;
use crate::{assert_shed, end_of_overload, overload, wait_for};

const REFUSAL: &str = "too many requests wait here; try again in a moment\n";

fn start() -> Run {
    let words = ["127.0.0.1:0", "handlers=1", "shed=on"];
    let run = Launch::of(example("web")).args(words).start();
    run.wait_ready(1);
    run
}

/// Waits until so many clients wait, and each for so long that it is late.
fn all_are_late(run: &Run, clients: u64) {
    eventually(PATIENCE, "the clients to wait", || {
        (run.pool()["addresses"][0]["depth"] == clients).then_some(())
    });
    wait_for(Duration::from_millis(300));
    overload(run);
}

#[test]
fn whoever_waited_too_long_to_be_accepted_gets_a_whole_503() {
    if Command::new("curl").arg("--version").output().is_err() {
        return println!("SKIPPED: there is no curl");
    }
    let run = start();
    let url = format!("http://{}/1", run.socket_addr());
    let upload = run.path("upload");
    fs::write(&upload, vec![b'x'; 8 << 20]).unwrap();
    let data = format!("@{}", upload.display());
    let hold = Hold::stop(&run.handler_pids());
    let clients = [
        curl(&[&url]),
        curl(&["--http1.0", &url]),
        curl(&["-X", "POST", "-H", "expect:", "--data-binary", &data, &url]),
        curl(&["-X", "POST", "-H", "expect: 100-continue", "--data-binary", "x", &url]),
        curl(&["--http2-prior-knowledge", &url]),
        // A large upload as above is not tried: curl 7.88 takes no answer to one in HTTP/2 before
        // its end, whoever gives it.
        curl(&["--http2-prior-knowledge", "-X", "POST", "--data-binary", "x", &url]),
    ];
    all_are_late(&run, 6);
    hold.release();
    for (number, client) in clients.into_iter().enumerate() {
        assert_refused(client, number < 4);
    }
    assert_shed(&run, 6);
    assert_eq!(total(&run, "requests"), 0, "the service saw none of them");
    end_of_overload(&run, 6);
    let output = curl(&[&url]).wait_with_output().unwrap();
    assert!(String::from_utf8_lossy(&output.stdout).starts_with("HTTP/1.1 200 OK\r\n"));
    finish(run);
}

fn curl(words: &[&str]) -> Child {
    let mut curl = Command::new("curl");
    curl.args(["-q", "-sS", "-i", "--noproxy", "*", "--max-time", "20"]).args(words);
    curl.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

#[track_caller]
fn assert_refused(client: Child, says_close: bool) {
    let output = client.wait_with_output().unwrap();
    let answer = String::from_utf8_lossy(&output.stdout).to_lowercase();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && complaint.is_empty(), "{answer}{complaint}");
    assert!(answer.lines().next().is_some_and(|line| line.contains(" 503")), "{answer}");
    assert!(answer.contains("\r\nretry-after: 1\r\n"), "{answer}");
    assert_eq!(answer.contains("\r\nconnection: close\r\n"), says_close, "{answer}");
    assert!(answer.ends_with(&format!("\r\n\r\n{REFUSAL}")), "{answer}");
}

#[test]
fn on_a_kept_connection_only_the_time_before_it_was_accepted_counts() {
    let run = start();
    let mut kept = connect(run.socket_addr());
    let ask = |stream: &mut TcpStream| stream.write_all(b"GET /1 HTTP/1.1\r\nhost: t\r\n\r\n");
    ask(&mut kept).unwrap();
    assert_eq!(status(&mut kept), "HTTP/1.1 200 OK");
    let hold = Hold::stop(&run.handler_pids());
    ask(&mut kept).unwrap();
    let mut late = connect(run.socket_addr());
    ask(&mut late).unwrap();
    all_are_late(&run, 1);
    hold.release();
    assert_eq!(status(&mut kept), "HTTP/1.1 200 OK");
    assert_eq!(status(&mut late), "HTTP/1.1 503 Service Unavailable");
    drop((kept, late));
    assert_shed(&run, 1);
    finish(run);
}

/// The first line of an answer that is small enough to come at once.
fn status(stream: &mut TcpStream) -> String {
    let mut answer = [0; 4096];
    let length = stream.read(&mut answer).unwrap();
    let answer = String::from_utf8_lossy(&answer[..length]);
    answer.lines().next().unwrap_or_default().into()
}

#[test]
fn a_client_of_http_2_is_told_to_go_away() {
    let run = start();
    let hold = Hold::stop(&run.handler_pids());
    let late = ask_in_http_2(run.socket_addr());
    all_are_late(&run, 1);
    hold.release();
    let kinds = frames_until_the_end(late);
    assert!(kinds.contains(&HEADERS) && kinds.contains(&GOAWAY), "{kinds:?}");
    assert_shed(&run, 1);
    finish(run);
}

#[cfg(feature = "tls")]
#[test]
fn over_tls_whoever_waited_too_long_is_closed_without_a_handshake() {
    let shop: (&str, &[&str]) = ("shop", &["shop.example"]);
    let run = crate::stage::start(&[shop], &["handlers=1", "shed=on"]);
    let hold = Hold::stop(&run.handler_pids());
    let mut late = connect(run.socket_addr());
    late.write_all(&[22]).unwrap(); // a record of a handshake begins
    all_are_late(&run, 1);
    hold.release();
    let mut answer = Vec::new();
    let _ = late.read_to_end(&mut answer); // closed with something unread: perhaps a reset
    assert_eq!(answer, b"");
    assert_shed(&run, 1);
    end_of_overload(&run, 1);
    finish(run);
}

// Frame types and flags of RFC 9113, 6.
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const ACK: u8 = 1;

/// Sends the preface and one request: the static fields GET, http and / (RFC 7541, appendix A).
fn ask_in_http_2(address: SocketAddr) -> TcpStream {
    let mut stream = connect(address);
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").unwrap();
    stream.write_all(&frame(SETTINGS, 0, 0, &[])).unwrap();
    stream.write_all(&frame(HEADERS, 0x5, 1, &[0x82, 0x86, 0x84])).unwrap();
    stream
}

fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).unwrap();
    [&[0, 0, length, kind, flags, 0, 0, 0, stream], payload].concat()
}

/// Answers pings, as a client does, and returns the types of all frames until the connection ends.
fn frames_until_the_end(mut stream: TcpStream) -> Vec<u8> {
    let mut kinds = Vec::new();
    let mut head = [0; 9];
    while stream.read_exact(&mut head).is_ok() {
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; usize::try_from(length).unwrap()];
        stream.read_exact(&mut payload).unwrap();
        if head[3] == PING && head[4] & ACK == 0 {
            stream.write_all(&frame(PING, ACK, 0, &payload)).unwrap();
        }
        kinds.push(head[3]);
    }
    assert!(kinds.contains(&DATA), "the answer has its words: {kinds:?}");
    kinds
}
