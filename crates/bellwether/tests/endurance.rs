//! What many lives leave behind, and what an idle pool costs: nothing.

use kit::{Kill, PATIENCE, Run, ZombieWatch, assert_conserved, eventually, usage};
use pool::start;

mod kit;
mod pool;

const CYCLES: u64 = 10_000;

/// Kills all handlers that are there; the spawner makes new ones.
fn cull(run: &Run) {
    for pid in run.handler_pids() {
        Kill::of(pid);
    }
}

fn spawned(run: &Run) -> u64 {
    run.pool()["totals"]["spawned"].as_u64().unwrap_or_else(|| panic!("no number"))
}

/// Memory that the spawner alone uses, when all 64 handlers are there and nothing moves.
fn at_rest(run: &Run) -> (usize, u64) {
    run.wait_ready(64);
    // The control connection of the last look is closed a moment after it.
    let mut last = 0;
    let descriptors = eventually(PATIENCE, "the descriptors to be steady", || {
        let before = std::mem::replace(&mut last, usage::descriptors(run.pid()));
        (before == last).then_some(last)
    });
    (descriptors, usage::written_kib(run.pid()))
}

#[test]
fn ten_thousand_lives_leave_no_descriptor_zombie_or_memory_behind() {
    let mut run = start(&["handlers=64"]);
    // The first thousand fill what is filled once (the heap, the tables of the kernel).
    while spawned(&run) < 1_000 {
        cull(&run);
    }
    let (descriptors, memory) = at_rest(&run);
    let zombies = ZombieWatch::over(run.pid());
    while spawned(&run) < 1_000 + CYCLES {
        cull(&run);
    }
    zombies.assert_none();
    let (descriptors_after, memory_after) = at_rest(&run);
    assert_eq!(descriptors_after, descriptors, "descriptors of the spawner");
    assert!(memory_after < memory + 64, "the spawner grew from {memory} to {memory_after} KiB");
    assert_conserved(&run.status());
    run.stop();
}

#[test]
fn an_idle_pool_of_64_does_not_wake_its_spawner() {
    let mut run = start(&["handlers=64"]);
    let address = run.socket_addr();
    pool::say(address, "pid"); // awake once, so that falling asleep again is seen
    let mut rested = Vec::new();
    eventually(PATIENCE, "two seconds in a row without a wake-up of the spawner", || {
        rested.push((std::time::Instant::now(), usage::voluntary_switches(run.pid())));
        let (now, count) = *rested.last()?;
        let two_seconds_ago = now.checked_sub(std::time::Duration::from_secs(2))?;
        let earlier = rested.iter().rev().find(|(then, _)| *then <= two_seconds_ago)?;
        (earlier.1 == count).then_some(())
    });
    run.stop();
}
