//! Handlers that die of their own application: H6, H16 and S12 of the fault catalogue.

use std::collections::BTreeSet;

use rustix::process::{Pid as Process, Signal, kill_process};

use crate::clients::Door;
use crate::journal::{alarms, assert_rare, said};
use crate::kit::{
    Hold, Kill, Launch, PATIENCE, Pid, Run, ZombieWatch, eventually, example, processes,
};
use crate::looks::{busy_and_idle, finish, handler, number, template, total};
use crate::pool::start;

#[test]
fn a_panic_costs_its_connection_and_nothing_else() {
    let run = start(&["handlers=1", "threads=4"]);
    let door = Door::of(&run);
    let pid: Pid = door.ask("pid").parse().unwrap();
    let others: Vec<_> = (0..3).map(|_| door.hold()).collect();
    for panics in 1..=3 {
        door.strike("panic");
        assert_eq!(door.ask("pid"), pid.to_string(), "the process survives");
        assert_eq!(number(&run, pid, "panics"), panics);
    }
    others.into_iter().for_each(crate::clients::Client::release);
    assert_eq!(total(&run, "crashed"), 0);
    assert_eq!(total(&run, "aborted"), 3);
    assert_eq!(said(&run, "a request panicked").len(), 3);
    finish(run);
}

/// Lets one handler of two end by this word while the other one holds a connection.
#[track_caller]
fn end_by(word: &str, how: &str) {
    let run = start(&["handlers=2"]);
    let door = Door::of(&run);
    let hold = door.hold();
    let (survivor, victim) = busy_and_idle(&run);
    door.strike(word);
    run.wait_ready(2);
    assert_eq!(busy_and_idle(&run).0, survivor, "{word}: it still has its connection");
    assert_eq!(handler(&run, victim), None, "{word}: it is gone");
    assert_ne!(door.ask("pid"), victim.to_string(), "{word}: another one serves");
    hold.release();
    assert_eq!(total(&run, "crashed"), 1, "{word} is counted");
    assert_eq!(said(&run, how).len(), 1, "{word} is told as {how:?}: {:?}", alarms(&run));
    finish(run);
}

#[test]
fn a_handler_that_crashes_is_replaced_and_the_others_notice_nothing() {
    end_by("abort", "killed by signal 6 (SIGABRT)");
    end_by("segv", "killed by signal 11 (SIGSEGV)");
    end_by("overflow", "killed by signal 6 (SIGABRT)");
    end_by("fail", "exited with status 1");
}

#[test]
fn a_handler_that_exits_unasked_is_a_crash_even_with_status_0() {
    end_by("exit", "exited with status 0");
}

fn handlers_beneath(run: &Run) -> usize {
    let family = processes::children(run.pid());
    family.iter().filter(|it| it.name.starts_with("bw:handler") && !it.is_zombie()).count()
}

#[test]
fn a_template_that_is_killed_is_replaced_and_the_handlers_serve_on() {
    let run = start(&["handlers=2"]);
    let (door, before, dead) = (Door::of(&run), run.handler_pids(), template(&run));
    Kill::of(dead).expect("it was alive");
    eventually(PATIENCE, "another template", || {
        door.ask("pid");
        processes::children(run.pid())
            .iter()
            .any(|it| it.name == "bw:template" && it.pid != dead && !it.is_zombie())
            .then_some(())
    });
    assert_eq!(run.handler_pids(), before, "nobody else died");
    Kill::of(before[0]).expect("it was alive");
    run.wait_ready(2);
    assert_eq!(total(&run, "crashed"), 1);
    finish(run);
}

#[test]
fn a_template_that_is_killed_while_it_forks_leaves_no_handler_that_nobody_knows() {
    for round in 0..10 {
        let pool = Launch::of(example("pool")).args(["127.0.0.1:0", "handlers=32"]);
        let run = pool.start();
        eventually(PATIENCE, "some handlers", || (handlers_beneath(&run) >= round).then_some(()));
        let template = eventually(PATIENCE, "the template", || {
            let family = processes::children(run.pid());
            family.iter().find(|it| it.name == "bw:template").map(|it| it.pid)
        });
        Kill::of(template).expect("it was alive");
        run.wait_ready(32);
        assert_eq!(handlers_beneath(&run), 32, "round {round}: as many as are known");
        finish(run);
    }
}

#[test]
fn two_hundred_handlers_killed_at_once_are_all_replaced() {
    let run = start(&["handlers=200"]);
    let before: BTreeSet<Pid> = run.handler_pids().into_iter().collect();
    assert_eq!(before.len(), 200);
    // Their deaths become one SIGCHLD: the spawner sleeps through them.
    let asleep = Hold::stop(&[run.pid()]);
    for pid in before.iter().filter_map(|pid| Process::from_raw(*pid)) {
        kill_process(pid, Signal::KILL).unwrap();
    }
    asleep.release();
    let zombies = ZombieWatch::over(run.pid());
    run.wait_ready(200);
    zombies.assert_none();
    let after: BTreeSet<Pid> = run.handler_pids().into_iter().collect();
    assert!(after.len() == 200 && after.is_disjoint(&before), "all are new");
    let totals = ["spawned", "exited", "alive", "crashed"].map(|name| total(&run, name));
    assert_eq!(totals, [400, 200, 200, 200]);
    assert_rare(&alarms(&run));
    Door::of(&run).ask("pid");
    finish(run);
}
