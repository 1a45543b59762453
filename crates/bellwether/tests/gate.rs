//! Asynchronous handlers: what the gate lets in, and what it leaves to others.
#![cfg(feature = "tokio")]
#![allow(clippy::unwrap_used, reason = "all of it is test code")]

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

use rustix::process::{PidfdFlags, PidfdGetfdFlags, Resource, Rlimit, pidfd_getfd, pidfd_open};

use kit::{
    Launch, PATIENCE, Pid, Run, Signal, assert_conserved, control, eventually, example, usage,
};
use pool::{Held, each, say};

mod kit;
mod pool;

fn start(limit: &str, words: &[&str]) -> Run {
    let run = Launch::of(example("gate")).args(["127.0.0.1:0", limit]).args(words).start();
    let number = words.iter().find_map(|word| word.strip_prefix("handlers=")?.parse().ok());
    run.wait_ready(number.unwrap_or(1));
    run
}

fn depth(run: &Run) -> u64 {
    run.pool()["addresses"][0]["depth"].as_u64().unwrap_or_default()
}

#[test]
fn a_full_handler_leaves_the_next_in_the_buffer() {
    // With and without a thread of the gate's own.
    for (threads, runtime) in [(1, 1), (2, 1), (1, 2)] {
        let words = ["handlers=2", &format!("threads={threads}"), &format!("runtime={runtime}")];
        let mut run = start("2", &words);
        let address = run.socket_addr();
        let mut held: Vec<_> = (0..4 * threads).map(|_| Held::open(address)).collect();
        let mut next = Held::ask(address);
        eventually(PATIENCE, "one to wait", || (depth(&run) == 1).then_some(()));
        held.remove(0).release();
        assert_eq!(next.line(), "held", "as soon as there is room");
        held.into_iter().for_each(Held::release);
        next.release();
        assert_conserved(&run.status());
        run.stop();
    }
}

#[test]
fn long_connections_spread_over_the_handlers() {
    for mode in ["all", "some:2", "one", "turn"] {
        let mut run = start("1000", &["handlers=4", &format!("notification={mode}")]);
        let address = run.socket_addr();
        // A fair share is 20, and a handler leaves newcomers to others while it holds more than 4
        // above that; unless they do not come in time, as on a machine that is busy elsewhere.
        eventually(PATIENCE, &format!("fair shares in mode {mode}"), || {
            let held: Vec<_> = (0..80).map(|_| Held::open(address)).collect();
            let shares = each(&run.status(), "open");
            held.into_iter().for_each(Held::release);
            shares.iter().all(|share| (1..=32).contains(share)).then_some(())
        });
        run.stop();
    }
}

#[test]
fn a_panic_costs_its_connection_alone() {
    let mut run = start("100", &["handlers=1"]);
    let address = run.socket_addr();
    let other = Held::open(address);
    assert_eq!(say(address, "panic"), "");
    other.release();
    eventually(PATIENCE, "the books to close", || {
        (run.pool()["totals"]["in_flight"] == 0).then_some(())
    });
    let status = run.status();
    assert_eq!(control::pool(&status)["totals"]["aborted"], 1);
    assert_eq!(control::pool(&status)["totals"]["exited"], 0, "the process lives on");
    assert_conserved(&status);
    run.stop();
}

#[test]
fn a_panic_before_the_first_await_costs_its_connection_alone() {
    let mut run = start("100", &["handlers=1", "early=panic"]);
    let address = run.socket_addr();
    for _ in 0..5 {
        assert_eq!(say(address, "pid"), "");
    }
    eventually(PATIENCE, "five to be counted", || {
        (run.pool()["totals"]["aborted"] == 5).then_some(())
    });
    assert_eq!(run.pool()["totals"]["exited"], 0, "the process lives on");
    assert_conserved(&run.status());
    run.stop();
}

#[test]
fn a_stop_waits_for_what_was_accepted_and_for_what_waits() {
    for runtime in [1, 2] {
        let mut run = start("1", &["handlers=1", &format!("runtime={runtime}")]);
        let address = run.socket_addr();
        let held = Held::open(address);
        let mut next = Held::ask(address);
        eventually(PATIENCE, "one to wait", || (depth(&run) == 1).then_some(()));
        run.signal(Signal::TERM);
        held.release();
        assert_eq!(next.line(), "held", "a stop empties the buffer");
        next.release();
        assert!(run.wait().success());
        run.wait_gone();
    }
}

