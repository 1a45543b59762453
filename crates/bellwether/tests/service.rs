//! A pool as a service of the real systemd: what is told when, and how long systemd waits.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "all of it is test code, but clippy sees that only in functions marked #[test]"
)]

mod kit;
mod pool;

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use kit::{Kill, Machine, PATIENCE, eventually, example};
use pool::Held;

const ADDRESS: &str = "127.0.0.1:7777";

const UNIT: &str = "pool.service";

/// A machine with a service of two handlers that was not started yet.
fn machine(address: &str, words: &str, lines: &str) -> Option<Machine> {
    let machine = Machine::boot()?;
    install(&machine, address, words, lines);
    Some(machine)
}

fn install(machine: &Machine, address: &str, words: &str, lines: &str) {
    let program = example("pool");
    let start = format!("ExecStart=\"{}\" {address} handlers=2 {words}", program.display());
    let unit = format!("[Service]\nType=notify\nKillMode=process\n{start}\n{lines}\n");
    machine.unit(UNIT, &unit);
}

#[track_caller]
fn wait_status(machine: &Machine, status: &str) {
    machine.wait_property(UNIT, "StatusText", status);
}

/// Waits until a unit that allows one second would have been given up.
fn outlast_the_unit() {
    let began = Instant::now();
    eventually(PATIENCE, "two seconds to pass", || {
        (began.elapsed() > Duration::from_secs(2)).then_some(())
    });
}

#[test]
fn a_start_is_over_when_the_minimum_serves_however_slow() {
    let Some(machine) = Machine::boot() else { return };
    let gate = machine.run().path("gate");
    assert!(Command::new("mkfifo").arg(&gate).status().unwrap().success());
    let words = format!("start=1:{}", gate.display());
    install(&machine, ADDRESS, &words, "TimeoutStartSec=1");
    machine.systemctl(&["start", "--no-block", UNIT]);
    wait_status(&machine, &format!("starting: 1 of 2 handlers at tcp://{ADDRESS}; generation 1"));
    outlast_the_unit();
    assert_eq!(machine.property(UNIT, "ActiveState"), "activating");
    let opened = File::options().read(true).write(true).open(&gate).unwrap();
    machine.wait_property(UNIT, "ActiveState", "active");
    wait_status(&machine, &format!("serving: 2 handlers at tcp://{ADDRESS}; generation 1"));
    drop(opened);
    machine.systemctl(&["stop", UNIT]);
    machine.switch_off();
}

#[test]
fn a_stop_may_take_as_long_as_its_grace() {
    let Some(machine) = machine(ADDRESS, "grace=60000", "TimeoutStopSec=1") else { return };
    machine.systemctl(&["start", UNIT]);
    let held = machine.inside(|| Held::open(ADDRESS.parse().unwrap()));
    machine.systemctl(&["stop", "--no-block", UNIT]);
    wait_status(&machine, "stopping: 1 handler finishes");
    outlast_the_unit();
    assert_eq!(machine.property(UNIT, "ActiveState"), "deactivating");
    held.release();
    machine.wait_property(UNIT, "ActiveState", "inactive");
    assert_eq!(machine.property(UNIT, "Result"), "success");
    machine.switch_off();
}

#[test]
fn a_start_that_fails_says_why() {
    let Some(machine) = machine(ADDRESS, "load=fail", "") else { return };
    assert!(!machine.try_systemctl(&["start", UNIT]).status.success());
    let status = machine.property(UNIT, "StatusText");
    assert!(status.starts_with("ending: ") && status.contains("told not to load"), "{status}");
    machine.switch_off();
}

#[test]
fn what_a_handler_shut_down_and_was_opened_anew_is_kept_instead() {
    let lines = "FileDescriptorStoreMax=8\nRestart=always\nRestartSec=0";
    let Some(machine) = Machine::boot() else { return };
    let path = machine.run().path("pool.sock");
    install(&machine, &format!("unix:{}", path.display()), "orphan=60000", lines);
    machine.systemctl(&["start", UNIT]);
    let first = std::fs::metadata(&path).unwrap();
    ask(&path, "shut");
    eventually(PATIENCE, "the socket to be opened anew", || {
        let now = std::fs::metadata(&path).ok()?;
        (std::os::unix::fs::MetadataExt::ino(&now) != std::os::unix::fs::MetadataExt::ino(&first))
            .then_some(())
    });
    eventually(PATIENCE, "an answer", || (!ask(&path, "pid").is_empty()).then_some(()));
    let kept = machine.journal();
    Kill::of(machine.main_pid(UNIT)).unwrap();
    machine.wait_property(UNIT, "NRestarts", "1");
    machine.wait_property(UNIT, "SubState", "running");
    assert_eq!(machine.property(UNIT, "NFileDescriptorStore"), "1", "{kept}");
    assert!(!ask(&path, "pid").is_empty());
    machine.systemctl(&["stop", UNIT]);
    machine.switch_off();
}

/// Says a word to the pool at a path and returns the answer, empty where there is none.
fn ask(path: &Path, word: &str) -> String {
    let mut answer = String::new();
    let Ok(mut stream) = UnixStream::connect(path) else { return answer };
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let _ = writeln!(stream, "{word}").and_then(|()| stream.read_to_string(&mut answer));
    answer
}
