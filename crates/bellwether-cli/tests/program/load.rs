//! Short loads by clients that others have written.

use std::process::Command;

use crate::clients::url;
use crate::kit::control::pool;
use crate::kit::{Run, assert_conserved};
use crate::stage::{has, serving};

/// Starts two handlers that win in turn.
fn serve() -> Run {
    let launch = serving().args(["--notification", "turn"]);
    let site = launch.path("site");
    std::fs::create_dir(&site).unwrap();
    std::fs::write(site.join("page.txt"), "x".repeat(1000)).unwrap();
    let run = launch.arg(&site).start();
    run.wait_ready(2);
    run
}

/// Asserts that several handlers won, and that the books agree with what the client counted.
#[track_caller]
fn assert_shared(run: &Run, at_least: u64, lasting: bool) {
    let status = run.status();
    assert_conserved(&status);
    let handlers = pool(&status)["handlers"].as_array().unwrap();
    let winners = handlers.iter().filter(|it| it["wins"].as_u64() > Some(0)).count();
    // A load that is over in a moment may have been one handler's before the other was awake.
    assert!(winners == 2 || !lasting, "{status}");
    assert!(pool(&status)["totals"]["requests"].as_u64() >= Some(at_least), "{status}");
}

fn run_client(name: &str, arguments: &[&str]) -> String {
    let output = Command::new(name).args(arguments).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    text
}

#[test]
fn wrk_counts_no_error() {
    if !has("wrk") {
        return;
    }
    let mut run = serve();
    let report = run_client("wrk", &["-t1", "-c16", "-d1s", &url(&run, "/page.txt")]);
    assert!(report.contains("requests in"), "{report}");
    assert!(!report.contains("Socket errors") && !report.contains("Non-2xx"), "{report}");
    assert_shared(&run, 1, true);
    assert_eq!(run.stop().code(), Some(0));
}

#[test]
fn h2load_counts_no_error_over_http_2() {
    if !has("h2load") {
        return;
    }
    let mut run = serve();
    let report = run_client("h2load", &["-n5000", "-c16", "-m8", &url(&run, "/page.txt")]);
    assert!(report.contains("5000 succeeded, 0 failed, 0 errored, 0 timeout"), "{report}");
    assert!(report.contains("Application protocol: h2c"), "{report}");
    assert_shared(&run, 5000, false);
    assert_eq!(run.stop().code(), Some(0));
}

#[test]
fn h2load_counts_no_error_over_http_1() {
    if !has("h2load") {
        return;
    }
    let mut run = serve();
    let report = run_client("h2load", &["--h1", "-n5000", "-c16", &url(&run, "/page.txt")]);
    assert!(report.contains("5000 succeeded, 0 failed, 0 errored, 0 timeout"), "{report}");
    assert_shared(&run, 5000, false);
    assert_eq!(run.stop().code(), Some(0));
}
