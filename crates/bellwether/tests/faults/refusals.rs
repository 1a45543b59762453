//! What `accept` can answer but a connection, one row an errno: K1–K5 of the fault catalogue.

use std::time::Instant;

use rustix::process::Signal;

use crate::clients::Door;
use crate::journal::{alarms, assert_rare, said};
use crate::kit::{Launch, PATIENCE, Pid, Run, eventually, example};
use crate::looks::{busy_and_idle, finish, handler, idle_in, number, total};
use crate::pool::start;
use crate::tracer::{Tracer, can_trace};

/// That one connection failed on its way.
const RETRIED: [&str; 13] = [
    "ECONNABORTED",
    "EPROTO",
    "ENETDOWN",
    "ENOPROTOOPT",
    "EHOSTDOWN",
    "ENONET",
    "EHOSTUNREACH",
    "EOPNOTSUPP",
    "ENETUNREACH",
    "EPERM",
    "EINTR",
    "ECONNRESET",
    "ETIMEDOUT",
];

/// A resource is used up; and an errno that accept(2) does not know.
const PAUSED: [&str; 5] = ["EMFILE", "ENFILE", "ENOBUFS", "ENOMEM", "EDQUOT"];

/// The listener itself is broken.
const LEFT: [&str; 4] = ["EBADF", "EINVAL", "ENOTSOCK", "EFAULT"];

const MODES: [&str; 4] = ["all", "some:2", "one", "turn"];

/// Lets `accept` fail in one handler: `when` as strace(1) reads it, from now on.
#[track_caller]
fn refuse(run: &Run, pid: Pid, errno: &str, when: &str) -> Tracer {
    Tracer::attach(run, pid, "accept4,accept", &[&format!("accept4,accept:error={errno}{when}")])
}

fn refusals(run: &Run, pid: Pid) -> u64 {
    number(run, pid, "accept_errors")
}

#[track_caller]
fn wait_for_refusals(run: &Run, pid: Pid, least: u64) {
    eventually(PATIENCE, &format!("{least} refusals in {pid}"), || {
        (refusals(run, pid) >= least).then_some(())
    });
}

#[test]
fn a_connection_that_failed_on_its_way_is_passed_over_at_once_and_without_a_word() {
    if !can_trace() {
        return;
    }
    let run = start(&["handlers=1"]);
    let (door, pid) = (Door::of(&run), idle_in(&run, 0));
    for errno in RETRIED {
        let before = refusals(&run, pid);
        let tracer = refuse(&run, pid, errno, ":when=1..3");
        assert_eq!(door.ask("pid"), pid.to_string(), "{errno}");
        assert_eq!(refusals(&run, pid), before + 3, "{errno} is counted");
        tracer.detach();
    }
    assert_eq!(alarms(&run), [], "nobody can do anything about it");
    finish(run);
}

#[test]
fn connections_that_fail_without_end_do_not_make_a_handler_spin() {
    if !can_trace() {
        return;
    }
    let run = start(&["handlers=1"]);
    let (door, pid) = (Door::of(&run), idle_in(&run, 0));
    let tracer = refuse(&run, pid, "ECONNABORTED", "");
    let began = Instant::now();
    let mut client = door.say("pid");
    eventually(PATIENCE, "three complaints", || {
        (said(&run, "cannot accept").len() >= 3).then_some(())
    });
    // After 16 at once it pauses for 10 ms each time; a nudge may cut one pause in a hundred ms.
    let refused = u128::from(refusals(&run, pid));
    let most = 32 + began.elapsed().as_millis() / 10 + began.elapsed().as_millis() / 100;
    assert!(refused <= most, "{refused} refusals, at most {most} are patient");
    assert_rare(&alarms(&run));
    tracer.detach();
    assert_eq!(client.answer(), Some(pid.to_string()));
    finish(run);
}

#[test]
fn a_handler_that_lacks_a_resource_pauses_and_serves_again_when_there_is_some() {
    if !can_trace() {
        return;
    }
    let run = start(&["handlers=2"]);
    let door = Door::of(&run);
    for errno in PAUSED {
        let hold = door.hold();
        let (_, victim) = busy_and_idle(&run);
        let tracer = refuse(&run, victim, errno, "");
        let before = refusals(&run, victim);
        let mut client = door.say("pid");
        wait_for_refusals(&run, victim, before + 3);
        tracer.detach();
        assert_eq!(client.answer(), Some(victim.to_string()), "{errno}");
        hold.release();
    }
    assert_eq!(total(&run, "crashed"), 0);
    assert_rare(&alarms(&run));
    finish(run);
}

#[test]
fn the_pauses_of_a_handler_that_lacks_a_resource_grow_to_a_second() {
    if !can_trace() {
        return;
    }
    let run = start(&["handlers=2"]);
    let door = Door::of(&run);
    let hold = door.hold();
    let (_, victim) = busy_and_idle(&run);
    let tracer = refuse(&run, victim, "EMFILE", "");
    let began = Instant::now();
    let mut client = door.say("pid");
    eventually(PATIENCE, "four complaints", || {
        (said(&run, "cannot accept").len() >= 4).then_some(())
    });
    // 10 ms, 20 ms, … 640 ms, and then one a second.
    let (refused, most) = (refusals(&run, victim), 8 + began.elapsed().as_secs());
    tracer.detach();
    assert_eq!(client.answer(), Some(victim.to_string()));
    hold.release();
    assert_rare(&said(&run, "cannot accept"));
    assert!(refused <= most, "{refused} refusals, but the pauses allow {most}");
    finish(run);
}

