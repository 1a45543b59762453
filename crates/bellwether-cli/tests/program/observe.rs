//! `bellwether observe`: what it answers, and to whom.

// By path: the files of a module that was itself named by path.
#[path = "observe/browser.rs"]
mod browser;
#[path = "observe/companion.rs"]
mod companion;
#[path = "observe/distress.rs"]
mod distress;
#[path = "observe/prometheus.rs"]
mod prometheus;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;

use serde_json::Value;

use crate::clients::{Reply, raw};
use crate::kit::{Kill, Launch, PATIENCE, Run, assert_conserved, eventually};
use crate::stage::{PROGRAM, serve};

/// An observer beside a server.
struct Observer {
    /// Ends with it.
    _run: Run,
    address: SocketAddr,
}

impl Observer {
    #[track_caller]
    fn of(server: &Run, arguments: &[&str]) -> Self {
        let launch = Launch::of(PROGRAM).args(["observe", "--listen", "127.0.0.1:0"]);
        let run = launch.args(arguments).beside(server).start();
        let address = eventually(PATIENCE, "an observer", || {
            run.stdout().split('/').nth(2).and_then(|address| address.parse().ok())
        });
        Self { _run: run, address }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    #[track_caller]
    fn ask(&self, line: &str, host: &str, headers: &str) -> Reply {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(stream, "{line} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{headers}\r\n")
            .unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        Reply::read(&bytes)
    }

    #[track_caller]
    fn get(&self, path: &str) -> Reply {
        self.ask(&format!("GET {path}"), "localhost", "")
    }
}

fn text(reply: &Reply) -> String {
    String::from_utf8_lossy(&reply.body).into_owned()
}

#[test]
fn it_tells_what_the_server_is() {
    let mut server = serve(&["--name", "shop"]);
    raw(&server, "GET /", "");
    let observer = Observer::of(&server, &[]);
    for (path, kind, words) in [
        ("/", "text/html", "<!doctype html>"),
        ("/page.js", "text/javascript", "EventSource"),
        ("/page.css", "text/css", ":root"),
        ("/live", "text/plain", "server `shop` lives: serving\n"),
        ("/ready", "text/plain", "server `shop` is ready: 2 handlers\n"),
        ("/metrics", "text/plain", "bellwether_requests_total{pool=\"shop\"} 1\n"),
    ] {
        let reply = observer.get(path);
        assert_eq!(reply.status, 200, "{path}");
        assert!(reply.header("content-type").is_some_and(|it| it.starts_with(kind)), "{path}");
        assert!(text(&reply).contains(words), "no {words} at {path}: {}", text(&reply));
        assert!(reply.header("content-security-policy").unwrap().starts_with("default-src 'none'"));
        assert_eq!(reply.header("cache-control"), Some("no-store"), "{path}");
    }
    let status: Value = serde_json::from_slice(&observer.get("/status.json").body).unwrap();
    assert_eq!(status["name"], "shop");
    assert_conserved(&status);
    let open =
        observer.ask("GET /metrics", "localhost", "Accept: application/openmetrics-text\r\n");
    assert!(text(&open).ends_with("# EOF\n"), "{}", text(&open));
    assert_eq!(server.stop().code(), Some(0));
}

#[test]
fn nothing_can_be_changed_and_no_other_name_asks() {
    let mut server = serve(&["--name", "shop"]);
    let observer = Observer::of(&server, &["--host", "watch.example"]);
    for (line, host, status) in [
        ("GET /live", "localhost", 200),
        ("HEAD /live", "127.0.0.1:9180", 200),
        ("GET /live", "WATCH.example:443", 200),
        ("GET /live", "evil.example", 421),
        ("GET /status.json", "localhost.evil.example", 421),
        ("POST /live", "localhost", 405),
        ("DELETE /", "localhost", 405),
        ("GET /etc/passwd", "localhost", 404),
        ("GET /../Cargo.toml", "localhost", 404),
    ] {
        assert_eq!(observer.ask(line, host, "").status, status, "{line} of {host}");
    }
    assert_eq!(server.stop().code(), Some(0));
}

#[test]
fn probes_tell_a_server_that_leaves_and_one_that_is_gone() {
    let mut server = serve(&["--name", "shop", "--announce", "60s"]);
    let observer = Observer::of(&server, &[]);
    assert_eq!(observer.get("/ready").status, 200);
    server.signal(rustix::process::Signal::TERM);
    eventually(PATIENCE, "a server that announces", || {
        (observer.get("/ready").status == 503).then_some(())
    });
    assert!(text(&observer.get("/ready")).contains("is announcing"));
    assert_eq!(observer.get("/ready?announcing=ready").status, 200);
    assert_eq!(observer.get("/live").status, 200, "it serves still");
    server.signal(rustix::process::Signal::TERM);
    server.wait();
    eventually(PATIENCE, "the word that it is gone", || {
        (observer.get("/live").status == 503).then_some(())
    });
    assert!(text(&observer.get("/metrics")).contains("bellwether_up 0\n"));
    let status: Value = serde_json::from_slice(&observer.get("/status.json").body).unwrap();
    assert_eq!(status["result"], "error", "{status}");
}

#[test]
fn who_watches_is_told_each_second_and_what_happens() {
    let mut server = serve(&["--name", "shop"]);
    let observer = Observer::of(&server, &[]);
    let mut stream = TcpStream::connect(observer.address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut told = String::new();
    let mut until = |words: &str, told: &mut String| {
        let mut some = [0; 4096];
        while told.matches(words).count() < 2 {
            let read = stream.read(&mut some).unwrap();
            assert!(read > 0, "no {words} in {told}");
            told.push_str(&String::from_utf8_lossy(&some[..read]));
        }
    };
    until("event: status\ndata: {\"name\":\"shop\"", &mut told);
    Kill::of(server.handler_pids()[0]).expect("it lived");
    until("\"kind\":\"exit\"", &mut {
        told.replace("\"kind\":\"exit\"", "") + "\"kind\":\"exit\""
    });
    assert_eq!(server.stop().code(), Some(0));
}

#[test]
fn a_server_is_observed_at_a_unix_socket_or_here_and_not_from_elsewhere() {
    let mut server = serve(&["--name", "shop"]);
    let mut open = Launch::of(PROGRAM).args(["observe", "-l", "0.0.0.0:0"]).beside(&server).start();
    assert_eq!(open.wait().code(), Some(78));
    assert!(open.stderr().contains("--public"), "{}", open.logs());
    let launch = Launch::of(PROGRAM);
    let socket = launch.path("watch.sock");
    let address = format!("unix:{}", socket.display());
    let _run = launch.args(["observe", "-l", &address]).beside(&server).start();
    let reply = eventually(PATIENCE, "an answer at the socket", || at_socket(&socket));
    assert!(reply.ends_with("server `shop` lives: serving\n"), "{reply}");
    assert_eq!(server.stop().code(), Some(0));
}

fn at_socket(path: &Path) -> Option<String> {
    let mut stream = std::os::unix::net::UnixStream::connect(path).ok()?;
    stream.write_all(b"GET /live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").ok()?;
    let mut reply = String::new();
    stream.read_to_string(&mut reply).ok()?;
    Some(reply)
}
