//! The contract, on real processes and by counters: who wakes, who wins, who loses.

use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, Instant};

use kit::{Hold, PATIENCE, Pid, Run, Until, assert_conserved, eventually, load, usage};
use pool::{Held, each, say, start, sum, switches};

mod kit;
mod pool;

/// Sends one request to idle handlers; returns which of them the kernel woke.
fn woken_by_one_request(run: &Run) -> usize {
    let pids = run.handler_pids();
    let before = switches(&pids);
    let address = run.socket_addr();
    say(address, "pid");
    // A wake-up is counted when the woken one sleeps again: wait until nobody is on the way.
    let mut last = Vec::new();
    let after = eventually(PATIENCE, "the handlers to sleep again", || {
        let now = switches(&pids);
        let calm = now == last && pids.iter().all(|&pid| is_asleep(pid));
        last.clone_from(&now);
        calm.then_some(now)
    });
    before.iter().zip(&after).filter(|(before, after)| after > before).count()
}

fn is_asleep(pid: Pid) -> bool {
    kit::Process::find(pid).is_some_and(|process| process.state == 'S')
}

#[test]
fn the_arguments_of_a_program_that_asks_for_no_titles_are_shown_as_they_are() {
    let mut run = start(&["handlers=2"]);
    for pid in run.handler_pids().into_iter().chain([run.pid()]) {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap();
        assert!(String::from_utf8_lossy(&line).contains("handlers=2"), "{pid}: {line:?}");
    }
    run.stop();
}

#[test]
fn in_mode_all_one_request_wakes_all_and_one_wins() {
    let mut run = start(&["handlers=8", "notification=all"]);
    for round in 1..=5 {
        assert_eq!(woken_by_one_request(&run), 8, "round {round}");
        assert_eq!(sum(&run.status(), "wins"), round, "each request has exactly one winner");
    }
    assert_conserved(&run.status());
    run.stop();
}

#[test]
fn in_mode_some_two_one_request_wakes_at_most_two() {
    let mut run = start(&["handlers=8", "notification=some:2"]);
    let woken: Vec<_> = (0..5).map(|_| woken_by_one_request(&run)).collect();
    assert!(woken.iter().all(|&n| n == 1 || n == 2), "{woken:?}");
    assert!(woken.contains(&2), "a plurality, not one: {woken:?}");
    run.stop();
}

#[test]
fn in_mode_one_one_request_wakes_one() {
    let mut run = start(&["handlers=8", "notification=one"]);
    for _ in 0..5 {
        assert_eq!(woken_by_one_request(&run), 1);
    }
    assert!(sum(&run.status(), "losses") == 0, "nobody else tried");
    run.stop();
}

#[test]
fn in_mode_turn_one_request_wakes_one_and_all_get_equal_shares() {
    let mut run = start(&["handlers=8", "notification=turn"]);
    assert_eq!(woken_by_one_request(&run), 1);
    let address = run.socket_addr();
    for _ in 1..800 {
        say(address, "pid");
    }
    let wins = each(&run.status(), "wins");
    assert!(wins.iter().all(|&n| (99..=101).contains(&n)), "{wins:?}");
    run.stop();
}

/// Requests arrive while all handlers stand still; then all go on at once and race.
fn race(run: &Run, requests: usize) {
    let address = run.socket_addr();
    let hold = Hold::stop(&run.handler_pids());
    thread::scope(|scope| {
        for _ in 0..requests {
            scope.spawn(move || say(address, "pid"));
        }
        eventually(PATIENCE, "the requests to arrive", || {
            (run.pool()["addresses"][0]["depth"] == requests).then_some(())
        });
        hold.release();
    });
}