#[test]
fn while_one_handler_lacks_a_resource_the_other_answers_in_every_mode() {
    if !can_trace() {
        return;
    }
    for mode in MODES {
        let run = start(&["handlers=2", &format!("notification={mode}")]);
        let (door, victim, other) = (Door::of(&run), idle_in(&run, 0), idle_in(&run, 1));
        let tracer = refuse(&run, victim, "EMFILE", "");
        for _ in 0..5 {
            assert_eq!(door.ask("pid"), other.to_string(), "{mode}");
        }
        tracer.detach();
        assert_rare(&alarms(&run));
        finish(run);
    }
}

#[test]
fn a_handler_with_a_broken_listener_is_replaced_and_its_request_served() {
    if !can_trace() {
        return;
    }
    let run = start(&["handlers=2"]);
    let door = Door::of(&run);
    for (crashed, errno) in (1..).zip(LEFT) {
        let hold = door.hold();
        let (busy, victim) = busy_and_idle(&run);
        let tracer = refuse(&run, victim, errno, "");
        let answer = door.ask("pid");
        assert!(answer != victim.to_string() && answer != busy.to_string(), "{errno}: {answer}");
        tracer.detach();
        assert_eq!(handler(&run, victim), None, "{errno}: the handler is gone");
        assert_eq!(total(&run, "crashed"), crashed, "{errno}: once, not in a loop");
        hold.release();
    }
    assert_eq!(said(&run, "the listener is broken, the handler leaves").len(), LEFT.len());
    assert!(!said(&run, "its listener was broken").is_empty(), "the spawner says it too");
    assert_eq!(total(&run, "spawned"), 2 + LEFT.len() as u64);
    finish(run);
}

#[test]
fn an_interrupted_wait_is_no_event() {
    if !can_trace() {
        return;
    }
    let run = start(&["handlers=1"]);
    let (door, pid) = (Door::of(&run), idle_in(&run, 0));
    for process in [pid, run.pid()] {
        let fault = "?epoll_wait,?epoll_pwait,?epoll_pwait2:error=EINTR:when=2..4";
        let tracer = Tracer::attach(&run, process, "?epoll_pwait", &[fault]);
        assert_eq!(door.ask("pid"), pid.to_string());
        eventually(PATIENCE, "three interruptions", || {
            run.status(); // wakes the spawner
            door.ask("pid"); // wakes the handler
            (tracer.injected() == 3).then_some(())
        });
        tracer.detach();
    }
    assert_eq!(alarms(&run), []);
    finish(run);
}

/// How many descriptors a process may have open: its soft limit.
#[track_caller]
fn may_open(pid: Pid) -> u64 {
    let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    line.unwrap().split_whitespace().next().unwrap().parse().unwrap()
}

#[test]
fn the_spawner_raises_its_limit_for_a_whole_change_and_handlers_keep_the_operators() {
    let limits = "ulimit -S -n 64; ulimit -H -n 300; exec \"$@\"";
    let launch = Launch::of("/bin/sh").args(["-c", limits, "sh"]);
    let words = ["127.0.0.1:0", "handlers=40", "surge=40"];
    let run = launch.arg(example("pool")).args(words).start();
    run.wait_ready(40);
    let before = run.handler_pids();
    assert_eq!(may_open(run.pid()), 300);
    run.signal(Signal::HUP);
    eventually(PATIENCE, "the end of the reload", || {
        (run.pool()["generation"] == 2 && run.status()["change"].is_null()).then_some(())
    });
    let after = run.handler_pids();
    assert!(after.iter().all(|pid| !before.contains(pid) && may_open(*pid) == 64));
    assert_eq!(alarms(&run), []);
    finish(run);
}

#[test]
fn handlers_whose_descriptors_are_used_up_leave_the_rest_in_the_buffer() {
    // In a handler there is room for an epoll a thread, but not for a connection a thread as well.
    // (The spawner may raise its own limit, hence the soft one.)
    let launch = Launch::of("/bin/sh").args(["-c", "ulimit -S -n 32; exec \"$@\"", "sh"]);
    let words = ["127.0.0.1:0", "handlers=2", "threads=16"];
    let run = launch.arg(example("pool")).args(words).start();
    run.wait_ready(2);
    let door = Door::of(&run);
    let mut clients: Vec<_> = (0..32).map(|_| door.say("hold")).collect();
    eventually(PATIENCE, "a complaint of each handler", || {
        (said(&run, "cannot accept").len() >= 2).then_some(())
    });
    let waiting = eventually(PATIENCE, "requests to wait", || {
        run.pool()["addresses"][0]["depth"].as_u64().filter(|&depth| depth > 0)
    });
    let held = u64::from(32u32) - waiting;
    assert!(held >= 8, "{held} held, {waiting} waiting: the limit leaves room for a few each");
    // Each that goes makes room for one that waits.
    clients.iter_mut().for_each(|client| client.let_go());
    for mut client in clients {
        assert_eq!(client.answer().as_deref(), Some("held"));
        assert_eq!(client.answer().as_deref(), Some("released"));
    }
    assert_rare(&alarms(&run));
    assert_eq!(total(&run, "crashed"), 0);
    finish(run);
}