#[test]
fn a_handler_that_cannot_start_is_told_with_its_reason() {
    let words = ["127.0.0.1:0", "1", "handlers=2", "threads=2", "start=fail"];
    let mut run = Launch::of(example("gate")).args(words).start();
    assert_eq!(run.wait().code(), Some(70));
    assert!(run.stderr().contains("it could not start: it was told to fail"), "{}", run.logs());
}

#[test]
fn with_more_threads_of_a_runtime_one_that_blocks_does_not_block_the_others() {
    let mut run = start("100", &["handlers=1", "runtime=2"]);
    let address = run.socket_addr();
    let other = std::thread::spawn(move || say(address, "meet"));
    assert_eq!(say(address, "meet"), "met", "each blocks a thread until the other comes");
    assert_eq!(other.join().unwrap(), "met");
    assert_conserved(&run.status());
    run.stop();
}

/// Threads of each handler.
fn threads_of(run: &Run) -> Vec<usize> {
    run.handler_pids().into_iter().map(usage::number_of_threads).collect()
}

#[test]
fn the_gate_of_a_runtime_of_one_thread_has_no_thread_and_gets_none() {
    for mode in ["all", "some:2", "one", "turn"] {
        let mut run = start("3", &["handlers=2", &format!("notification={mode}")]);
        assert_eq!(threads_of(&run), [1, 1], "in mode {mode}");
        let address = run.socket_addr();
        for _ in 0..2 {
            (0..20).for_each(|_| assert_ne!(say(address, "pid"), ""));
            // Full, so that the gates leave their places and come back.
            let held: Vec<_> = (0..6).map(|_| Held::open(address)).collect();
            held.into_iter().for_each(Held::release);
            assert_eq!(say(address, "panic"), "");
        }
        assert_eq!(threads_of(&run), [1, 1], "in mode {mode}");
        run.stop();
    }
    let mut run = start("3", &["handlers=1", "threads=3"]);
    assert_eq!(threads_of(&run), [3]);
    run.stop();
}

#[test]
fn the_gate_of_a_runtime_of_several_threads_has_one_of_its_own() {
    let mut run = start("3", &["handlers=1", "runtime=2"]);
    // The one that started it, two that serve, the gate.
    assert_eq!(threads_of(&run), [4]);
    run.stop();
}

#[test]
fn who_has_not_started_takes_nobodys_wake() {
    // In turn: were the second already among those who wait, the second wake would be its.
    let words = ["127.0.0.1:0", "9", "handlers=2", "notification=turn", "start=halt", "grace=100"];
    let mut run = Launch::of(example("gate")).args(words).start();
    let (started, other) = eventually(PATIENCE, "one of two to be ready, both to be there", || {
        let status = run.control().status().ok()?;
        let started = *control::ready(&status).first()?;
        let other = control::listed(&status).into_iter().find(|pid| *pid != started)?;
        Some((started, other))
    });
    let (switches, time) = (usage::voluntary_switches(other), usage::processor_time(other));
    for _ in 0..60 {
        assert_eq!(say(run.socket_addr(), "pid"), started.to_string());
    }
    let woken = usage::voluntary_switches(other) - switches;
    assert!(woken < 8, "it was woken {woken} times");
    assert!(usage::processor_time(other) - time < 5, "it spins");
    run.stop();
}

/// Renews all handlers, and returns who serves then.
fn renew(run: &Run, old: Pid) -> Pid {
    run.signal(Signal::HUP);
    eventually(PATIENCE, "a successor that serves alone", || {
        let status = run.status();
        let new = control::ready(&status).into_iter().find(|pid| *pid != old);
        new.filter(|_| status["change"].is_null() && control::ready(&status).len() == 1)
    })
}

