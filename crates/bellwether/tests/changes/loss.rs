//! Changes under load: nothing is refused, reset, answered wrongly or twice.

use crate::clients::Door;
use crate::kit::{Launch, PATIENCE, Run, Verdict, assert_conserved, eventually, example};
use crate::traffic::{Manner, beside};
use crate::way::{WAYS, Way, generation, members, wait_calm};

const HANDLERS: usize = 3;

/// How much is asked for, of the server and by its clients.
#[derive(Clone, Copy, Debug)]
struct Amount {
    changes: u64,
    requests: usize,
}

const FEW: Amount = Amount { changes: 6, requests: 0 };
const MANY: Amount = Amount { changes: 100, requests: 100_000 };
const UPGRADES: Amount = Amount { changes: 20, requests: 100_000 };

/// Starts a program that keeps a record, on a port or on a socket file.
#[track_caller]
fn start_on(kind: &str, program: &str) -> (Run, Door) {
    let launch = Launch::of(example(program));
    let address = match kind {
        "unix" => format!("unix:{}", launch.path("door.sock").display()),
        _ => "127.0.0.1:0".to_owned(),
    };
    let record = format!("record={}", launch.path("record").display());
    let words = [&address, "handlers=3", "canary=20", &record];
    let run = launch.args(words).start();
    run.wait_ready(HANDLERS);
    let door = Door::of(&run);
    (run, door)
}

#[track_caller]
fn lose_nothing(way: Way, kind: &str, program: &str, manner: Manner, amount: Amount) {
    let (mut run, door) = start_on(kind, program);
    let first = generation(&run);
    let (ledger, ()) = beside(&door, manner, 4, |traffic| {
        for number in 1..=amount.changes {
            way.succeed(&run);
            assert_eq!(generation(&run), first + number);
        }
        eventually(10 * PATIENCE, "enough requests", || {
            (traffic.made() >= amount.requests).then_some(())
        });
    });
    let verdict = Verdict::join(&ledger, &run.path("record"));
    println!("{way:?} {kind} {manner:?}: {} changes, {} answers", amount.changes, ledger.len());
    verdict.assert_all_answered();
    assert!(ledger.len() >= 100, "only {} requests", ledger.len());
    wait_calm(&run, HANDLERS);
    assert_conserved(&run.status());
    run.stop();
}

#[track_caller]
fn lose_nothing_over(manner: Manner, program: &str, amount: impl Fn(Way) -> Amount) {
    for way in WAYS {
        for kind in ["tcp", "unix"] {
            lose_nothing(*way, kind, program, manner, amount(*way));
        }
    }
}

fn full(way: Way) -> Amount {
    if way == Way::Reload { MANY } else { UPGRADES }
}

#[test]
fn changes_lose_no_connection_of_one_line() {
    lose_nothing_over(Manner::Line, "pool", |_| FEW);
}

#[test]
#[cfg(feature = "http")]
fn changes_lose_no_short_http_connection() {
    lose_nothing_over(Manner::Short, "web", |_| FEW);
}

#[test]
#[cfg(feature = "http")]
fn changes_lose_no_request_of_a_connection_that_is_kept() {
    lose_nothing_over(Manner::Keep, "web", |_| FEW);
}

#[test]
#[ignore = "minutes: 100 reloads and 20 upgrades, each beside 100,000 requests"]
fn many_changes_lose_no_connection_of_one_line() {
    lose_nothing_over(Manner::Line, "pool", full);
}

#[test]
#[cfg(feature = "http")]
#[ignore = "minutes: 100 reloads and 20 upgrades, each beside 100,000 requests"]
fn many_changes_lose_no_short_http_connection() {
    lose_nothing_over(Manner::Short, "web", full);
}

#[test]
#[cfg(feature = "http")]
#[ignore = "minutes: 100 reloads and 20 upgrades, each beside 100,000 requests"]
fn many_changes_lose_no_request_of_a_connection_that_is_kept() {
    lose_nothing_over(Manner::Keep, "web", full);
}

#[test]
fn a_change_does_not_wait_for_long_requests_and_lets_them_finish() {
    for way in WAYS {
        for kind in ["tcp", "unix"] {
            let (mut run, door) = start_on(kind, "pool");
            let first = generation(&run);
            // Every handler is busy, and stays so for longer than the change.
            let holds: Vec<_> = (0..HANDLERS).map(|_| door.hold()).collect();
            way.succeed(&run);
            way.succeed(&run);
            assert_eq!(members(&run, first).len(), HANDLERS, "they finish their requests");
            assert_eq!(generation(&run), first + 2);
            holds.into_iter().for_each(crate::clients::Client::release);
            wait_calm(&run, HANDLERS);
            run.stop();
        }
    }
}

#[test]
fn requests_that_wait_in_the_buffer_are_served_by_the_new_generation() {
    for way in WAYS {
        let (mut run, door) = start_on("tcp", "pool");
        let old = members(&run, generation(&run));
        let holds: Vec<_> = (0..HANDLERS).map(|_| door.hold()).collect();
        let mut waiting: Vec<_> = (0..5).map(|_| door.say("pid")).collect();
        way.succeed(&run);
        for client in &mut waiting {
            let pid = client.answer().and_then(|it| it.parse().ok()).expect("a pid");
            assert!(!old.contains(&pid), "{pid} is old and was busy");
        }
        holds.into_iter().for_each(crate::clients::Client::release);
        run.stop();
    }
}
