//! What `bellwether status` prints.

use serde_json::Value;

use crate::clients::raw;
use crate::kit::control::pool;
use crate::kit::{Launch, assert_conserved};
use crate::stage::{PROGRAM, ask, serve};

#[test]
fn people_get_a_table_that_fits_80_columns() {
    let mut run = serve(&["--name", "shop"]);
    raw(&run, "GET /", "");
    let output = ask(&run, &["status"]);
    assert!(output.status.success());
    let table = String::from_utf8(output.stdout).unwrap();
    let address = run.socket_addr().to_string();
    for words in
        ["server      shop", "serving for", "ADDRESS", &address, "4096", "SLOT", "WINS", "SWITCHES"]
    {
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
