//! What ps(1) and top(1) show of the processes of a server.

use std::fs;
use std::path::PathBuf;

use crate::kit::{Kill, PATIENCE, Run, eventually};
use crate::stage::{ask, serve};

fn of(pid: i32, file: &str) -> PathBuf {
    format!("/proc/{pid}/{file}").into()
}

/// The line of a process, without the room behind it.
fn title(pid: i32) -> String {
    let bytes = fs::read(of(pid, "cmdline")).unwrap_or_default();
    String::from_utf8(bytes).unwrap().trim_end_matches('\0').to_owned()
}

#[track_caller]
fn wait_for_title(pid: i32, expected: &str) {
    eventually(PATIENCE, &format!("the title {expected:?}, not {:?}", title(pid)), || {
        (title(pid) == expected).then_some(())
    });
}

/// Whether the kernel lets a process have one.
fn has_titles(run: &Run) -> bool {
    let has = title(run.pid()).starts_with("bellwether: ");
    if !has {
        println!("SKIPPED: titles: the kernel refuses PR_SET_MM_MAP");
    }
    has
}

#[test]
fn every_process_says_what_it_is() {
    let mut run = serve(&["--name", "shop"]);
    if !has_titles(&run) {
        return;
    }
    wait_for_title(run.pid(), "bellwether: spawner shop 2/2 handlers");
    let comm = |pid| fs::read_to_string(of(pid, "comm")).unwrap();
    assert_eq!(comm(run.pid()), "bellwether\n");
    let pids = run.handler_pids();
    for (slot, pid) in pids.iter().enumerate() {
        wait_for_title(*pid, &format!("bellwether: handler {slot} gen 1 of shop"));
        assert_eq!(comm(*pid), format!("bw:handler {slot}\n"));
    }
    let parent = pids[0];
    Kill::of(parent).expect("it lived");
    eventually(PATIENCE, "another handler in its place", || {
        let now = run.handler_pids();
        (now.len() == 2 && !now.contains(&parent)).then_some(())
    });
    wait_for_title(run.pid(), "bellwether: spawner shop 2/2 handlers");
    assert_eq!(run.stop().code(), Some(0));
}

#[test]
fn titles_follow_a_reload_and_the_arguments_stay_for_an_upgrade() {
    let mut run = serve(&["--name", "shop", "--canary", "0s"]);
    if !has_titles(&run) {
        return;
    }
    for (change, generation) in [("reload", 2), ("upgrade", 3)] {
        assert!(ask(&run, &[change]).status.success(), "{change}: {}", run.stderr());
        wait_for_title(run.pid(), "bellwether: spawner shop 2/2 handlers");
        let words = format!(" gen {generation} of shop");
        eventually(PATIENCE, &format!("handlers with {words:?}"), || {
            run.handler_pids().iter().all(|pid| title(*pid).ends_with(&words)).then_some(())
        });
    }
    assert_eq!(run.stop().code(), Some(0));
}
