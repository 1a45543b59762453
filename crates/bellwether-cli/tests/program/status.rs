//! What `bellwether status` prints.

use serde_json::Value;

use crate::clients::raw;
use crate::kit::control::{pool, ready};
use crate::kit::{Kill, Launch, PATIENCE, assert_conserved, eventually};
use crate::stage::{PROGRAM, ask, serve};

#[test]
fn people_get_a_table_that_fits_80_columns() {
    let mut run = serve(&["--name", "shop"]);
    raw(&run, "GET /", "");
    let output = ask(&run, &["status"]);
    assert!(output.status.success());
    let table = String::from_utf8(output.stdout).unwrap();
    let address = run.socket_addr().to_string();
    for words in [
        "server      shop",
        "serving for",
        "ADDRESS",
        &address,
        "4096",
        "SLOT",
        "WINS",
        "CPU",
        "MEM",
    ] {
        assert!(table.contains(words), "no {words:?} in:\n{table}");
    }
    for words in [
        "1 accepted = ",
        "2 made = 2 alive",
        "notification some:2",
        "half under",
        "served      half within",
    ] {
        assert!(table.contains(words), "no {words:?} in:\n{table}");
    }
    for pid in run.handler_pids() {
        assert!(table.contains(&format!(" {pid} ")), "no {pid} in:\n{table}");
    }
    assert!(table.lines().all(|line| line.chars().count() <= 80), "{table}");
    assert_eq!(run.stop().code(), Some(0));
}

#[test]
fn programs_get_json_with_stable_keys() {
    let mut run = serve(&["--name", "shop", "--notification", "one", "--threads", "3"]);
    let output = ask(&run, &["status", "--json", "--name", "shop"]);
    let status: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(status["name"], "shop");
    assert_eq!(status["pid"], run.pid());
    assert_eq!(status["state"], "serving");
    let pool = pool(&status);
    assert_eq!(pool["name"], "shop");
    assert_eq!((&pool["notification"], &pool["threads"]), (&"one".into(), &3.into()));
    for key in ["address", "depth", "limit", "overflows"] {
        assert!(pool["addresses"][0].get(key).is_some(), "no {key}");
    }
    let keys =
        ["slot", "pid", "generation", "state", "age_s", "wakeups", "wins", "losses", "requests"];
    for key in keys {
        assert!(pool["handlers"][1].get(key).is_some(), "no {key}");
    }
    assert_conserved(&status);
    assert_eq!(run.stop().code(), Some(0));
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let mut run = serve(&[]);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let script = r#"exec "$0" status >&0 </dev/null"#;
    let asking = Launch::of("/bin/sh").beside(&run).args(["-c", script, PROGRAM]);
    let mut asking = asking.stdin(std::os::fd::OwnedFd::from(writer)).start();
    assert!(asking.wait().success());
    assert_eq!(asking.logs(), "", "not silent");
    assert_eq!(run.stop().code(), Some(0));
}

#[test]
fn a_full_disk_is_an_error() {
    let mut run = serve(&[]);
    let script = r#"exec "$0" status >/dev/full"#;
    let mut asking = Launch::of("/bin/sh").beside(&run).args(["-c", script, PROGRAM]).start();
    assert_eq!(asking.wait().code(), Some(70));
    assert!(asking.stderr().contains("standard output"), "{}", asking.stderr());
    assert_eq!(run.stop().code(), Some(0));
}

#[test]
fn what_ended_handlers_and_what_they_used_is_told() {
    let mut run = serve(&["--name", "shop"]);
    Kill::of(run.handler_pids()[0]).expect("it lived");
    eventually(PATIENCE, "another in its place", || {
        let status = run.status();
        (pool(&status)["totals"]["exited"] == 1 && ready(&status).len() == 2).then_some(())
    });
    let text = String::from_utf8(ask(&run, &["status", "shop"]).stdout).unwrap();
    assert!(text.contains("ended by    1 signal SIGKILL\n"), "{text}");
    let status: Value = serde_json::from_slice(&ask(&run, &["status", "--json"]).stdout).unwrap();
    assert_eq!(pool(&status)["ended"]["signal SIGKILL"], 1, "{status}");
    for handler in pool(&status)["handlers"].as_array().unwrap() {
        assert!(handler["cpu_s"].as_f64() >= Some(0.0), "{handler}");
        assert!(handler["memory"].as_u64() > Some(4096), "{handler}");
    }
    assert_eq!(run.stop().code(), Some(0));
}

#[test]
fn a_pool_that_is_not_there_is_named_with_those_that_are() {
    let mut run = serve(&["--name", "shop"]);
    for question in [["status", "web"], ["why", "web"], ["why", "web/0"]] {
        let answer = ask(&run, &question);
        assert_eq!(answer.status.code(), Some(78), "{question:?}");
        let words = String::from_utf8(answer.stderr).unwrap();
        assert!(words.contains("pool `web`") && words.contains("it has: shop"), "{words}");
    }
    assert_eq!(run.stop().code(), Some(0));
}

#[test]
fn a_status_that_is_watched_is_a_line_of_json_each_time() {
    let mut run = serve(&["--name", "shop"]);
    let script = r#""$0" status --watch=100ms --json | head -n 3"#;
    let mut watching = Launch::of("/bin/sh").beside(&run).args(["-c", script, PROGRAM]).start();
    assert!(watching.wait().success());
    let lines = watching.stdout();
    assert_eq!(lines.lines().count(), 3, "{lines}");
    for line in lines.lines() {
        assert_eq!(serde_json::from_str::<Value>(line).unwrap()["name"], "shop");
    }
    assert_eq!(ask(&run, &["status", "--watch=1ms"]).status.code(), Some(78));
    assert_eq!(run.stop().code(), Some(0));
}

#[test]
fn why_tells_what_the_handler_of_a_slot_does() {
    let mut run = serve(&["--name", "shop"]);
    let pid = run.handler_pids()[1];
    for question in [["why", "1"], ["why", "shop/1"]] {
        let text = String::from_utf8(ask(&run, &question).stdout).unwrap();
        let head = format!("handler     shop slot 1, pid {pid}, generation 1\nstate       idle;");
        assert!(text.starts_with(&head), "{text}");
        assert!(text.contains("doing       thread `") && text.contains(" ready "), "{text}");
        assert!(!text.contains(" start "), "what concerns others is told:\n{text}");
    }
    let answer = ask(&run, &["why", "1", "--json"]);
    let json: Value = serde_json::from_slice(&answer.stdout).unwrap();
    assert_eq!(json["handlers"][0]["handler"]["pid"], pid, "{json}");
    assert!(json["handlers"][0]["doing"][0].as_str().unwrap().contains("sleeping"), "{json}");
    assert_eq!(ask(&run, &["why", "99"]).status.code(), Some(78));
    assert_eq!(run.stop().code(), Some(0));
}
