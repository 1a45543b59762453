//! Requests that always kill their handler: what they cost the others, and what they do not.

use std::io::Write;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use crate::entries::{finish, first, of_kind, total};
use crate::kit::wait::pulse;
use crate::kit::{Load, Run, Until, eventually};
use crate::pool::{connect, start};

const LASTING: Duration = Duration::from_secs(10);

/// Sends so many deadly requests at this pace and does not wait for what comes of them.
fn kill_by_requests(run: &Run, many: usize, pace: Duration) {
    send(run, "abort", many, pace);
}

/// Sends a word so often at this pace and does not wait for what comes of it.
fn send(run: &Run, word: &str, many: usize, pace: Duration) {
    let (address, mut clients) = (run.socket_addr(), Vec::new());
    pulse(pace, || {
        let mut client = connect(address);
        client.write_all(format!("{word}\n").as_bytes()).unwrap();
        clients.push(client);
        if clients.len() < many { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
}

/// Asks for the status all the time; the longest that an answer took.
fn slowest_answer(run: &Run) -> Duration {
    let (control, end) = (run.control(), Instant::now() + LASTING);
    let mut slowest = Duration::ZERO;
    pulse(Duration::from_millis(20), || {
        let asked = Instant::now();
        control.status().expect("the spawner answers");
        slowest = slowest.max(asked.elapsed());
        if Instant::now() < end { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    slowest
}

#[test]
fn deadly_requests_cost_hardly_any_other() {
    let run = start(&["handlers=8"]);
    let ledger = std::thread::scope(|scope| {
        let load = Load {
            address: run.socket_addr(),
            clients: 4,
            until: Until::Requests(500),
            patience: Duration::from_secs(10),
            pace: Duration::from_millis(10),
        };
        let others = scope.spawn(move || load.run());
        let answers = scope.spawn(|| slowest_answer(&run));
        kill_by_requests(&run, 500, Duration::from_millis(20));
        println!("the slowest status took {:?}", answers.join().unwrap());
        others.join().unwrap()
    });
    let failed = ledger.entries().filter(|it| !it.is_answered()).count();
    println!("{failed} of {} other requests failed", ledger.len());
    assert!(failed * 100 <= ledger.len(), "{failed} of {}", ledger.len());
    assert!(run.stderr().contains("handlers die again and again"), "it is told");
    let over = first(&run, "crash-loop");
    assert!(over["reason"].as_str().unwrap().contains("is over"), "{over}");
    run.wait_ready(8);
    assert_eq!(total(&run, "spawned"), 8 + total(&run, "crashed"), "as many as died");
    finish(run);
}

#[test]
fn no_more_handlers_are_made_than_the_budget_allows() {
    const DEADLY: usize = 200;
    let run = start(&["handlers=16", "crash_budget=300"]);
    let since = Instant::now();
    kill_by_requests(&run, DEADLY, Duration::from_millis(50));
    let spawned = total(&run, "spawned") as f64;
    let elapsed = since.elapsed();
    // Five a second, and what was not used for ten seconds.
    let allowed = 16.0 + 51.0 + 5.0 * elapsed.as_secs_f64();
    println!("{spawned} handlers in {elapsed:?}, {allowed} allowed");
    assert!(spawned <= allowed, "{spawned} in {elapsed:?}");
    eventually(LASTING * 6, "the deadly requests to be served", || {
        (total(&run, "crashed") == DEADLY as u64).then_some(())
    });
    run.wait_ready(16);
    finish(run);
}

#[test]
fn handlers_that_always_contradict_themselves_are_replaced_within_the_budget() {
    let mut run = start(&["handlers=4", "crash_budget=60"]);
    // A spawner that sleeps is woken by who waits, not by who is taken at once.
    let crowd: Vec<_> = (0..8).map(|_| connect(run.socket_addr())).collect();
    eventually(LASTING, "somebody to wait", || {
        (run.pool()["addresses"][0]["depth"].as_u64() > Some(0)).then_some(())
    });
    drop(crowd);
    let since = Instant::now();
    send(&run, "scribble", 100, Duration::from_millis(50));
    let spawned = total(&run, "spawned") as f64;
    let elapsed = since.elapsed();
    // One a second, and what was not used for ten seconds.
    let allowed = 4.0 + 11.0 + elapsed.as_secs_f64();
    println!("{spawned} handlers in {elapsed:?}, {allowed} allowed");
    assert!(spawned <= allowed, "{spawned} in {elapsed:?}");
    let exits = of_kind(&run, "exit");
    assert!(exits.iter().any(|it| it["cause"] == "contradiction"), "{exits:#?}, {:#}", run.pool());
    assert!(run.stderr().contains("handlers die again and again"), "it is told");
    run.wait_ready(4);
    run.stop();
}
