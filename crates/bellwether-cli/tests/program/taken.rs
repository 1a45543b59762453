//! A second server on the same address, or under the same name.

use std::fs;

use crate::clients::{connect, raw};
use crate::kit::quiescent::leftovers;
use crate::kit::{Launch, Run};
use crate::stage::{PROGRAM, assert_refused, refused, serve, serving, text};

/// What is left of a refused start that shared the runtime directory of another server.
fn assert_nothing_left(refused: &Run, first: &Run) {
    let mut left = leftovers(refused.baseline(), refused);
    left.retain(|line| !line.contains(text(first.runtime())));
    assert_eq!(left, Vec::<String>::new());
}

#[test]
fn a_busy_port_is_refused_and_its_owner_serves_on() {
    let mut first = serve(&[]);
    let address = first.socket_addr().to_string();
    let launch = Launch::of(PROGRAM).args(["serve", "--listen", &address, "--name", "second"]);
    refused(launch, 69, &[&address, "another process has it", "port 0"]);
    assert_eq!(raw(&first, "GET /whoami", "").status, 200);
    assert_eq!(first.stop().code(), Some(0));
}

#[test]
fn a_busy_socket_is_refused_and_its_owner_serves_on() {
    let launch = serving();
    let socket = launch.path("web.sock");
    let address = format!("unix:{}", text(&socket));
    let mut first = launch.args(["--listen", &address]).start();
    first.wait_ready(2);
    let second = Launch::of(PROGRAM).args(["serve", "--listen", &address, "--name", "second"]);
    refused(second, 69, &[&address, "another process listens", "another path"]);
    assert!(socket.exists(), "the refused start has taken the socket away");
    assert_eq!(first.stop().code(), Some(0));
    assert!(!socket.exists());
}

#[test]
fn a_socket_that_nobody_serves_is_replaced() {
    let launch = serving();
    let socket = launch.path("web.sock");
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    let mut run = launch.args(["--listen", &format!("unix:{}", text(&socket))]).start();
    run.wait_ready(2);
    assert!(std::os::unix::net::UnixStream::connect(&socket).is_ok());
    assert_eq!(run.stop().code(), Some(0));
}

#[test]
fn a_name_that_is_taken_is_refused() {
    let mut first = serve(&["--name", "shop"]);
    let launch = serving().beside(&first);
    let socket = format!("unix:{}", text(&launch.path("second.sock")));
    let mut second = launch.args(["--name", "shop", "--listen", &socket]).start();
    let owner = first.pid().to_string();
    assert_refused(&mut second, 69, &["shop", &owner, "--name"]);
    assert_nothing_left(&second, &first);
    assert_eq!(first.stop().code(), Some(0));
}

#[test]
fn two_names_live_beside_each_other() {
    let mut first = serve(&["--name", "one"]);
    let mut second = serving().beside(&first).args(["--name", "two"]).start();
    let status = |name: &str| crate::stage::ask(&first, &["status", "--json", "--name", name]);
    crate::kit::eventually(crate::kit::PATIENCE, "the second server", || {
        status("two").status.success().then_some(())
    });
    let which = crate::stage::ask(&first, &["status"]);
    assert_eq!(which.status.code(), Some(69));
    let said = String::from_utf8(which.stderr).unwrap();
    assert!(said.contains("one, two") && said.contains("--name"), "{said}");
    second.signal(crate::kit::run::Signal::TERM);
    assert_eq!(second.wait().code(), Some(0));
    assert_nothing_left(&second, &first);
    drop(connect(&first));
    assert_eq!(first.stop().code(), Some(0));
    assert_eq!(fs::read_dir(first.runtime()).unwrap().count(), 0);
}
