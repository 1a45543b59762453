//! A name has one spawner, and comes back to it when somebody removes its folder.

use std::fs;
use std::path::{Path, PathBuf};

use crate::clients::Door;
use crate::crowd::Crowd;
use crate::kit::{Hold, Launch, PATIENCE, Pid, Run, eventually, usage};
use crate::successor::{pool, start};

/// The folder of a server under its runtime directory.
#[track_caller]
fn folder(run: &Run) -> PathBuf {
    fs::read_dir(run.runtime()).unwrap().next().unwrap().unwrap().path()
}

/// Waits until the server answers again.
#[track_caller]
fn wait_reachable(run: &Run) {
    let answer = eventually(PATIENCE, "the control socket", || run.control().status().ok());
    assert_eq!(answer["pid"], run.pid());
}

#[track_caller]
fn wait_for_words(run: &Run, words: &str) {
    eventually(PATIENCE, words, || run.stderr().contains(words).then_some(()));
}

fn remove(path: &Path) {
    // The server may be putting it there again by now.
    let _ = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
}

#[test]
fn a_removed_control_socket_comes_back_and_nobody_is_refused_meanwhile() {
    let mut run = start(pool(), "127.0.0.1:0", &[]);
    let crowd = Crowd::at(&Door::of(&run), 2);
    let (folder, base) = (folder(&run), run.runtime().to_owned());
    for removed in [folder.join("control.sock"), folder, base] {
        let before = run.stderr().matches("the control socket was gone").count();
        remove(&removed);
        eventually(PATIENCE, "the server to notice", || {
            let now = run.stderr().matches("the control socket was gone").count();
            (now > before).then_some(())
        });
        wait_reachable(&run);
    }
    assert!(crowd.disperse().requests > 0);
    run.stop();
}

#[test]
fn descriptors_do_not_grow_with_the_removals() {
    let mut run = start(pool(), "127.0.0.1:0", &[]);
    let (folder, before) = (folder(&run), usage::descriptors(run.pid()));
    for removals in 1..=10 {
        remove(&folder);
        eventually(PATIENCE, "the server to notice", || {
            let said = run.stderr().matches("the control socket was gone").count();
            (said >= removals).then_some(())
        });
    }
    wait_reachable(&run);
    eventually(PATIENCE, "as many descriptors as before", || {
        (usage::descriptors(run.pid()) == before).then_some(())
    });
    run.stop();
}

#[test]
fn a_name_that_was_taken_meanwhile_stays_with_its_new_owner_and_comes_back_after_it() {
    let mut first = start(pool(), "127.0.0.1:0", &["name=shop"]);
    let door = Door::of(&first);
    let held = Hold::stop(&[first.pid()]);
    remove(&folder(&first));
    let mut second = start(pool().beside(&first), "127.0.0.1:0", &["name=shop"]);
    held.release();
    wait_for_words(&first, "no control socket, serving goes on");
    assert_eq!(second.status()["pid"], second.pid(), "the name is the second one's");
    assert!(second.is_alive() && first.is_alive());
    let answer: Pid = door.ask("pid").parse().unwrap();
    assert!(!second.handler_pids().contains(&answer), "the first one serves on");
    second.stop();
    wait_reachable(&first);
    first.stop();
}

#[test]
fn after_a_removal_the_name_is_still_its_owners() {
    let mut run = start(pool(), "127.0.0.1:0", &["name=shop"]);
    remove(&folder(&run));
    wait_for_words(&run, "the control socket was gone");
    let mut other = pool().beside(&run).args(["127.0.0.1:0", "name=shop"]).start();
    assert_eq!(other.wait().code(), Some(69));
    let owner = format!("a running server has it, process {}", run.pid());
    assert!(other.stderr().contains(&owner), "{}", other.stderr());
    run.stop();
}

#[test]
fn a_folder_that_cannot_be_made_is_told_once_and_tried_again() {
    let launch: Launch = pool();
    let mut run = start(launch, "127.0.0.1:0", &[]);
    let (base, door) = (run.runtime().to_owned(), Door::of(&run));
    let held = Hold::stop(&[run.pid()]);
    remove(&base);
    fs::write(&base, "in the way").unwrap();
    held.release();
    wait_for_words(&run, "no control socket, serving goes on");
    assert!(!door.ask("pid").is_empty());
    remove(&base);
    wait_reachable(&run);
    assert_eq!(run.stderr().matches("no control socket").count(), 1, "{}", run.stderr());
    run.stop();
}
