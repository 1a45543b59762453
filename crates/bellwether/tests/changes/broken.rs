//! New generations that are no good: the old one goes on, and whoever asked is told why.

use std::fs;

use crate::clients::Door;
use crate::kit::{Launch, PATIENCE, Run, Verdict, eventually, example};
use crate::traffic::{Manner, beside};
use crate::way::{WAYS, Way, assert_answer, generation, members, told, wait_calm};

const HANDLERS: usize = 3;

/// How the next generation is broken, and what the operator reads about it.
const FORMS: [(&str, &str); 11] = [
    ("fail-load", "could not be loaded: this generation is told not to load"),
    ("crash-in-init", "the template ended: killed by signal 6 (SIGABRT)"),
    ("hang-in-init", "the application was not loaded, or not forked, within 2 s"),
    ("exit-at-once", "exited with status 0"),
    ("fail-start", "it was told to fail"),
    ("panic-at-start", "a handler did not become ready"),
    ("never-ready", "it was not ready within 2 s"),
    ("exit-after-ready", "a handler of the new generation ended: exited with status 0"),
    ("recycle-after-ready", "a handler of the new generation ended: exited with status 79"),
    ("lack-something", "exited with status 75"),
    ("want-no-successor", "exited with status 78"),
];

#[track_caller]
fn start() -> (Run, Door) {
    let launch = Launch::of(example("pool"));
    let (next, record) = (launch.path("next"), launch.path("record"));
    let paths = [format!("next={}", next.display()), format!("record={}", record.display())];
    let words = ["127.0.0.1:0", "handlers=3", "canary=500", "boot=2000"];
    let run = launch.args(words).args(paths).start();
    run.wait_ready(HANDLERS);
    let door = Door::of(&run);
    (run, door)
}

/// Says how the next generation is to behave.
fn next(run: &Run, word: &str) {
    fs::write(run.path("next"), word).unwrap();
}

/// Asserts that a change to a broken generation leaves everything as it was.
#[track_caller]
fn assert_changes_nothing(run: &Run, way: Way, form: &str, reason: &str) {
    let (before, pids) = (generation(run), run.handler_pids());
    next(run, form);
    let answer = way.ask(run);
    assert_answer(&answer, "failed", &[reason, way.consolation()]);
    assert_eq!((generation(run), members(run, before)), (before, pids), "{form}");
    wait_calm(run, HANDLERS);
    let told = told(run, "change");
    let last: Vec<_> = told.iter().rev().take_while(|it| !it.contains("begins")).collect();
    let failed = format!("{}: failed: ", way.verb());
    assert!(last[0].starts_with(&failed) && last[0].contains(reason), "{form}: {told:?}");
    assert!(last.iter().any(|it| it.contains("proves itself")), "{form}: {told:?}");
    assert_starts_once(run);
}

/// Asserts that whoever came after the first program, or came back, has not begun anew.
#[track_caller]
fn assert_starts_once(run: &Run) {
    let told = told(run, "start");
    let starts = told.iter().filter(|it| it.contains(" starts, ")).count();
    assert!(starts <= 1, "{told:?}");
}

#[test]
fn a_broken_generation_changes_nothing_and_says_why() {
    for way in WAYS {
        let (mut run, door) = start();
        let (ledger, ()) = beside(&door, Manner::Line, 2, |_| {
            for (form, reason) in FORMS {
                assert_changes_nothing(&run, *way, form, reason);
            }
            next(&run, "well");
            way.succeed(&run);
        });
        Verdict::join(&ledger, &run.path("record")).assert_all_answered();
        wait_calm(&run, HANDLERS);
        run.stop();
    }
}

#[test]
fn a_generation_that_fails_half_way_gives_back_what_it_took() {
    // After an upgrade the program from before would load the same failing application again.
    let (mut run, door) = start();
    let before = generation(&run);
    let (ledger, ()) = beside(&door, Manner::Line, 2, |_| {
        next(&run, "last-slot-fails");
        let answer = Way::Reload.ask(&run);
        assert_answer(&answer, "failed", &["this slot fails", "nothing was changed"]);
        assert_eq!(generation(&run), before);
        wait_calm(&run, HANDLERS);
        next(&run, "well");
        Way::Reload.succeed(&run);
    });
    Verdict::join(&ledger, &run.path("record")).assert_all_answered();
    run.stop();
}

#[test]
fn a_signal_that_asks_for_a_broken_generation_is_answered_in_the_log() {
    for way in WAYS {
        let (mut run, _) = start();
        let before = generation(&run);
        next(&run, "fail-load");
        run.signal(way.signal());
        let failed = format!("{} failed: ", way.verb());
        eventually(PATIENCE, "the log to say why", || run.stderr().contains(&failed).then_some(()));
        assert_eq!(generation(&run), before);
        wait_calm(&run, HANDLERS);
        run.stop();
    }
}
