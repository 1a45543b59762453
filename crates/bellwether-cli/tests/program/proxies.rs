//! Behind nginx and HAProxy as docs/behind-a-proxy.md sets them up: the log has the client's address,
//! whatever the client says.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::clients::curl;
use crate::kit::{PATIENCE, Run, eventually};
use crate::stage::{has, refused, serving, text};

/// A client that is not where the proxy is.
const CLIENT: &str = "127.0.0.5";

const FORGED: [&str; 3] =
    ["X-Forwarded-For: 203.0.113.9", "Forwarded: for=203.0.113.9", "X-Real-IP: 203.0.113.9"];

const X_FORWARDED: [&str; 4] = ["--trust", "127.0.0.1,unix", "--proxy-headers", "x-forwarded"];
const FORWARDED: [&str; 4] = ["--trust", "127.0.0.1,unix", "--proxy-headers", "forwarded"];
const PROTOCOL: [&str; 3] = ["--trust", "127.0.0.1", "--proxy-protocol"];

/// Where Debian keeps the part of nginx that proxies connections.
const STREAM: &str = "/usr/lib/nginx/modules/ngx_stream_module.so";

#[test]
fn nginx_before_http() {
    check(&Nginx, documented("nginx", "http {"), &X_FORWARDED);
}

#[test]
fn nginx_before_connections() {
    check(&Nginx, documented("nginx", "stream {"), &PROTOCOL);
}

#[test]
fn haproxy_before_http() {
    check(&HaProxy, documented("haproxy", "option forwardfor"), &X_FORWARDED);
    check(&HaProxy, documented("haproxy", "set-header Forwarded"), &FORWARDED);
}

#[test]
fn haproxy_before_http_says_it_by_an_option() {
    let lines = documented("haproxy", "set-header Forwarded");
    let lines = lines.lines().filter(|line| !line.contains("set-header Forwarded"));
    let lines: Vec<_> = lines.collect();
    check(&HaProxy, lines.join("\n") + "\n    option forwarded\n", &FORWARDED);
}

#[test]
fn haproxy_before_connections() {
    let second = documented("haproxy", "send-proxy-v2");
    check(&HaProxy, second.replace("send-proxy-v2", "send-proxy"), &PROTOCOL);
    check(&HaProxy, second, &PROTOCOL);
}

#[test]
fn a_client_past_the_proxy_is_who_he_is() {
    for flags in [&X_FORWARDED[..], &FORWARDED, &PROTOCOL] {
        let mut run = start(flags);
        if let Some(client) = client_of(&run, run.socket_addr()) {
            assert_eq!(client, CLIENT, "{flags:?}");
        }
        assert_eq!(run.stop().code(), Some(0));
    }
}

#[test]
fn proxies_that_say_nothing_or_that_nobody_trusts_are_refused() {
    let refused = |flags: &[&str], words: &[&str]| refused(serving().args(flags), 78, words);
    refused(&["--proxy-protocol"], &["proxy-protocol", "add trust"]);
    refused(&["--trust", "private"], &["trust", "add proxy-protocol or proxy-headers"]);
}

/// The block of this language in the document that has these words.
fn documented(language: &str, words: &str) -> String {
    let document = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/behind-a-proxy.md");
    let document = fs::read_to_string(document).unwrap();
    let mut blocks = document.split("```").filter_map(|block| block.strip_prefix(language));
    blocks.find(|block| block.contains(words)).expect(words).to_owned()
}

/// A server in front of ours, as it is set up and started.
trait Kind {
    const PROGRAM: &str;

    /// What is needed around what the document says, to run in this folder.
    fn complete(&self, documented: &str, front: SocketAddr, folder: &Path) -> String;

    fn start(&self) -> &[&str];

    /// Arguments by which it says what is wrong with its configuration.
    fn judge(&self) -> &[&str];
}

struct Nginx;

impl Kind for Nginx {
    const PROGRAM: &str = "nginx";

