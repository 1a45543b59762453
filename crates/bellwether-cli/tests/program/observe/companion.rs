//! `--dashboard`: an observer that lives as long as its server.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

use crate::kit::processes::children;
use crate::kit::{Launch, PATIENCE, Run, eventually};
use crate::stage::{PROGRAM, ask, serving, text};

/// What is answered at a socket; nothing while nobody is there.
fn answer(socket: &Path, path: &str) -> Option<String> {
    let mut stream = UnixStream::connect(socket).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").ok()?;
    let mut reply = String::new();
    stream.read_to_string(&mut reply).ok()?;
    Some(reply).filter(|reply| !reply.is_empty())
}

/// The process of the observer among the children of the spawner.
fn observer(run: &Run) -> Option<i32> {
    let observes = |pid: i32| {
        let line = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.contains("--companion")
    };
    children(run.pid()).into_iter().map(|it| it.pid).find(|pid| observes(*pid))
}

#[test]
fn a_dashboard_comes_back_and_goes_with_its_server() {
    let launch = serving().args(["--name", "shop", "--canary", "0s"]);
    let socket = launch.path("watch.sock");
    let address = format!("unix:{}", text(&socket));
    let mut run = launch.args(["--dashboard", &address]).start();
    run.wait_ready(2);
    let is_there = || {
        let reply = answer(&socket, "/ready")?;
        reply.ends_with("server `shop` is ready: 2 handlers\n").then_some(())
    };
    eventually(PATIENCE, "a dashboard", is_there);
    let first = eventually(PATIENCE, "its process", || observer(&run));
    rustix::process::kill_process(
        rustix::process::Pid::from_raw(first).unwrap(),
        rustix::process::Signal::KILL,
    )
    .unwrap();
    let second =
        eventually(PATIENCE, "another process", || observer(&run).filter(|it| *it != first));
    eventually(PATIENCE, "the dashboard again", is_there);
    assert!(ask(&run, &["upgrade"]).status.success());
    eventually(PATIENCE, "the new program's own", || observer(&run).filter(|it| *it != second));
    eventually(PATIENCE, "the dashboard after the upgrade", is_there);
    assert_eq!(run.stop().code(), Some(0));
    assert!(answer(&socket, "/live").is_none(), "it is still there");
}

#[test]
fn a_dashboard_for_everybody_is_refused_before_anything_starts() {
    let launch = Launch::of(PROGRAM).args(["serve", "-l", "127.0.0.1:0", "--dashboard", ":9180"]);
    let mut run = launch.start();
    assert_eq!(run.wait().code(), Some(64));
    assert!(run.stderr().contains("observe --public"), "{}", run.logs());
}
