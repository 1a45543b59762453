//! Without a successor nothing is left: orphans end by themselves, whatever they have in hand.

use crate::clients::Door;
use crate::kit::{Launch, PATIENCE, Run, eventually, example};
use crate::pool::Held;
use crate::successor::{behead, pool, start};

/// How often orphans said that they cut so many connections.
fn cuts(run: &Run, words: &str) -> usize {
    run.stderr().lines().filter(|line| line.contains("is gone") && line.contains(words)).count()
}

#[test]
fn what_an_orphan_has_in_hand_gets_the_stop_grace_and_is_cut_then() {
    let mut run = start(pool(), "127.0.0.1:0", &["orphan=200", "grace=300"]);
    let mut client = Door::of(&run).hold();
    behead(&mut run);
    run.wait_gone();
    assert_eq!(client.answer(), None, "it was cut");
    assert_eq!(cuts(&run, "; 1 connection is cut"), 1, "{}", run.stderr());
}

#[test]
fn a_request_that_ends_in_time_is_not_cut() {
    let mut run = start(pool(), "127.0.0.1:0", &["orphan=200", "grace=60000"]);
    let client = Door::of(&run).hold();
    behead(&mut run);
    client.release();
    run.wait_gone();
    assert_eq!(cuts(&run, "cut"), 0, "{}", run.stderr());
}

#[test]
fn orphans_all_of_whose_threads_are_in_a_loop_end_too() {
    let mut run = start(pool(), "127.0.0.1:0", &["threads=2", "orphan=200", "grace=200"]);
    let door = Door::of(&run);
    let mut clients: Vec<_> = (0..4).map(|_| door.say("spin")).collect();
    eventually(PATIENCE, "all to be busy", || {
        let pool = run.pool();
        let busy = pool["handlers"].as_array()?.iter().all(|it| it["open"] == 2);
        busy.then_some(())
    });
    behead(&mut run);
    run.wait_gone();
    assert_eq!(cuts(&run, "; 2 connections are cut"), 2, "{}", run.stderr());
    assert!(clients.iter_mut().all(|client| client.answer().is_none()));
}

#[test]
fn a_hard_deadline_is_kept_without_a_spawner() {
    let mut run = start(pool(), "127.0.0.1:0", &["orphan=200", "grace=600000", "hard=300"]);
    let _client = Door::of(&run).hold();
    behead(&mut run);
    run.wait_gone();
}

#[test]
fn an_orphan_that_never_became_ready_ends_too() {
    let words = ["127.0.0.1:0", "start=hang", "orphan=200", "grace=200"];
    let mut run = pool().args(words).start();
    eventually(PATIENCE, "a handler that hangs", || {
        run.processes().iter().any(|it| it.name.starts_with("bw:handler")).then_some(())
    });
    behead(&mut run);
    run.wait_gone();
}

#[test]
fn an_asynchronous_orphan_cuts_what_does_not_end() {
    let words = ["127.0.0.1:0", "8", "handlers=2", "orphan=200", "grace=300"];
    let mut run = Launch::of(example("gate")).args(words).start();
    run.wait_ready(2);
    let address = run.socket_addr();
    let held: Vec<_> = (0..4).map(|_| Held::open(address)).collect();
    behead(&mut run);
    run.wait_gone();
    assert!(cuts(&run, "cut") >= 1, "{}", run.stderr());
    drop(held);
}
