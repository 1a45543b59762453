//! Programs whose spawner dies or is replaced: their queue goes on to the next.

use std::net::SocketAddr;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::process::Signal;

use crate::kit::{Launch, Run, assert_quiescent};
use crate::programs::Program;
use crate::trial::{PROGRAM, ask, free_port, run};

const FLAGS: &[&str] = &["--handlers", "2", "--orphan-grace", "4s"];

/// Kills the spawner of a program, lets another take over, and upgrades that, while clients ask.
#[track_caller]
fn check(name: &str) {
    let program = Program::all().into_iter().find(|it| it.name == name).unwrap();
    let (launch, port) = (Launch::of(PROGRAM), free_port());
    let command = program.command(&launch.path(""), port).filter(|_| program.missing().is_none());
    let Some(command) = command else { return println!("SKIPPED: {name} is not installed") };
    let mut first = run(launch, port, FLAGS, &command);
    first.wait_ready(2);
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let over = AtomicBool::new(false);
    let (mut successor, answers) = std::thread::scope(|scope| {
        let load = scope.spawn(|| ask(address, |_| !over.load(Ordering::Relaxed)));
        let successor = succeed(&mut first, port, &program);
        over.store(true, Ordering::Relaxed);
        (successor, load.join().unwrap())
    });
    let failed: Vec<_> = answers.failures.iter().take(5).collect();
    assert_eq!(failed, [""; 0], "{}\n{}", first.logs(), successor.logs());
    assert!(successor.stderr().contains("taken over from orphaned handlers"));
    first.wait_gone();
    assert_eq!(successor.stop().code(), Some(0), "{}", successor.logs());
    assert_quiescent(successor.baseline(), &successor);
}

fn succeed(first: &mut Run, port: u16, program: &Program) -> Run {
    first.processes(); // from now on they are known, even as zombies
    first.signal(Signal::KILL);
    first.wait();
    let flags = [FLAGS, &["--take-over"]].concat();
    let launch = Launch::of(PROGRAM).beside(first);
    let command = program.command(&launch.path(""), port).unwrap();
    let successor = run(launch, port, &flags, &command);
    successor.wait_ready(2);
    let mut upgrade = Command::new(PROGRAM);
    let upgrade = upgrade.arg("upgrade").env("BELLWETHER_RUNTIME_DIR", successor.runtime());
    let told = upgrade.output().unwrap();
    assert!(told.status.success(), "{told:?}\n{}", successor.logs());
    successor
}

#[test]
fn of_programs_that_wait_in_accept() {
    check("php -S");
}

#[test]
fn of_programs_that_never_block() {
    check("node http");
}

#[test]
fn of_programs_that_are_passed_their_address() {
    check("gunicorn");
}
