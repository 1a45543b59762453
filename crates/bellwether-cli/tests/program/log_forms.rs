//! The log for programs: JSON, the journal, and files that are moved.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::clients::raw;
use crate::kit::{Kill, Launch, PATIENCE, Run, Signal, eventually};
use crate::stage::{ask, has, refused, serving, shell, text};

const FORM: &str = "BELLWETHER_LOG_FORMAT";

/// The lines of a log, each of which is one object.
#[track_caller]
fn objects(log: &str) -> Vec<Value> {
    let read = |line: &str| {
        assert!(line.len() < 4096 && !line.contains(char::is_control), "{line:?}");
        serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
    };
    log.lines().map(read).collect()
}

/// Waits until a log has a line with these words.
#[track_caller]
fn wait_for(file: &Path, words: &str) {
    eventually(PATIENCE, &format!("{words:?} in {}", file.display()), || {
        fs::read_to_string(file).ok()?.contains(words).then_some(())
    });
}

#[test]
fn programs_read_an_object_a_line_whatever_is_in_it() {
    let launch = serving().env(FORM, "auto");
    let site = launch.path("si\"te\n{\u{1b}[2J\u{85}");
    fs::create_dir(&site).unwrap();
    let mut run = launch.args(["--name", "shop"]).arg(&site).start();
    run.wait_ready(2);
    let victim = run.handler_pids()[0];
    Kill::of(victim).expect("it lived");
    eventually(PATIENCE, "the death in the log", || run.stderr().contains("SIGKILL").then_some(()));
    assert_eq!(run.stop().code(), Some(0));
    let lines = objects(&run.stderr());
    for line in &lines {
        assert!(line["time"].as_str().is_some_and(|it| it.ends_with('Z')), "{line}");
        assert!(line["message"].is_string() && line["fields"].is_object(), "{line}");
        assert_eq!(line["pid"], run.pid(), "{line}");
    }
    assert!(lines[0]["message"].as_str().unwrap().contains("http://127.0.0.1:"), "{}", lines[0]);
    let death = lines.iter().find(|it| it["fields"]["pid"] == victim).unwrap();
    assert_eq!((&death["level"], &death["fields"]["slot"]), (&"warn".into(), &0.into()), "{death}");
}

#[test]
fn why_a_server_does_not_start_is_an_object_too() {
    let launch = serving().args(["--log-format", "json", "no\n\"such\""]);
    let mut run = launch.start();
    assert_eq!(run.wait().code(), Some(78), "{}", run.logs());
    let lines = objects(&run.stderr());
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_eq!(lines[0]["level"], "error");
    assert!(lines[0]["message"].as_str().unwrap().contains("no\n\"such\""), "{}", lines[0]);
}

#[test]
fn what_the_journal_reads_has_its_priority() {
    if !has("stat") {
        return;
    }
    if Path::new("/run/systemd/journal/socket").exists() {
        println!("SKIPPED: the journal of this machine would be written to");
        return;
    }
    let script = r#"JOURNAL_STREAM=$(stat -L -c %d:%i /proc/self/fd/2) exec "$0" \
                    serve --listen 127.0.0.1:0 --handlers 2"#;
    let mut run = shell(script).env(FORM, "auto").start();
    run.wait_ready(2);
    Kill::of(run.handler_pids()[0]).expect("it lived");
    eventually(PATIENCE, "the death in the log", || run.stderr().contains("SIGKILL").then_some(()));
    assert_eq!(run.stop().code(), Some(0));
    let log = run.stderr();
    assert!(log.lines().all(|it| it.starts_with("<6>") || it.starts_with("<4>")), "{log}");
    let death = log.lines().find(|it| it.contains("SIGKILL")).unwrap();
    assert!(death.starts_with("<4>a handler ended") && death.contains(" slot=0"), "{death}");
}

/// A server that logs to a file in its folder.
fn logging(arguments: &[&str]) -> Run {
    let launch = serving().env(FORM, "auto");
    let log = launch.path("log");
    let run = launch.args(["--canary", "0s", "--log-file", text(&log)]).args(arguments).start();
    run.wait_ready(2);
    run
}

