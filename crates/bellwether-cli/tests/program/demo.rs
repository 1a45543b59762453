//! `bellwether demo`: a whole play, read by a program and seen on a terminal.

use std::process::{Command, Stdio};

use serde_json::Value;

use crate::kit::Launch;
use crate::stage::{PROGRAM, has};

#[test]
fn a_demo_loses_nothing_but_what_it_kills_and_leaves_nothing_behind() {
    let mut demo = Launch::of(PROGRAM).args(["demo", "--time", "5s", "--json"]).start();
    assert_eq!(demo.wait().code(), Some(0), "{}", demo.logs());
    let account: Value = serde_json::from_str(&demo.stdout()).unwrap();
    let rows = account["rows"].as_array().unwrap();
    let acts: Vec<_> = rows.iter().map(|row| row["act"].as_str().unwrap()).collect();
    assert_eq!(acts, ["calm", "10 × load", "crashes", "reload", "calm again"]);
    for row in rows {
        let number = |key: &str| row[key].as_u64().unwrap();
        assert_eq!(number("lost"), 0, "{account}");
        assert_eq!(number("answered") + number("killed"), number("requests"), "{account}");
        assert!(number("answered") > 0, "{account}");
    }
    let killed = &rows[2]["killed"];
    assert!(killed.as_u64() > Some(0), "{account}");
    assert_eq!(&account["ended"]["signal SIGABRT"], killed, "{account}");
    assert!(rows[3]["reloaded"].as_str().unwrap().contains("generation 2"), "{account}");
    let left = std::fs::read_dir(demo.runtime()).map_or(0, Iterator::count);
    assert_eq!(left, 0, "files are left in {}", demo.runtime().display());
}

#[test]
fn a_terminal_sees_the_acts_and_gets_the_account() {
    if !has("script") {
        return;
    }
    let runtime = tempfile::tempdir().unwrap();
    let line = format!("stty cols 80 rows 24; exec {PROGRAM} demo --time 5s");
    let played = Command::new("script")
        .args(["-qfec", &line, "/dev/null"])
        .env("BELLWETHER_RUNTIME_DIR", runtime.path())
        .env("TERM", "xterm")
        .stdin(Stdio::piped())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&played.stdout);
    assert!(played.status.success(), "{told}");
    for words in ["ten times the load", "\u{1b}[?1049l", "0 lost of ", "Next: bellwether serve"] {
        assert!(told.contains(words), "no {words:?} in {told}");
    }
}

#[test]
fn a_demo_that_cannot_be_is_refused() {
    for wrong in [&["--time", "1s"][..], &["--time", "2h"]] {
        let mut demo = Launch::of(PROGRAM).arg("demo").args(wrong).start();
        assert_eq!(demo.wait().code(), Some(78), "{}", demo.logs());
        assert!(demo.stderr().contains("from 5s to 1h"), "{}", demo.logs());
    }
}