#[test]
fn who_leaves_takes_nobodys_wake_while_its_connections_last() {
    for mode in ["all", "one", "turn"] {
        for runtime in [1, 2] {
            let words =
                ["handlers=1", &format!("notification={mode}"), &format!("runtime={runtime}")];
            let mut run = start("9", &words);
            let address = run.socket_addr();
            let old = run.handler_pids()[0];
            let held = Held::open(address);
            let new = renew(&run, old).to_string();
            let (switches, time) = (usage::voluntary_switches(old), usage::processor_time(old));
            for _ in 0..50 {
                assert_eq!(say(address, "pid"), new, "in mode {mode}");
            }
            // A gate that has a thread of its own takes its count with it.
            let woken = usage::voluntary_switches(old).saturating_sub(switches);
            assert!(woken < 5, "it was woken {woken} times in mode {mode}");
            let spent = usage::processor_time(old).saturating_sub(time);
            assert!(spent < 5, "it spent {spent} hundredths of a second in mode {mode}");
            held.release();
            run.stop();
        }
    }
}

/// The process, in the words of the kernel's other calls.
fn raw(pid: Pid) -> rustix::process::Pid {
    rustix::process::Pid::from_raw(pid).unwrap()
}

/// Shuts down the listeners of a handler, for all who share them.
fn shut_listeners_of(handler: Pid) {
    let process = pidfd_open(raw(handler), PidfdFlags::empty()).unwrap();
    let numbers = fs::read_dir(format!("/proc/{handler}/fd")).unwrap().flatten();
    let numbers = numbers.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let take = |number| pidfd_getfd(&process, number, PidfdGetfdFlags::empty()).ok();
    let listens = |fd: &_| rustix::net::sockopt::socket_acceptconn(fd).unwrap_or(false);
    let listeners: Vec<_> = numbers.filter_map(take).filter(listens).collect();
    assert!(!listeners.is_empty());
    for listener in listeners {
        rustix::net::shutdown(&listener, rustix::net::Shutdown::Both).unwrap();
    }
}

#[test]
fn a_listener_that_was_shut_down_serves_again() {
    let mut run = start("9", &["handlers=3", "notification=all"]);
    for _ in 0..3 {
        shut_listeners_of(run.handler_pids()[0]);
        eventually(PATIENCE, "three to wait where somebody listens", || {
            std::net::TcpStream::connect(run.socket_addr()).ok()?;
            (control::ready(&run.status()).len() == 3).then_some(())
        });
        assert_ne!(say(run.socket_addr(), "pid"), "");
    }
    let lost = |run: &Run| run.pool()["totals"]["losses"].as_u64().unwrap();
    let before = lost(&run);
    (0..100).for_each(|_| assert_ne!(say(run.socket_addr(), "pid"), ""));
    let lost = lost(&run) - before;
    assert!(lost <= 400, "100 requests woke three, who lost {lost} times");
    run.stop();
}

#[test]
fn a_unix_listener_that_was_shut_down_is_opened_anew() {
    let launch = Launch::of(example("gate"));
    let path = launch.path("s");
    let words = [&format!("unix:{}", path.display()), "9", "handlers=2"];
    let mut run = launch.args(words).start();
    run.wait_ready(2);
    for _ in 0..2 {
        shut_listeners_of(run.handler_pids()[0]);
        eventually(PATIENCE, "an answer", || ask_unix(&path).filter(|answer| !answer.is_empty()));
        run.wait_ready(2);
    }
    run.stop();
}

fn ask_unix(path: &Path) -> Option<String> {
    let mut stream = UnixStream::connect(path).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    stream.write_all(b"pid\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}

#[test]
fn who_has_no_descriptor_left_stays_out_until_it_has() {
    let mut run = start("9", &["handlers=1"]);
    let handler = run.handler_pids()[0];
    let maximum = rustix::process::getrlimit(Resource::Nofile).maximum;
    let bound = |current| {
        let limit = Rlimit { current, maximum };
        rustix::process::prlimit(Some(raw(handler)), Resource::Nofile, limit).unwrap().current
    };
    let before = bound(Some(3));
    let mut next = Held::ask(run.socket_addr());
    let wakeups = |run: &Run| run.pool()["totals"]["wakeups"].as_u64().unwrap();
    eventually(PATIENCE, "it to try again after pauses", || (wakeups(&run) >= 4).then_some(()));
    let wakeups = wakeups(&run);
    assert!(wakeups < 20, "it tried {wakeups} times");
    bound(before);
    assert_eq!(next.line(), "held");
    next.release();
    assert_eq!(threads_of(&run), [1]);
    run.stop();
}