#[test]
fn losers_of_a_real_race_find_nothing_are_counted_and_win_later() {
    let mut run = start(&["handlers=8", "notification=all"]);
    eventually(Duration::from_secs(60), "half of the handlers to have lost and won", || {
        race(&run, 2);
        let status = run.status();
        let (wins, losses) = (each(&status, "wins"), each(&status, "losses"));
        ((0..8).filter(|&slot| wins[slot] > 0 && losses[slot] > 0).count() >= 4).then_some(())
    });
    let status = run.status();
    assert_conserved(&status);
    assert_eq!(sum(&status, "accept_errors"), 0, "losing is no error");
    assert!(!run.logs().contains("WARN") && !run.logs().contains("ERROR"), "{}", run.logs());
    run.stop();
}

#[test]
fn threads_race_like_processes_and_a_busy_one_does_not_wait() {
    for mode in ["all", "some:2", "one", "turn"] {
        let mode = format!("notification={mode}");
        let mut run = start(&["handlers=2", "threads=3", &mode]);
        let address = run.socket_addr();
        let held: Vec<_> = (0..6).map(|_| Held::open(address)).collect();
        assert_eq!(each(&run.status(), "open"), [3, 3], "{mode}: each thread holds one");
        let mut seventh = Held::ask(address);
        eventually(PATIENCE, "the seventh to wait in the buffer", || {
            (run.pool()["addresses"][0]["depth"] == 1).then_some(())
        });
        held.into_iter().for_each(Held::release);
        assert_eq!(seventh.line(), "held");
        seventh.release();
        let status = run.status();
        assert_eq!(sum(&status, "wins"), 7);
        assert_conserved(&status);
        run.stop();
    }
}

#[test]
fn two_handlers_use_all_processors() {
    let mut run = start(&["handlers=2", "notification=turn"]);
    let allowed = usage::allowed_processors(run.pid());
    let wanted = allowed.len().min(2);
    let address = run.socket_addr();
    let end = Instant::now() + PATIENCE;
    let mut used = BTreeSet::new();
    thread::scope(|scope| {
        let client = scope.spawn(move || load(address, 4, Until::Time(end - PATIENCE * 9 / 10)));
        while !client.is_finished() && used.len() < wanted {
            used.extend(run.handler_pids().into_iter().map(usage::last_processor));
        }
    });
    assert!(used.len() >= wanted, "used {used:?} of {allowed:?}");
    for pid in run.handler_pids() {
        assert_eq!(usage::allowed_processors(pid), allowed, "handlers may run everywhere");
    }
    run.stop();
}

#[test]
fn the_buffer_is_measured_while_all_handlers_are_busy() {
    let mut run = start(&["handlers=1"]);
    let address = run.socket_addr();
    let first = Held::open(address);
    let waiting: Vec<_> = (0..5).map(|_| Held::ask(address)).collect();
    eventually(PATIENCE, "five to wait", || {
        (run.pool()["addresses"][0]["depth"] == 5).then_some(())
    });
    assert!(run.pool()["addresses"][0]["limit"].as_u64() >= Some(5));
    first.release();
    for mut held in waiting {
        assert_eq!(held.line(), "held");
        held.release();
    }
    let pool = run.pool();
    let waits = pool["waits"]["counts"].as_array().map(Vec::as_slice).unwrap_or_default();
    let counted: u64 = waits.iter().filter_map(serde_json::Value::as_u64).sum();
    assert_eq!(counted, 6, "the wait of every request is recorded");
    run.stop();
}

#[test]
fn a_request_that_waits_for_a_frozen_handler_goes_to_another() {
    for mode in ["all", "some:2", "one", "turn"] {
        let mode = format!("notification={mode}");
        let mut run = start(&["handlers=3", &mode]);
        let address = run.socket_addr();
        let pids = run.handler_pids();
        // A stopped process does not wait, so the kernel passes it over; one that was woken and then
        // dies before it accepts is the fault tests' (faults/sweep.rs).
        let frozen = Hold::stop(&pids[..2]);
        let answer = say(address, "pid");
        assert_eq!(answer, pids[2].to_string(), "{mode}");
        drop(frozen);
        run.stop();
    }
}
