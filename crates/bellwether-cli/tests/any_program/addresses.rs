//! Which addresses a program opens, and which it does not.

use std::net::SocketAddr;
use std::process::Command;

use crate::installed::has;
use crate::kit::{Launch, PATIENCE, Run, eventually};
use crate::life::{SERVES, stop};
use crate::trial::{PROGRAM, free_port, get};

/// Starts a Python script that begins with [`SERVES`] with these flags of `run`.
fn started(script: &str, flags: &[&str]) -> Option<Run> {
    if !has("python3") {
        println!("SKIPPED: python3: it is not installed");
        return None;
    }
    let launch = Launch::of(PROGRAM);
    let path = launch.path("app.py");
    std::fs::write(&path, format!("{SERVES}\n{script}")).unwrap();
    let launch = launch.args(["run", "--handlers", "2"]).args(flags).args(["--", "python3"]);
    let server = launch.arg(path).start();
    server.wait_ready(2);
    Some(server)
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// Waits until the server says so.
#[track_caller]
fn assert_says(server: &Run, words: &str) {
    eventually(PATIENCE, words, || server.stderr().contains(words).then_some(()));
}

#[test]
fn where_it_opens_its_address_is_found_out_if_nothing_says_it() {
    let port = free_port();
    let Some(server) = started(&format!("serve(bound({port}))"), &[]) else { return };
    get(local(port)).unwrap();
    stop(server);
}

#[test]
fn all_addresses_that_it_opens_are_served() {
    let ports = [free_port(), free_port()];
    let script = format!(
        "import threading\nboth = [bound({}), bound({})]\n\
         threading.Thread(target=serve, args=(both[1],), daemon=True).start()\nserve(both[0])",
        ports[0], ports[1]
    );
    let Some(server) = started(&script, &[]) else { return };
    for port in ports {
        get(local(port)).unwrap();
    }
    stop(server);
}

#[test]
fn an_address_that_it_does_not_open_is_told() {
    let [port, other] = [free_port(), free_port()].map(|port| format!("127.0.0.1:{port}"));
    let number = port.rsplit_once(':').unwrap().1;
    let flags = ["--listen", &port, "--listen", &other];
    let Some(server) = started(&format!("serve(bound({number}))"), &flags) else { return };
    assert_says(&server, &format!("has not opened tcp://{other}"));
    stop(server);
}

#[test]
fn one_of_ipv4_at_an_address_of_ipv6_is_told_of() {
    let port = free_port();
    let flags = ["--listen", &format!("[::]:{port}")];
    let Some(server) = started(&format!("serve(bound({port}))"), &flags) else { return };
    assert_says(&server, "it may read the addresses of its clients wrong");
    get(local(port)).unwrap();
    stop(server);
}

#[test]
fn one_that_opens_none_is_refused() {
    let output = Command::new(PROGRAM)
        .args(["run", "--boot-timeout", "1s", "--", "sleep", "99"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(78), "{said}");
    assert!(said.contains("`sleep` has opened no address within 1s"), "{said}");
}
