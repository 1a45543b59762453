//! Blocking handlers: what they do with the late, and when nobody is late.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use crate::entries::{finish, of_kind, total};
use crate::kit::{Launch, PATIENCE, Run, Signal, eventually, example};
use crate::pool::{Held, say, start};
use crate::{assert_shed, end_of_overload, overload, wait_for};

/// A pool whose only handler is busy, and clients that wait.
fn busy(word: &str, waiting: usize) -> (Run, Held, Vec<Held>) {
    let run = start(&["handlers=1", word]);
    let address = run.socket_addr();
    let held = Held::open(address);
    (run, held, (0..waiting).map(|_| Held::ask(address)).collect())
}

/// On time is who comes while nobody waits; unless the machine is busy elsewhere.
fn assert_serves(run: &Run) {
    let address = run.socket_addr();
    eventually(PATIENCE, "somebody to be on time", || {
        (!say(address, "pid").is_empty()).then_some(())
    });
}

#[test]
fn the_late_are_closed_the_others_served_and_nobody_is_late_afterwards() {
    let (run, held, mut late) = busy("shed=close", 4);
    assert_eq!(overload(&run)["inputs"]["depth"], 4.0);
    assert!(run.stderr().contains("whoever has waited longer than 50 ms is sent away"));
    held.release();
    assert!(late.iter_mut().all(|it| it.rest().is_empty()));
    assert_eq!(total(&run, "requests"), 1, "what is sent away is no request");
    end_of_overload(&run, 4);
    let address = run.socket_addr();
    assert!((0..20).all(|_| !say(address, "pid").is_empty()));
    assert_shed(&run, 4);
    assert_eq!(total(&run, "requests"), 21);
    finish(run);
}

#[test]
fn a_handler_may_say_something_to_the_late() {
    let (run, held, mut late) = busy("shed=say", 3);
    overload(&run);
    held.release();
    late.iter_mut().for_each(|it| assert_eq!(it.rest(), "too late\n"));
    assert_shed(&run, 3);
    finish(run);
}

#[test]
fn a_panic_for_the_late_costs_nobody_else() {
    let (run, held, mut late) = busy("shed=panic", 2);
    overload(&run);
    held.release();
    assert!(late.iter_mut().all(|it| it.rest().is_empty()));
    assert_serves(&run);
    assert_eq!((total(&run, "aborted"), total(&run, "exited")), (total(&run, "shed"), 0));
    assert!(total(&run, "shed") >= 2);
    finish(run);
}

#[test]
fn without_shedding_the_late_are_counted_and_served() {
    let (run, held, late) = busy("grace=30000", 3);
    wait_for(Duration::from_secs(1));
    held.release();
    for mut late in late {
        assert_eq!(late.line(), "held");
        late.release();
    }
    assert_shed(&run, 0);
    assert_eq!((total(&run, "late"), of_kind(&run, "overload").len()), (3, 0));
    finish(run);
}

#[test]
fn a_stop_serves_the_late() {
    let (mut run, held, late) = busy("shed=close", 2);
    overload(&run);
    run.signal(Signal::TERM);
    eventually(PATIENCE, "the stop", || (run.status()["state"] == "stopping").then_some(()));
    held.release();
    for mut late in late {
        assert_eq!(late.line(), "held", "nobody comes after it who could be on time");
        late.release();
    }
    assert!(run.wait().success());
    run.wait_gone();
}

#[test]
fn at_a_unix_socket_nobody_is_late() {
    let launch = Launch::of(example("pool"));
    let path = launch.path("s");
    let words = [format!("unix:{}", path.display()), "handlers=1".into(), "shed=close".into()];
    let run = launch.args(words).start();
    run.wait_ready(1);
    let mut held = ask_unix(&path);
    assert_eq!(line(&mut held), "held\n");
    let mut waiting = ask_unix(&path);
    wait_for(Duration::from_secs(1));
    drop(held);
    assert_eq!(line(&mut waiting), "held\n");
    drop(waiting);
    assert_shed(&run, 0);
    assert_eq!((total(&run, "late"), of_kind(&run, "overload").len()), (0, 0));
    finish(run);
}

fn ask_unix(path: &Path) -> BufReader<UnixStream> {
    let mut stream = UnixStream::connect(path).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(b"hold\n").unwrap();
    BufReader::new(stream)
}

fn line(stream: &mut BufReader<UnixStream>) -> String {
    let mut line = String::new();
    stream.read_line(&mut line).unwrap();
    line
}
