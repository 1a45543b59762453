//! Forks that the kernel refuses: S16 and S17 of the fault catalogue.

use std::time::Instant;

use rustix::process::{Signal, kill_process};

use crate::clients::Door;
use crate::journal::{alarms, assert_rare, said};
use crate::kit::{
    Kill, Launch, PATIENCE, Process, Run, assert_quiescent, eventually, example, usage,
};
use crate::looks::{finish, idle_in, template, total};
use crate::pool::start;
use crate::tracer::{FORKS, Tracer, can_trace};

/// Starts a pool whose process stands still before it has done anything, with forks that fail.
#[track_caller]
fn start_refused(words: &[&str], when: &str, family: bool) -> (Run, Tracer) {
    let launch = Launch::of("/bin/sh").args(["-c", "kill -STOP $$; exec \"$@\"", "sh"]);
    let run = launch.arg(example("pool")).arg("127.0.0.1:0").args(words).start();
    eventually(PATIENCE, "the shell to stand still", || {
        (Process::find(run.pid())?.state == 'T').then_some(())
    });
    let fault = format!("{FORKS}:error=EAGAIN{when}");
    let tracer = Tracer::attach_stopped(&run, FORKS, &[&fault], family);
    kill_process(rustix::process::Pid::from_raw(run.pid()).unwrap(), Signal::CONT).unwrap();
    (run, tracer)
}

/// Asks the survivors until so many forks have failed.
#[track_caller]
fn ask_while_forks_fail(tracer: &Tracer, failures: usize, door: &Door) {
    eventually(PATIENCE, &format!("{failures} forks to fail"), || {
        door.ask("pid");
        (tracer.injected() >= failures).then_some(())
    });
}

#[test]
fn killed_handlers_come_back_when_the_template_can_fork_again() {
    if !can_trace() {
        return;
    }
    for (errno, failures) in [("EAGAIN", 4), ("ENOMEM", 3)] {
        let run = start(&["handlers=3"]);
        let door = Door::of(&run);
        let fault = format!("{FORKS}:error={errno}:when=1..{failures}");
        let tracer = Tracer::attach(&run, template(&run), FORKS, &[&fault]);
        let (switches, began) = (usage::voluntary_switches(run.pid()), Instant::now());
        for slot in 0..2 {
            Kill::of(idle_in(&run, slot)).expect("it was alive");
        }
        ask_while_forks_fail(&tracer, failures, &door);
        let woken = usage::voluntary_switches(run.pid()) - switches;
        // While requests come it looks ten times a second; it does not turn in a loop.
        let most = 100 + 20 * (began.elapsed().as_secs() + 1);
        assert!(woken <= most, "{errno}: the spawner woke {woken} times, not {most}");
        run.wait_ready(3);
        assert_eq!(total(&run, "crashed"), 2, "{errno}: a fork that failed is no crash");
        assert_rare(&alarms(&run));
        finish(run);
    }
}

#[test]
fn handlers_come_back_when_only_the_go_between_cannot_fork_for_a_while() {
    if !can_trace() {
        return;
    }
    let run = start(&["handlers=2"]);
    // Counted for each process alone: the one fork of each go-between fails, and one of the template.
    let fault = format!("{FORKS}:error=EAGAIN:when=1");
    let tracer = Tracer::attach_family(&run, template(&run), FORKS, &[&fault]);
    Kill::of(idle_in(&run, 0)).expect("it was alive");
    ask_while_forks_fail(&tracer, 3, &Door::of(&run));
    tracer.detach();
    run.wait_ready(2);
    assert_eq!(total(&run, "crashed"), 1);
    assert_rare(&alarms(&run));
    finish(run);
}

#[test]
fn a_server_whose_first_forks_fail_starts_all_the_same() {
    if !can_trace() {
        return;
    }
    let (run, tracer) = start_refused(&["handlers=2"], ":when=1..2", false);
    run.wait_ready(2);
    assert_eq!(tracer.injected(), 2);
    tracer.detach();
    assert!(said(&run, "the template could not be forked").len() == 1, "said once, not twice");
    finish(run);
}

#[test]
fn a_server_that_can_never_fork_says_so_and_ends() {
    if !can_trace() {
        return;
    }
    let (mut run, tracer) = start_refused(&["handlers=2"], "", true);
    assert_eq!(run.wait().code(), Some(70));
    let errors = run.stderr();
    let last = errors.lines().last().expect("a last word");
    assert!(last.starts_with("error: no handler became ready"), "{last}");
    assert!(last.contains("the template could not be forked"), "{last}");
    assert_eq!(tracer.injected(), 4, "as many attempts as it says");
    tracer.detach();
    assert_quiescent(run.baseline(), &run);
}
