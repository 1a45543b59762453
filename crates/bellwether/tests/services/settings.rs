//! How many connections a thread takes, how many threads a runtime has, and what is said of requests.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

use serde_json::Value;

use crate::kit::{PATIENCE, Run, assert_conserved, eventually};
use crate::stage::{ask, connect, rest, web};

fn depth(run: &Run) -> Value {
    run.pool()["addresses"][0]["depth"].clone()
}

/// A connection that is kept after its first answer.
fn kept(run: &Run) -> BufReader<TcpStream> {
    let mut stream = BufReader::new(connect(run.socket_addr()));
    stream.get_mut().write_all(b"GET /1 HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    let mut answer = String::new();
    while !answer.contains("\r\n\r\n1 ") {
        assert!(stream.read_line(&mut answer).unwrap() > 0, "half an answer: {answer}");
    }
    stream
}

#[test]
fn a_thread_that_has_its_connections_leaves_the_next_in_the_buffer() {
    let mut run = web(&["connections=2"]);
    let idle = [kept(&run), kept(&run)];
    let next = ask(run.socket_addr(), "/7");
    eventually(PATIENCE, "one to wait", || (depth(&run) == 1).then_some(()));
    drop(idle);
    assert!(rest(next).starts_with("HTTP/1.1 200 "));
    assert_conserved(&run.status());
    assert!(run.stop().success());
}

/// The reason that the journal has for the end of the handler of a request that never ends.
fn ended_for_a_request(words: &[&str]) -> String {
    let mut run = web(&[&["hard=1000"], words].concat());
    assert_eq!(rest(ask(run.socket_addr(), "/stuck?token=secret")), "");
    let entry = eventually(PATIENCE, "the journal to tell", || {
        run.journal().into_iter().find(|entry| entry["kind"] == "deadline")
    });
    run.stop();
    entry["reason"].as_str().unwrap().to_owned()
}

#[test]
fn what_requests_ask_for_is_told_only_where_that_was_asked_for() {
    for words in [&[][..], &["label=off"]] {
        let reason = ended_for_a_request(words);
        assert!(reason.starts_with("a request took too long"), "{reason}");
        assert!(!reason.contains("stuck"), "{reason}");
    }
    let reason = ended_for_a_request(&["label=on"]);
    assert!(reason.starts_with("`GET /stuck` took too long"), "{reason}");
}

#[test]
fn the_status_shows_labels_also_where_there_are_no_deadlines() {
    let mut run = web(&["label=on"]);
    let stuck = ask(run.socket_addr(), "/stuck?token=secret");
    eventually(PATIENCE, "the label", || {
        (run.pool()["handlers"][0]["says"] == "GET /stuck").then_some(())
    });
    assert!(rest(ask(run.socket_addr(), "/deadline")).ends_with("\r\n\r\nfalse"));
    drop(stuck);
    eventually(PATIENCE, "the end of the label", || {
        run.pool()["handlers"][0]["says"].is_null().then_some(())
    });
    assert!(run.stop().success());
}

#[test]
fn with_many_threads_of_a_runtime_the_books_are_right() {
    let mut run = web(&["runtime=4"]);
    let address = run.socket_addr();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..200 {
                    assert!(rest(ask(address, "/7")).starts_with("HTTP/1.1 200 "));
                }
            });
        }
    });
    eventually(PATIENCE, "the books to close", || {
        (run.pool()["totals"]["completed"] == 800).then_some(())
    });
    assert_eq!(run.pool()["totals"]["requests"], 800);
    assert_conserved(&run.status());
    assert!(run.stop().success());
}
