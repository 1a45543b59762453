//! Behind nginx and HAProxy: no two of us disagree about where a request ends.
//!
//! All that the tables have is sent to a server in front of ours, which keeps its connections to us
//! and uses them for others, too. If it took for a body what we take for a request, we would answer
//! something that nobody asked, and the next client would get that answer. So we must see exactly
//! what was answered, and whoever comes next must get what he asked for.

use std::fs;
use std::io::Read;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::conversation::{Client, mirror};
use crate::kit::{PATIENCE, Run, eventually};
use crate::row::Row;
use crate::{chunks, dialogue, fields, lengths, lines, targets};

#[test]
fn nginx() {
    check("nginx", NGINX, &["-e", "stderr", "-g", "daemon off;", "-c"]);
}

#[test]
fn haproxy() {
    check("haproxy", HAPROXY, &["-db", "-f"]);
}

const NGINX: &str = "
pid @folder@/front.pid; worker_processes 1;
events { worker_connections 256; }
http {
    access_log off;
    client_body_temp_path @folder@/b; proxy_temp_path @folder@/p; fastcgi_temp_path @folder@/f;
    uwsgi_temp_path @folder@/u; scgi_temp_path @folder@/s;
    client_header_timeout 5; client_body_timeout 5; lingering_timeout 1;
    underscores_in_headers on;
    upstream pool { server @pool@; keepalive 4; }
    server {
        listen @front@;
        location / {
            proxy_pass http://pool; proxy_http_version 1.1; proxy_set_header Connection '';
            proxy_set_header Host $http_host;
            proxy_request_buffering off; proxy_buffering off; proxy_ignore_client_abort on;
        }
    }
}
";

const HAPROXY: &str = "
defaults
    mode http
    timeout connect 5s
    timeout client 5s
    timeout http-request 5s
    timeout server 20s
    http-reuse always
frontend front
    bind @front@
    default_backend pool
backend pool
    server one @pool@
";

/// A server in front of another.
struct Front {
    child: Child,
    address: SocketAddr,
}

impl Front {
    fn start(program: &str, configuration: &str, words: &[&str], run: &Run) -> Self {
        let (address, folder) = (free_address(), run.directory());
        let text = configuration.replace("@pool@", &run.socket_addr().to_string());
        let text = text.replace("@front@", &address.to_string());
        let file = folder.join("front.conf");
        fs::write(&file, text.replace("@folder@", &folder.display().to_string())).unwrap();
        let mut command = Command::new(program);
        let command = command.args(words).arg(file).stdin(Stdio::null()).stdout(Stdio::null());
        let child = command.stderr(Stdio::null()).spawn().unwrap();
        eventually(PATIENCE, "the front to listen", || TcpStream::connect(address).ok());
        Self { child, address }
    }

    /// Sends a line and nothing more; all that comes back.
    fn exchange(&self, row: &Row) -> String {
        let mut client = Client::connect(self.address);
        client.send(&row.sent, usize::MAX);
        let _ = client.stream().shutdown(Shutdown::Write);
        let mut answers = Vec::new();
        let end = client.stream().read_to_end(&mut answers);
        let waited = end.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock);
        assert!(!waited, "{}: neither an answer nor an end", row.name);
        String::from_utf8_lossy(&answers).into_owned()
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        let _ = self.child.wait();
    }
}

/// An address that is free now.
fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn check(program: &str, configuration: &str, words: &[&str]) {
    if !has(program) {
        return println!("SKIPPED: {program}: it is not installed");
    }
    let mut run = mirror(&[]);
    let front = Front::start(program, configuration, words, &run);
    let (mut wrong, mut all) = (String::new(), 0);
    for (number, row) in rows().iter().enumerate() {
        let before = seen(&run);
        let answered = front.exchange(row).matches("\r\nsaw: ").count();
        let victim = format!("GET /next-{number}");
        let came = next_client(front.address, number);
        let saw = seen_until(&run, &victim) - before - 1;
        all += saw;
        if saw != answered || !came.starts_with(&format!("200 {victim} ")) {
            let name = &row.name;
            wrong += &format!("{name}: {saw} seen, {answered} answered, then {came}\n");
        }
    }
    assert_eq!(wrong, "", "{wrong}");
    assert!(all > 50, "{all} of all reached us: the front has eaten the rest");
    drop(front);
    assert!(run.stop().success());
}

fn rows() -> Vec<Row> {
    let chunks = chunks::table();
    let tables = [
        lengths::CONTENT_LENGTH,
        lengths::TRANSFER_ENCODING,
        lengths::BOTH,
        &chunks,
        dialogue::DIALOGUES,
        targets::TARGETS,
        targets::HOSTS,
        fields::FIELDS,
        lines::LINES,
    ];
    tables.into_iter().flat_map(Row::table).collect()
}

/// What somebody else gets who asks for something of his own.
fn next_client(address: SocketAddr, number: usize) -> String {
    let mut client = Client::connect(address);
    let request = format!("GET /next-{number} HTTP/1.1\r\nHost: next\r\nConnection: close\r\n\r\n");
    client.send(request.as_bytes(), usize::MAX);
    client.answer().unwrap_or_default()
}

/// How many whole requests the application has seen.
fn seen(run: &Run) -> usize {
    whole(&run.stdout())
}

/// A body that the front began to send, and then refused, ends with `!`.
fn whole(seen: &str) -> usize {
    seen.lines().filter(|line| !line.ends_with('!')).count()
}

/// The same, as soon as this one is among them.
fn seen_until(run: &Run, request: &str) -> usize {
    eventually(PATIENCE, request, || {
        let stdout = run.stdout();
        let is_there = stdout.lines().any(|line| line.starts_with(&format!("{request} ")));
        is_there.then(|| whole(&stdout))
    })
}

fn has(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}
