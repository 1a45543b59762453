//! WebSockets: with axum, and as connections that count for as long as they last.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::{Error, Message, WebSocket};

use crate::kit::{PATIENCE, Run, assert_conserved, eventually};
use crate::stage::{ask, connect, reload, rest, start, web};

fn open(run: &Run) -> WebSocket<TcpStream> {
    let url = format!("ws://{}/echo", run.socket_addr());
    let (socket, answer) = tungstenite::client(url, connect(run.socket_addr())).unwrap();
    assert_eq!(answer.status(), 101);
    socket
}

#[track_caller]
fn is_answered(socket: &mut WebSocket<TcpStream>, message: Message) {
    socket.send(message.clone()).unwrap();
    assert_eq!(socket.read().unwrap(), message);
}

fn total(run: &Run, name: &str) -> u64 {
    run.pool()["totals"][name].as_u64().unwrap()
}

#[test]
fn a_web_socket_is_told_to_come_again_when_its_handler_leaves() {
    let mut run = start("axum");
    let mut socket = open(&run);
    is_answered(&mut socket, Message::text("one"));
    is_answered(&mut socket, Message::binary(vec![2; 100_000]));
    socket.send(Message::Ping("p".into())).unwrap();
    assert_eq!(socket.read().unwrap(), Message::Pong("p".into()));
    reload(&run);
    let Message::Close(Some(frame)) = socket.read().unwrap() else { panic!("no goodbye") };
    assert_eq!((frame.code, frame.reason.as_str()), (CloseCode::Away, "please connect again"));
    assert!(matches!(socket.read(), Err(Error::ConnectionClosed)));
    let mut next = open(&run);
    is_answered(&mut next, Message::text("two"));
    next.close(None).unwrap();
    while next.read().is_ok() {}
    eventually(PATIENCE, "the books to close", || (total(&run, "in_flight") == 0).then_some(()));
    assert_eq!(total(&run, "aborted"), 0);
    assert_conserved(&run.status());
    assert!(run.stop().success());
}

/// A connection that speaks no HTTP any more: whatever line is sent comes back.
fn upgraded(run: &Run) -> BufReader<TcpStream> {
    let mut stream = BufReader::new(connect(run.socket_addr()));
    let words = "host: x\r\nconnection: upgrade\r\nupgrade: echo";
    write!(stream.get_mut(), "GET /upgrade HTTP/1.1\r\n{words}\r\n\r\n").unwrap();
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert!(stream.read_line(&mut head).unwrap() > 0, "half an answer: {head}");
    }
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    comes_back(&mut stream, "begin\n");
    stream
}

#[track_caller]
fn comes_back(stream: &mut BufReader<TcpStream>, line: &str) {
    stream.get_mut().write_all(line.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_line(&mut answer).unwrap();
    assert_eq!(answer, line);
}

#[test]
fn what_a_connection_was_upgraded_to_goes_on_though_its_handler_leaves() {
    let mut run = web(&[]);
    let before = run.handler_pids();
    let mut stream = upgraded(&run);
    assert_eq!(total(&run, "in_flight"), 1, "it counts");
    reload(&run);
    comes_back(&mut stream, "after the reload\n");
    assert_eq!(run.handler_pids().len(), 2, "the old handler is still there for it");
    drop(stream);
    eventually(PATIENCE, "the old handler to leave", || {
        let now = run.handler_pids();
        (now.len() == 1 && now != before).then_some(())
    });
    assert_eq!((total(&run, "in_flight"), total(&run, "aborted")), (0, 0));
    assert_conserved(&run.status());
    assert!(run.stop().success());
}

#[test]
fn what_a_connection_was_upgraded_to_takes_up_room() {
    let mut run = web(&["connections=1"]);
    let stream = upgraded(&run);
    let next = ask(run.socket_addr(), "/7");
    eventually(PATIENCE, "one to wait", || {
        (run.pool()["addresses"][0]["depth"] == 1).then_some(())
    });
    drop(stream);
    assert!(rest(next).starts_with("HTTP/1.1 200 "));
    assert!(run.stop().success());
}
