//! What many changes leave behind: nothing.

use crate::kit::{ZombieWatch, assert_conserved, assert_descriptors, usage};
use crate::pool::start;
use crate::way::{WAYS, Way, descriptors, wait_calm};

#[track_caller]
fn leave_nothing_behind(way: Way, changes: usize) {
    let mut run = start(&["handlers=2", "canary=1"]);
    // The first fill what is filled once: the heap, the journal, the tables of the kernel.
    (0..40).for_each(|_| way.succeed(&run));
    wait_calm(&run, 2);
    let (before, memory) = (descriptors(&run), usage::anonymous_kib(run.pid()));
    let zombies = ZombieWatch::over(run.pid());
    (0..changes).for_each(|_| way.succeed(&run));
    wait_calm(&run, 2);
    zombies.assert_none();
    let after = usage::anonymous_kib(run.pid());
    println!("{way:?}: {changes} changes, {before} descriptors, {memory} to {after} KiB");
    assert!(after < memory + 64, "the spawner grew from {memory} to {after} KiB");
    assert_descriptors(&run, before);
    assert_conserved(&run.status());
    run.stop();
}

#[test]
fn changes_leave_no_descriptor_zombie_or_memory_behind() {
    WAYS.iter().for_each(|way| leave_nothing_behind(*way, 60));
}

#[test]
#[ignore = "minutes: 1000 changes of each kind"]
fn a_thousand_changes_leave_no_descriptor_zombie_or_memory_behind() {
    WAYS.iter().for_each(|way| leave_nothing_behind(*way, 1000));
}
