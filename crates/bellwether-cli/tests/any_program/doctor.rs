//! What `bellwether doctor` recommends for real programs.

use std::process::Command;

use serde_json::Value;

use crate::kit::Launch;
use crate::programs::Program;
use crate::trial::{PROGRAM, free_port};

/// What was found out, in JSON; `None` where the program is not installed.
pub(crate) fn examined(program: &Program) -> Option<Value> {
    let (launch, port) = (Launch::of(PROGRAM), free_port());
    let folder = launch.path("");
    let command = program.command(&folder, port).filter(|_| program.missing().is_none())?;
    let mut doctor = Command::new(PROGRAM);
    doctor.args(["doctor", "--json", "-l", &format!("127.0.0.1:{port}"), "-C"]).arg(folder);
    let output = doctor.arg("--").args(command).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    Some(serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error} {told}")))
}

/// Recommends the way that the program's recipe has, which works, and nothing more.
#[track_caller]
fn check(name: &str, way: &str, serves: &str) {
    let program = Program::all().into_iter().find(|it| it.name == name).unwrap();
    let Some(findings) = examined(&program) else {
        return println!("SKIPPED: {name} is not installed");
    };
    assert_eq!(findings["best"], way, "{findings:#}");
    let line = findings["recommended"].as_array().unwrap();
    assert!(!line.contains(&"--pass".into()), "{findings:#}");
    let facts = &findings["ways"][0]["facts"];
    assert_eq!(facts["sets_backlog"], name == "uvicorn", "{findings:#}");
    assert_eq!((&facts["serves"], &facts["stops_well"]), (&serves.into(), &true.into()));
    let speaks = if program.behind_nginx { "fastcgi" } else { "http" };
    assert_eq!((&facts["speaks"], &facts["answered"]), (&speaks.into(), &20.into()));
}

#[test]
fn node_is_adopted() {
    check("node http", "adopt", "concurrent");
}

#[test]
fn a_shell_is_seen_through() {
    check("node behind `sh -c`", "adopt", "concurrent");
}

#[test]
fn uvicorn_is_given_a_descriptor() {
    check("uvicorn", "fd", "concurrent");
}

#[test]
fn php_cgi_is_given_its_standard_input() {
    check("php-cgi behind nginx", "stdin", "serial");
}

#[test]
fn what_runs_in_no_way_is_told_with_the_reason() {
    let output = Command::new(PROGRAM)
        .args(["doctor", "-l", "127.0.0.1:0", "--", "sh", "-c", "exit 7"])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(70), "{text}");
    assert!(text.contains("ended with exit status 7") && text.contains("no way works"), "{text}");
}
