//! Programs at a Unix socket, whose file they take for their own.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::installed::{self, has};
use crate::kit::{Launch, assert_quiescent};
use crate::trial::PROGRAM;

/// Runs a command at a socket, reloads it while clients ask, and lets none of them fail.
#[track_caller]
fn check(command: impl FnOnce(&Path, &Path) -> Option<Vec<String>>) {
    let launch = Launch::of(PROGRAM);
    let (folder, socket) = (launch.path(""), launch.path("shop.sock"));
    let Some(command) = command(&folder, &socket) else {
        return println!("SKIPPED: not installed");
    };
    let listen = format!("unix:{}", socket.display());
    let launch = launch.args(["run", "--listen", &listen, "--handlers", "2", "--canary", "50ms"]);
    let mut server = launch.arg("--").args(&command).start();
    server.wait_ready(2);
    let over = AtomicBool::new(false);
    let (failures, answered) = std::thread::scope(|scope| {
        let load = scope.spawn(|| ask(&socket, &over));
        for _ in 0..2 {
            let mut reload = Command::new(PROGRAM);
            let reload = reload.arg("reload").env("BELLWETHER_RUNTIME_DIR", server.runtime());
            let told = reload.output().unwrap();
            assert!(told.status.success(), "{told:?}\n{}", server.logs());
        }
        over.store(true, Ordering::Relaxed);
        load.join().unwrap()
    });
    assert_eq!(failures, [""; 0], "of {answered}\n{}", server.logs());
    assert!(answered > 20);
    assert_eq!(server.stop().code(), Some(0), "{}", server.logs());
    assert_quiescent(server.baseline(), &server);
    assert!(!socket.exists(), "whoever opened it removes it");
}

fn ask(socket: &Path, over: &AtomicBool) -> (Vec<String>, usize) {
    let (mut failures, mut answered) = (Vec::new(), 0);
    while !over.load(Ordering::Relaxed) {
        match get(socket) {
            Ok(answer) if answer.contains(" 200 ") => answered += 1,
            Ok(answer) => failures.push(format!("not as it should be: {answer:?}")),
            Err(error) => failures.push(error.to_string()),
        }
    }
    (failures, answered)
}

fn get(socket: &Path) -> std::io::Result<String> {
    let mut connection = UnixStream::connect(socket)?;
    connection.write_all(b"GET / HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer)?;
    Ok(answer)
}

fn text(path: &Path) -> String {
    path.to_str().unwrap().into()
}

#[test]
fn node_removes_the_file_when_it_closes() {
    check(|folder, socket| {
        let script = folder.join("app.js");
        std::fs::write(&script, NODE).unwrap();
        has("node").then(|| vec!["node".into(), text(&script), text(socket)])
    });
}

#[test]
fn go_removes_the_file_before_and_after() {
    check(|_, socket| {
        let folder = has("go").then(|| installed::go("go-unix", GO, "0")).flatten()?;
        Some(vec![text(&folder.join("server")), text(socket)])
    });
}

#[test]
fn python_binds_what_is_there_already() {
    check(|folder, socket| {
        let script = folder.join("app.py");
        std::fs::write(&script, PYTHON).unwrap();
        has("python3").then(|| vec!["python3".into(), text(&script), text(socket)])
    });
}

const NODE: &str = r"
const path = process.argv[2];
const server = require('http').createServer((_, answer) => answer.end('hello'));
server.listen(path);
process.on('SIGTERM', () => server.close(() => process.exit(0)));
";

const GO: &str = r#"
package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	os.Remove(os.Args[1])
	listener, err := net.Listen("unix", os.Args[1])
	if err != nil {
		panic(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "hello") })}
	told := make(chan os.Signal, 1)
	signal.Notify(told, syscall.SIGTERM)
	go server.Serve(listener)
	<-told
	server.Shutdown(context.Background())
}
"#;

const PYTHON: &str = r#"
import os, socketserver, sys
from http.server import BaseHTTPRequestHandler
class Shop(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"hello")
    def log_message(self, *_): pass
    def address_string(self): return "client"
socketserver.ThreadingUnixStreamServer(sys.argv[1], Shop).serve_forever()
"#;
