//! Stopping: what is under way is finished, nothing is left.

use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpStream;

use crate::clients::connect;
use crate::kit::run::Signal;
use crate::kit::{Hold, PATIENCE, Run, assert_quiescent, eventually};
use crate::stage::{ask, serve, serving};

/// Far more than the buffers of both sockets hold.
const SIZE: usize = 64 << 20;

/// Starts a server of one big file.
fn serve_file() -> Run {
    serve_file_with(&[])
}

fn serve_file_with(arguments: &[&str]) -> Run {
    let launch = serving().args(arguments);
    let site = launch.path("site");
    std::fs::create_dir(&site).unwrap();
    File::create(site.join("big")).unwrap().set_len(SIZE as u64).unwrap();
    let run = launch.arg(&site).start();
    run.wait_ready(2);
    run
}

/// Begins a download and stops reading in the middle of the answer's head.
fn begin_download(run: &Run) -> TcpStream {
    let mut stream = connect(run);
    stream.write_all(b"GET /big HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut start = [0; 12];
    stream.read_exact(&mut start).unwrap();
    assert_eq!(&start, b"HTTP/1.1 200");
    stream
}

fn wait_until_stopping(run: &Run) {
    eventually(PATIENCE, "the stop to begin", || {
        (run.control().status().ok()?["state"] == "stopping").then_some(())
    });
}

#[test]
fn sigterm_finishes_a_slow_download() {
    let mut run = serve_file();
    let mut download = begin_download(&run);
    run.processes();
    run.signal(Signal::TERM);
    wait_until_stopping(&run);
    let mut rest = Vec::new();
    download.read_to_end(&mut rest).unwrap();
    let head = rest.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
    assert_eq!(rest.len() - head, SIZE);
    assert_eq!(run.wait().code(), Some(0));
    assert!(run.stderr().contains("every connection was finished"), "{}", run.stderr());
    assert_quiescent(run.baseline(), &run);
}

/// The server ends without finishing the download, says so, and leaves nothing.
#[track_caller]
fn assert_cut(run: &mut Run, download: TcpStream) {
    assert_eq!(run.wait().code(), Some(3));
    assert!(run.stderr().contains("1 connection was cut"), "{}", run.stderr());
    drop(download);
    assert_quiescent(run.baseline(), run);
}

#[test]
fn a_second_signal_cuts_what_is_left_and_says_how_much() {
    let mut run = serve_file();
    let download = begin_download(&run);
    run.processes();
    run.signal(Signal::TERM);
    wait_until_stopping(&run);
    run.signal_later(Signal::TERM);
    assert_cut(&mut run, download);
}

/// Asserts that a command says on its own that it has cut a download.
#[track_caller]
fn assert_told_of_cut(run: &Run, arguments: &[&str]) {
    let output = ask(run, arguments);
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("1 connection was cut"), "{said}");
}

#[test]
fn a_stop_at_once_says_by_its_exit_status_that_somebody_was_cut() {
    let mut run = serve_file();
    let download = begin_download(&run);
    run.processes();
    assert_told_of_cut(&run, &["stop", "--now"]);
    assert_cut(&mut run, download);
}

#[test]
fn a_drain_and_a_stop_say_by_their_exit_status_that_somebody_was_cut() {
    for verb in ["drain", "stop"] {
        let run = serve_file_with(&["--stop-grace", "0"]);
        let _download = begin_download(&run);
        assert_told_of_cut(&run, &[verb]);
    }
}

#[test]
fn the_stop_grace_is_what_was_typed() {
    let mut run = serve_file_with(&["--stop-grace", "0"]);
    let download = begin_download(&run);
    run.processes();
    run.signal(Signal::TERM);
    assert_cut(&mut run, download);
}

#[test]
fn ctrl_c_stops_like_sigterm() {
    let mut run = serve(&[]);
    run.processes();
    run.signal(Signal::INT);
    assert_eq!(run.wait().code(), Some(0));
    assert_quiescent(run.baseline(), &run);
}

#[test]
fn requests_that_wait_in_the_buffer_at_a_stop_are_answered() {
    // The handlers stand still, so that the requests are still in the buffer when the stop comes.
    let mut run = serve(&[]);
    let address = run.socket_addr();
    let hold = Hold::stop(&run.handler_pids());
    let mut clients: Vec<_> = (0..20).map(|_| ask_for_welcome(address)).collect();
    eventually(PATIENCE, "twenty requests to wait", || {
        (run.pool()["addresses"][0]["depth"] == 20).then_some(())
    });
    run.processes();
    run.signal(Signal::TERM);
    wait_until_stopping(&run);
    hold.release();
    for client in &mut clients {
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer:?}");
    }
    assert_eq!(run.wait().code(), Some(0));
    assert_quiescent(run.baseline(), &run);
}

fn ask_for_welcome(address: std::net::SocketAddr) -> TcpStream {
    let mut client = TcpStream::connect(address).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    client
}
