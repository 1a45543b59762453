//! Handlers that have served long enough: replaced one at a time, the new one first.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::entries::{finish, first, of_kind, total};
use crate::kit::{
    Launch, LiveSeries, PATIENCE, Run, Signal, Until, Verdict, eventually, example, load,
};
use crate::pool::{say, start};

/// Asserts that each handler was gone before the next one was chosen.
#[track_caller]
fn assert_one_at_a_time(journal: &[Value]) {
    let mut worn = None;
    for entry in journal {
        match entry["kind"].as_str() {
            Some("recycle") => {
                let before = worn.replace(entry["pid"].clone());
                assert_eq!(before, None, "still there when {entry}");
            }
            Some("exit") if worn.as_ref() == Some(&entry["pid"]) => worn = None,
            _ => {}
        }
    }
}

/// Asserts that handlers ended by recycling and by nothing else.
#[track_caller]
fn assert_all_recycled(run: &Run) {
    let exits = of_kind(run, "exit");
    assert!(!exits.is_empty() && exits.iter().all(|it| it["cause"] == "recycle"), "{exits:?}");
    assert_eq!(total(run, "crashed"), 0);
}

#[test]
fn handlers_that_have_served_enough_are_replaced_under_load_without_a_failure() {
    let launch = Launch::of(example("pool"));
    let record = launch.path("record");
    let word = format!("record={}", record.display());
    let words = ["127.0.0.1:0", "handlers=4", "max_requests=100", &word];
    let run = launch.args(words).start();
    run.wait_ready(4);
    let live = LiveSeries::of(&run);
    let ledger = load(run.socket_addr(), 4, Until::Time(Instant::now() + Duration::from_secs(5)));
    assert_eq!(live.longest_below(4), Duration::ZERO, "never fewer than are wanted");
    Verdict::join(&ledger, &record).assert_all_answered();
    let recycled = of_kind(&run, "recycle");
    assert!(recycled.len() > 3, "{} of {} requests", recycled.len(), ledger.len());
    for entry in &recycled {
        assert_eq!(entry["rule"], "max_requests", "{entry}");
        let (value, limit) = (entry["inputs"]["value"].as_f64(), entry["inputs"]["limit"].as_f64());
        assert!(value >= limit && limit > Some(89.0) && limit <= Some(100.0), "{entry}");
    }
    assert_one_at_a_time(&run.journal());
    assert_all_recycled(&run);
    finish(run);
}

#[cfg(feature = "http")]
#[test]
fn a_handler_that_one_lasting_connection_wears_out_is_replaced() {
    use std::io::{Read, Write};
    use std::ops::ControlFlow;

    use crate::kit::wait::pulse;
    use crate::pool::connect;

    let run = Launch::of(example("web")).args(["127.0.0.1:0", "handlers=1", "max_requests=20"]);
    let run = run.start();
    run.wait_ready(1);
    let mut proxy = connect(run.socket_addr());
    // Slowly: when the limit is reached the spawner has been asleep for a while.
    let mut asked = 0;
    pulse(Duration::from_millis(100), || {
        proxy.write_all(b"GET /deadline HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        assert!(proxy.read(&mut [0; 1024]).unwrap() > 0);
        asked += 1;
        if asked < 25 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    // Not by its journal: who asks the spawner wakes it.
    eventually(PATIENCE, "the end of its service", || {
        run.logs().contains("replacing a handler: it has served").then_some(())
    });
    drop(proxy);
    assert_eq!(first(&run, "recycle")["rule"], "max_requests");
    finish(run);
}

#[test]
fn handlers_of_an_age_are_replaced_even_while_nobody_comes() {
    let run = start(&["handlers=3", "max_age=2000"]);
    let before: BTreeSet<_> = run.handler_pids().into_iter().collect();
    let live = LiveSeries::of(&run);
    eventually(PATIENCE, "other handlers", || {
        let after: BTreeSet<_> = run.handler_pids().into_iter().collect();
        (after.len() == 3 && after.is_disjoint(&before)).then_some(())
    });
    assert_eq!(live.longest_below(3), Duration::ZERO, "never fewer than are wanted");
    assert!(of_kind(&run, "recycle").iter().all(|it| it["rule"] == "max_age"));
    assert_one_at_a_time(&run.journal());
    assert_all_recycled(&run);
    finish(run);
}

#[test]
fn a_handler_that_has_grown_too_fat_is_replaced_and_the_others_stay() {
    let run = start(&["handlers=3", "max_memory=64"]);
    let before: BTreeSet<_> = run.handler_pids().into_iter().collect();
    assert_eq!(say(run.socket_addr(), "leak 100"), format!("leaked {}", 100 << 20));
    let entry = eventually(PATIENCE, "a handler to be recycled", || {
        // Requests keep the spawner awake.
        say(run.socket_addr(), "pid");
        of_kind(&run, "recycle").into_iter().next()
    });
    assert_eq!(entry["rule"], "max_memory", "{entry}");
    assert!(entry["inputs"]["value"].as_f64() > Some(f64::from(100 << 20)), "{entry}");
    assert_eq!(first(&run, "exit")["pid"], entry["pid"]);
    run.wait_ready(3);
    let after: BTreeSet<_> = run.handler_pids().into_iter().collect();
    assert_eq!(before.intersection(&after).count(), 2, "{before:?} {after:?}");
    assert_all_recycled(&run);
    finish(run);
}

#[test]
fn a_reload_while_handlers_are_recycled_ends_well() {
    let run = start(&["handlers=3", "max_requests=50"]);
    let address = run.socket_addr();
    std::thread::scope(|scope| {
        let until = Until::Time(Instant::now() + Duration::from_secs(5));
        let load = scope.spawn(move || load(address, 3, until));
        first(&run, "recycle");
        run.signal(Signal::HUP);
        eventually(PATIENCE, "the next generation", || {
            (run.pool()["generation"] == 2).then_some(())
        });
        let ledger = load.join().unwrap();
        let failed: Vec<_> = ledger.entries().filter(|it| !it.is_answered()).collect();
        assert!(failed.is_empty(), "{failed:?}");
    });
    eventually(PATIENCE, "the end of the reload", || {
        run.status()["change"].is_null().then_some(())
    });
    assert_eq!(total(&run, "crashed"), 0);
    run.wait_ready(3);
    finish(run);
}
