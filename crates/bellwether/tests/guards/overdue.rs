//! Handlers whose request takes longer than the hard deadline: they end, nobody else does.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use crate::entries::{finish, first, of_kind, total};
use crate::kit::{Hold, PATIENCE, Pid, Run, Signal, Until, eventually, load, processes};
use crate::pool::{Held, connect, say, start};

/// Long beside an ordinary request on a busy machine.
const HARD: Duration = Duration::from_millis(1500);

/// Waits until a handler is busy: its pid.
#[track_caller]
fn busy(run: &Run) -> Pid {
    eventually(PATIENCE, "a busy handler", || {
        let pool = run.pool();
        let handlers = pool["handlers"].as_array()?;
        let busy = handlers.iter().find(|it| it["state"] == "busy")?;
        Pid::try_from(busy["pid"].as_i64()?).ok()
    })
}

/// Asserts that the handler of this request ends, that nobody else does, and what is told of it.
#[track_caller]
fn ends(word: &str, is_stopped: bool, evidence: &str) {
    let run = start(&["handlers=3", "hard=1500"]);
    let (address, before) = (run.socket_addr(), run.handler_pids());
    let since = Instant::now();
    let mut client = Held::ask_to(address, word);
    let victim = busy(&run);
    let _stopped = is_stopped.then(|| {
        assert_eq!(client.line(), "held");
        Hold::stop(&[victim])
    });
    let ledger = std::thread::scope(|scope| {
        let until = Until::Time(Instant::now() + 2 * HARD);
        let others = scope.spawn(move || load(address, 2, until));
        assert_eq!(client.rest(), "", "{word}: it has no answer");
        println!("{word}: cut after {:?} of {HARD:?}", since.elapsed());
        others.join().unwrap()
    });
    assert!(ledger.len() > 1 && ledger.entries().all(|it| it.is_answered()), "{word}: {ledger:?}");
    eventually(PATIENCE, "the end of the handler", || (!processes::is_alive(victim)).then_some(()));

    let entry = first(&run, "deadline");
    let told = entry["reason"].as_str().unwrap();
    assert_eq!(entry["pid"], victim, "{entry}");
    assert_eq!(entry["rule"], "hard_deadline", "{entry}");
    assert!(told.contains(&format!("`{word}`")) && told.contains(evidence), "{word}: {told}");
    assert_eq!(entry["inputs"]["limit_s"], HARD.as_secs_f64());
    assert!(entry["inputs"]["elapsed_s"].as_f64() >= Some(HARD.as_secs_f64()), "{entry}");
    let exit = first(&run, "exit");
    assert_eq!((&exit["pid"], exit["cause"].as_str()), (&victim.into(), Some("deadline")));

    run.wait_ready(3);
    let after = run.handler_pids();
    assert!(before.iter().all(|pid| *pid == victim || after.contains(pid)), "nobody else died");
    assert_eq!((total(&run, "exited"), total(&run, "crashed")), (1, 0));
    finish(run);
}

#[test]
fn a_handler_in_an_endless_loop_is_ended() {
    ends("spin", false, "running");
}

#[test]
fn a_handler_that_ignores_sigterm_is_ended() {
    ends("ignore-term", false, "SIGTERM ignored");
}

#[test]
fn a_handler_that_was_stopped_is_ended() {
    ends("hold", true, "stopped");
}

#[test]
fn a_handler_that_leaves_is_ended_too() {
    let mut run = start(&["handlers=1", "hard=1500", "grace=60000"]);
    let mut client = Held::open(run.socket_addr());
    run.signal(Signal::TERM);
    assert_eq!(client.rest(), "", "long before its grace is over");
    run.wait();
    run.wait_gone();
}

#[test]
fn a_request_that_begins_while_the_spawner_sleeps_has_its_deadline_too() {
    let run = start(&["handlers=1", "hard=1500"]);
    for _ in 0..3 {
        assert_eq!(say(run.socket_addr(), "spin"), "");
        run.wait_ready(1);
    }
    assert_eq!(of_kind(&run, "deadline").len(), 3);
    finish(run);
}

#[test]
fn what_ends_in_time_is_left_alone() {
    let run = start(&["handlers=2", "hard=1500"]);
    let end = Instant::now() + 2 * HARD;
    while Instant::now() < end {
        let held = Held::open(run.socket_addr());
        assert_eq!(say(run.socket_addr(), "over"), "Some(false)");
        held.release();
    }
    assert_eq!(total(&run, "exited"), 0);
    finish(run);
}

#[test]
fn a_spawner_that_overslept_does_not_kill_on_that_account() {
    let run = start(&["handlers=1", "hard=2000"]);
    let held = Held::open(run.socket_addr());
    let seen = busy(&run);
    let asleep = Hold::stop(&[run.pid()]);
    let since = Instant::now();
    pass(since, Duration::from_secs(3));
    asleep.release();
    // Whoever counted that time would have killed at the first look.
    pass(since, Duration::from_millis(3500));
    held.release();
    assert_eq!(run.handler_pids(), [seen], "nobody died");
    assert_eq!(total(&run, "exited"), 0);
    finish(run);
}

#[test]
fn what_waited_too_long_in_the_buffer_is_still_served_if_that_is_quick() {
    let run = start(&["handlers=1", "hard=1500"]);
    let address = run.socket_addr();
    let first = Held::open(address);
    let pid = busy(&run);
    // Stopped, so that what holds the handler does not end it.
    let asleep = Hold::stop(&[run.pid()]);
    let since = Instant::now();
    let mut waiting = connect(address);
    waiting.write_all(b"pid\n").unwrap();
    pass(since, 2 * HARD);
    first.release();
    let mut answer = String::new();
    waiting.read_to_string(&mut answer).unwrap();
    asleep.release();
    assert_eq!(answer.trim_end(), pid.to_string());
    finish(run);
}

/// Lets so much time pass.
#[track_caller]
fn pass(since: Instant, time: Duration) {
    eventually(PATIENCE, "time to pass", || (since.elapsed() >= time).then_some(()));
}