#[test]
fn a_file_that_is_moved_goes_on_in_a_new_one_and_no_line_is_lost() {
    const ROUNDS: usize = 5;
    let mut run = logging(&[]);
    let log = run.path("log");
    wait_for(&log, "listens at");
    for round in 0..ROUNDS {
        fs::rename(&log, run.path(&format!("log.{round}"))).unwrap();
        run.signal(Signal::USR1);
        wait_for(&log, "SIGUSR1");
        assert!(ask(&run, &["reload"]).status.success(), "{}", run.stderr());
    }
    assert_eq!(run.stop().code(), Some(0));
    let old = (0..ROUNDS).map(|round| run.path(&format!("log.{round}")));
    let all: String = old.chain([log]).map(|it| fs::read_to_string(it).unwrap()).collect();
    let lines = objects(&all);
    let count = |words: &str| {
        lines.iter().filter(|it| it["message"].as_str().unwrap().contains(words)).count()
    };
    assert_eq!((count("SIGUSR1"), count("reload done"), count("stopped;")), (ROUNDS, ROUNDS, 1));
    assert_eq!(run.stderr(), "");
}

#[test]
fn handlers_follow_a_file_that_is_moved() {
    // Each handler tells once that it cannot write its access log.
    let mut run = logging(&["--access-log", "/dev/full", "--notification", "turn"]);
    let (log, moved) = (run.path("log"), run.path("log.1"));
    fs::rename(&log, &moved).unwrap();
    run.signal(Signal::USR1);
    wait_for(&log, "SIGUSR1");
    let told = || {
        let lines = objects(&fs::read_to_string(&log).unwrap());
        let told = lines.iter().filter(|it| it["message"].as_str().unwrap().contains("access log"));
        told.map(|it| it["pid"].as_i64().unwrap()).collect::<Vec<_>>()
    };
    // Those that there were, and those of a template that was made after the move.
    for _ in 0..2 {
        let pids = run.handler_pids();
        eventually(PATIENCE, &format!("a word of each of {pids:?} in the new file"), || {
            raw(&run, "GET /", "");
            pids.iter().all(|pid| told().contains(&i64::from(*pid))).then_some(())
        });
        assert!(ask(&run, &["reload"]).status.success(), "{}", run.stderr());
        eventually(PATIENCE, "the old handlers to leave", || {
            run.handler_pids().iter().all(|pid| !pids.contains(pid)).then_some(())
        });
    }
    assert!(!fs::read_to_string(&moved).unwrap().contains("access log"));
    assert_eq!(run.stop().code(), Some(0));
}

#[test]
fn a_file_that_cannot_be_opened_is_refused() {
    let log = |file: &str| serving().args(["--log-file", file]);
    refused(log("/none/log"), 78, &["log file /none/log", "folder that this user may write to"]);
    refused(log("-"), 78, &["log file -", "leave it out"]);
    let both = log("x.log").args(["--log-format", "journald"]);
    refused(both, 78, &["log file x.log", "leave the file out"]);
    refused(serving().env(FORM, "xml"), 78, &[FORM, "`xml`", "\"pretty\", \"json\""]);
}

#[test]
fn a_file_of_settings_says_where_the_log_goes() {
    let launch = Launch::of(env!("CARGO_BIN_EXE_bellwether")).arg("start");
    let toml = "log-file = 'own.log'\nlog-format = 'pretty'\n[pool.web]\nlisten = ['127.0.0.1:0']\n\
                handlers = 2\n";
    fs::write(launch.path("bellwether.toml"), toml).unwrap();
    let mut run = launch.start();
    run.wait_ready(2);
    wait_for(&run.path("own.log"), "listens at");
    assert_eq!(run.stop().code(), Some(0));
    let log = fs::read_to_string(run.path("own.log")).unwrap();
    assert!(log.contains("INFO") && !log.contains('\u{1b}'), "{log}");
    assert_eq!(run.stderr(), "");
}
