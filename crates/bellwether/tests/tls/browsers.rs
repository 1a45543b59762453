//! HTTP/2 over TLS as a browser speaks it, and as nghttp2 does, the reference of the protocol.

use std::process::{Command, Output};

use crate::kit::{Run, assert_conserved};
use crate::stage::start;

const SHOP: (&str, &[&str]) = ("shop", &["shop.example"]);

/// Whether a client is installed; says so where it is not.
fn is_there(tool: &str) -> bool {
    let found = Command::new(tool).arg("--version").output().is_ok();
    if !found {
        println!("SKIPPED: {tool}: it is not installed");
    }
    found
}

fn url(run: &Run, path: &str) -> String {
    format!("https://{}{path}", run.socket_addr())
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn nghttp_gets_many_answers_over_one_connection() {
    if !is_there("nghttp") {
        return;
    }
    let mut run = start(&[SHOP], &["handlers=2"]);
    let paths = (0..20).map(|id| url(&run, &format!("/{id}")));
    let output = Command::new("nghttp").args(["-nv", "--no-push"]).args(paths).output().unwrap();
    let said = text(&output);
    assert!(output.status.success(), "{output:?}");
    assert!(said.contains("The negotiated protocol: h2"), "{said}");
    assert_eq!(said.matches(":status: 200").count(), 20, "{said}");
    assert_eq!(run.pool()["totals"]["accepted"], 1, "over one connection");
    assert_conserved(&run.status());
    assert!(run.stop().success());
}

#[test]
fn a_browser_speaks_http_2() {
    if !is_there("chromium") {
        return;
    }
    let mut run = start(&[SHOP], &["handlers=2"]);
    let mut browser = Command::new("timeout");
    browser.args(["60", "chromium"]);
    // Root has no sandbox, and nobody knows the certificate.
    browser.args(["--headless", "--no-sandbox", "--disable-gpu", "--ignore-certificate-errors"]);
    browser.arg(format!("--user-data-dir={}", run.path("profile").display()));
    browser.args(["--disable-background-networking", "--no-proxy-server", "--dump-dom"]);
    let output = browser.arg(url(&run, "/version")).output().unwrap();
    assert!(text(&output).contains("HTTP/2.0"), "{output:?}");
    assert_conserved(&run.status());
    assert!(run.stop().success());
}
