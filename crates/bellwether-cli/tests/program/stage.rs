//! Starting the program, with or without success.

use std::path::Path;
use std::process::{Command, Output};

use crate::kit::{Launch, Run, assert_quiescent};

/// The program under test.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_bellwether");

/// Starts `bellwether serve` with two handlers on a free port, and waits until both are ready.
#[track_caller]
pub(crate) fn serve(arguments: &[&str]) -> Run {
    let run = serving().args(arguments).start();
    run.wait_ready(2);
    run
}

/// The same before it is started; more arguments may follow.
pub(crate) fn serving() -> Launch {
    Launch::of(PROGRAM).args(["serve", "--listen", "127.0.0.1:0", "--handlers", "2"])
}

/// Starts a server of a directory that this fills, with these flags.
#[track_caller]
pub(crate) fn serve_site(flags: &[&str], fill: impl FnOnce(&Path)) -> Run {
    let launch = serving();
    let site = launch.path("site");
    std::fs::create_dir(&site).unwrap();
    fill(&site);
    let run = launch.args(flags).arg(&site).start();
    run.wait_ready(2);
    run
}

/// Runs a shell script that ends in `exec "$0" …`, where `$0` is the program.
pub(crate) fn shell(script: &str) -> Launch {
    Launch::of("/bin/sh").args(["-c", script, PROGRAM])
}

/// Asserts that the program refuses to start: with this exit status, with one line that has these
/// words (the object, and what to try), with nothing on standard output and nothing left behind.
#[track_caller]
pub(crate) fn refused(launch: Launch, status: i32, words: &[&str]) {
    let mut run = launch.start();
    assert_refused(&mut run, status, words);
    assert_quiescent(run.baseline(), &run);
}

/// The same without a look at what is left, where another server runs in the same place.
#[track_caller]
pub(crate) fn assert_refused(run: &mut Run, status: i32, words: &[&str]) {
    let code = run.wait().code();
    let said = run.stderr();
    assert_eq!(code, Some(status), "{said}");
    assert!(said.starts_with("error: "), "{said}");
    for word in words {
        assert!(said.contains(word), "no {word:?} in: {said}");
    }
    assert!(said.lines().count() <= 2 || status == 64, "more than a line and a hint: {said}");
    assert_eq!(run.stdout(), "");
}

/// Runs the program to its end in the runtime directory of a server.
#[track_caller]
pub(crate) fn ask(run: &Run, arguments: &[&str]) -> Output {
    let mut command = Command::new(PROGRAM);
    command.args(arguments).env("BELLWETHER_RUNTIME_DIR", run.runtime()).output().unwrap()
}

/// Whether a client is installed; says so where it is not.
pub(crate) fn has(tool: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).any(|folder| folder.join(tool).is_file());
    if !found {
        println!("SKIPPED: {tool}: it is not installed");
    }
    found
}

/// A path as an argument.
pub(crate) fn text(path: &Path) -> &str {
    path.to_str().expect("paths of tests are text")
}