    fn complete(&self, documented: &str, front: SocketAddr, folder: &Path) -> String {
        let folder = text(folder);
        let module = if Path::new(STREAM).exists() && documented.contains("stream {") {
            format!("load_module {STREAM};\n")
        } else {
            String::new()
        };
        let kinds = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
        let paths = kinds.map(|kind| format!("{kind}_temp_path {folder}/{kind};")).join(" ");
        let inside = documented.replace("http {", &format!("http {{ access_log off; {paths}"));
        let inside = inside.replace("listen 80;", &format!("listen {front};"));
        format!(
            "{module}pid {folder}/nginx.pid; worker_processes 1;\n\
             events {{ worker_connections 64; }}\n{inside}"
        )
    }

    fn start(&self) -> &[&str] {
        &["-e", "stderr", "-g", "daemon off;", "-c"]
    }

    fn judge(&self) -> &[&str] {
        &["-e", "stderr", "-t", "-c"]
    }
}

struct HaProxy;

impl Kind for HaProxy {
    const PROGRAM: &str = "haproxy";

    fn complete(&self, documented: &str, front: SocketAddr, _: &Path) -> String {
        documented.replace("bind :80", &format!("bind {front}"))
    }

    fn start(&self) -> &[&str] {
        &["-db", "-f"]
    }

    fn judge(&self) -> &[&str] {
        &["-c", "-f"]
    }
}

/// A running one.
struct Front(Child);

impl Drop for Front {
    fn drop(&mut self) {
        let _ = kill_process(Pid::from_child(&self.0), Signal::TERM);
        let _ = self.0.wait();
    }
}

fn start(flags: &[&str]) -> Run {
    let launch = serving();
    let log = launch.path("access.log");
    let run = launch.args(["--access-log", text(&log)]).args(flags).start();
    run.wait_ready(2);
    run
}

/// Sets it up before a server with these flags, and asks through it.
fn check<K: Kind>(kind: &K, documented: String, flags: &[&str]) {
    if !has(K::PROGRAM) {
        return;
    }
    let mut run = start(flags);
    let front = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let documented = documented.replace("127.0.0.1:8080", &run.socket_addr().to_string());
    let file = run.directory().join("front.conf");
    fs::write(&file, kind.complete(&documented, front, run.directory())).unwrap();
    let command = |words: &[&str]| {
        let mut command = Command::new(K::PROGRAM);
        command.args(words).arg(&file).stdin(Stdio::null()).stdout(Stdio::null());
        command
    };
    let judged = command(kind.judge()).output().unwrap();
    if judged.status.success() {
        let child = command(kind.start()).stderr(Stdio::null()).spawn().unwrap();
        let front_runs = Front(child);
        eventually(PATIENCE, "the front to listen", || TcpStream::connect(front).ok());
        if let Some(client) = client_of(&run, front) {
            assert_eq!(client, CLIENT, "{flags:?}");
        }
        drop(front_runs);
        let told = run.stderr();
        assert!(!told.contains("PROXY header"), "{told}");
    } else {
        let said = String::from_utf8_lossy(&judged.stderr).into_owned();
        let unknown = ["unknown option", "unknown directive \"stream\""];
        assert!(unknown.iter().any(|words| said.contains(words)), "{said}");
        println!("SKIPPED: {}: it does not know what the document says", K::PROGRAM);
    }
    assert_eq!(run.stop().code(), Some(0));
}

/// Who asks according to the log, when a client asks there that says it is somebody else; `None`
/// where there is no such client.
fn client_of(run: &Run, address: SocketAddr) -> Option<String> {
    let url = format!("http://{address}/asked");
    let headers = FORGED.iter().flat_map(|header| ["-H", header]);
    let words: Vec<_> = ["--interface", CLIENT].into_iter().chain(headers).chain([&*url]).collect();
    curl(&words)?;
    let log = run.path("access.log");
    let line = eventually(PATIENCE, "the line of the request", || {
        let lines = fs::read_to_string(&log).ok()?;
        lines.lines().find(|line| line.contains(" /asked ")).map(str::to_owned)
    });
    line.split(' ').next().map(str::to_owned)
}
