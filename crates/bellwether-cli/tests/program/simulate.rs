//! `simulate` and `tune`: loads made up or traced, tables, JSON, pictures, and what is refused.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::kit::Launch;
use crate::stage::{PROGRAM, refused, text};

fn run(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(PROGRAM).args(arguments).current_dir(folder).output().unwrap()
}

#[track_caller]
fn done(folder: &Path, arguments: &[&str]) -> String {
    let output = run(folder, arguments);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{arguments:?}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

/// A folder with a trace of two minutes: ten requests a second, and twice as many.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let counts: String = (0..120).map(|second| format!("{}\n", 10 + 10 * (second / 60))).collect();
    std::fs::write(folder.path().join("trace.csv"), format!("count\n{counts}")).unwrap();
    folder
}

#[test]
fn a_trace_is_served_by_all_rules_that_are_named() {
    let folder = folder();
    let rules = "demand,spare:min=2,max=4,knative";
    let table = done(folder.path(), &["simulate", "trace.csv", "--balance", rules]);
    assert!(table.contains("trace: 1800 requests in 1m59s"), "{table}");
    for rule in ["\ndemand ", "\nspare:min=2,max=4 ", "\nknative "] {
        assert!(table.contains(rule), "{table}");
    }
    let json = done(folder.path(), &["simulate", "trace.csv", "--balance", rules, "--json"]);
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["loads"][0]["requests"], 1800);
    assert_eq!(json["loads"][0]["rules"].as_array().unwrap().len(), 3);
    assert!(json["loads"][0]["rules"][0]["late_percent"].as_f64().unwrap() < 1.0, "{json}");
}

#[test]
fn a_trace_may_be_compressed_or_come_from_standard_input() {
    let folder = folder();
    let script = "gzip -k trace.csv && \"$0\" simulate trace.csv.gz > one && \
                  \"$0\" simulate - < trace.csv > other && sed s/^-:/trace:/ other | cmp - one";
    let output =
        Command::new("/bin/sh").args(["-c", script, PROGRAM]).current_dir(&folder).output();
    let output = output.unwrap();
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn a_picture_shows_what_there_was_over_time() {
    let folder = folder();
    done(folder.path(), &["simulate", "trace.csv", "--plot", "load.svg"]);
    let picture = std::fs::read_to_string(folder.path().join("load.svg")).unwrap();
    assert!(picture.starts_with("<svg") && picture.contains("trace: handlers"), "no picture");
}

#[test]
fn loads_and_rules_are_listed() {
    let names = done(Path::new("/"), &["simulate", "--list"]);
    for name in ["step", "llm-chat", "demand", "fpm-ondemand", "idle: how long"] {
        assert!(names.contains(name), "{names}");
    }
}

#[test]
fn limits_are_found_for_a_load() {
    let folder = folder();
    let advice = done(folder.path(), &["tune", "trace.csv", "--memory", "40MiB"]);
    for words in ["bellwether serve --handlers 0..", "BEST SETTING", "spare", "would take"] {
        assert!(advice.contains(words), "{advice}");
    }
    let json = done(folder.path(), &["tune", "trace.csv", "--json"]);
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(
        (&json[0]["limits"]["min"], &json[0]["limits"]["meets_slo"]),
        (&0.into(), &true.into())
    );
    assert_eq!(json[0]["rules"][0]["rule"], "demand");
}

#[test]
fn limits_that_are_found_stay_within_those_that_are_given() {
    let folder = folder();
    let advice = done(folder.path(), &["tune", "trace.csv", "--handlers", "1..2"]);
    for words in ["No minimum up to 2 keeps", "allow more of them", "serve --handlers 1..2"] {
        assert!(advice.contains(words), "{advice}");
    }
    let one = done(folder.path(), &["tune", "trace.csv", "--handlers", "3"]);
    assert!(one.contains("bellwether serve --handlers 3..3"), "{one}");
}

#[test]
fn what_cannot_be_simulated_is_refused_with_what_to_try() {
    let folder = folder();
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        text(&path).to_owned()
    };
    let check = |arguments: &[&str], status: i32, words: &[&str]| {
        for verb in ["simulate", "tune"] {
            refused(Launch::of(PROGRAM).arg(verb).args(arguments), status, words);
        }
    };
    check(&["stepp"], 78, &["stepp", "no made-up load", "step, sine"]);
    check(&[&file("empty", b"")], 78, &["nothing in it", "one time or count a line"]);
    check(&[&file("words", b"count\n1\nmany\n")], 78, &["line 3", "`many` is no number"]);
    check(&[&file("header", b"a,b,c,d\n1,2,3,4\n")], 78, &["is no header that is known"]);
    check(&[&file("binary", &[0xff, 0xfe, 0])], 78, &["it is not text"]);
    check(&[&file("broken.gz", &[0x1f, 0x8b, 1, 2])], 78, &["broken.gz"]);
    check(&[&file("one", b"t_s\n5\n")], 78, &["no duration"]);
    check(&["/"], 78, &["trace /"]);
    check(&["step", "--regime", "hot"], 64, &["hot", "fork, start or cold"]);
    check(&["step", "--slo", "fast"], 64, &["fast", "99%<50ms"]);
    check(&["step", "--no-such-flag"], 64, &["--no-such-flag"]);
    let balance = ["simulate", "step", "--balance", "demnd"];
    refused(Launch::of(PROGRAM).args(balance), 64, &["demnd", "did you mean `demand`"]);
    let trace = folder.path().join("trace.csv");
    let nowhere = ["simulate", text(&trace), "--plot", "/no/such/x.svg"];
    refused(Launch::of(PROGRAM).args(nowhere), 70, &["/no/such/x.svg"]);
}
