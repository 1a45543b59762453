//! Clients of all kinds: those that are as they should be, and those that are not.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Output};

use rustix::process::{Resource, getrlimit, setrlimit};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::client::{Client, Trust};
use crate::kit::{PATIENCE, Run, Signal, assert_conserved, assert_quiescent, eventually};
use crate::stage::{has, pem, start};

const SHOP: (&str, &[&str]) = ("shop", &["shop.example"]);

/// Asks for a path of `shop.example` with curl, which says the version of HTTP at the end.
fn curl(run: &Run, scheme: &str, words: &[&str]) -> Output {
    let address = run.socket_addr();
    let resolve = format!("shop.example:{}:{}", address.port(), address.ip());
    let url = format!("{scheme}://shop.example:{}/7", address.port());
    let mut curl = Command::new("curl");
    curl.args([
        "-q",
        "-sS",
        "--noproxy",
        "*",
        "--max-time",
        "20",
        "-w",
        "%{http_version} %{http_code}",
    ]);
    curl.args(["--resolve", &resolve, "--cacert"]).arg(pem(run, "shop")).args(words).arg(url);
    curl.output().unwrap()
}

#[test]
fn curl_speaks_each_version_of_http_and_of_tls() {
    if !has("curl") {
        return;
    }
    let mut run = start(&[SHOP], &["handlers=2"]);
    let check = |words: &[&str], expected: &str| {
        let output = curl(&run, "https", words);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{words:?}: {output:?}");
        assert!(said.starts_with("7 ") && said.ends_with(expected), "{words:?}: {said}");
    };
    check(&[], "2 200");
    check(&["--http2"], "2 200");
    check(&["--http1.1"], "1.1 200");
    check(&["--no-alpn"], "1.1 200");
    check(&["--tlsv1.2", "--tls-max", "1.2"], "2 200");
    check(&["--tlsv1.3"], "2 200");
    assert_conserved(&run.status());
    assert!(run.stop().success());
}

#[test]
fn a_proxy_header_comes_before_the_handshake() {
    if !has("curl") {
        return;
    }
    let mut run = start(&[SHOP], &["handlers=1", "trust=loopback", "proxy-protocol=on"]);
    for version in ["--http1.1", "--http2"] {
        let output = curl(&run, "https", &[version, "--haproxy-protocol"]);
        assert!(String::from_utf8_lossy(&output.stdout).starts_with("7 "), "{output:?}");
        assert!(!curl(&run, "https", &[version]).status.success(), "{version} without one");
    }
    assert!(run.stop().success());
}

#[test]
fn whoever_speaks_plain_http_is_told_what_is_spoken_here() {
    if !has("curl") {
        return;
    }
    let mut run = start(&[SHOP], &["handlers=1"]);
    for words in [&[][..], &["--http2-prior-knowledge"], &["-X", "POST", "-d", "x"]] {
        let output = curl(&run, "http", words);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(said.contains("try https://") && said.ends_with(" 400"), "{words:?}: {output:?}");
    }
    let mut other = TcpStream::connect(run.socket_addr()).unwrap();
    other.set_read_timeout(Some(PATIENCE)).unwrap();
    other.write_all(b"\0\x01\x02 neither\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    let _ = other.read_to_end(&mut answer); // an end, or a reset: no hang
    assert!(run.stop().success());
}

#[test]
fn the_name_that_a_client_asks_for_picks_the_certificate() {
    let files: &[(&str, &[&str])] =
        &[SHOP, ("wild", &["*.shop.example", "other.test"]), ("blog", &["blog.shop.example"])];
    let mut run = start(files, &["handlers=1"]);
    let trust = Trust::of(files.iter().map(|(file, _)| pem(&run, file)));
    let check = |name: &str, file: &str| {
        let client = trust.connect(run.socket_addr(), name).unwrap();
        let expected = CertificateDer::from_pem_file(pem(&run, file)).unwrap();
        assert_eq!(client.certificate(), expected, "{name}");
    };
    check("shop.example", "shop");
    check("www.shop.example", "wild");
    check("other.test", "wild");
    check("blog.shop.example", "blog");
    let error = trust.connect(run.socket_addr(), "nobody.test").err().unwrap().to_string();
    assert!(error.contains("NotValidForName") || error.contains("not valid for name"), "{error}");
    assert!(run.stop().success());
}

#[test]
fn a_thousand_idle_clients_disturb_nobody() {
    let limits = getrlimit(Resource::Nofile);
    let raised = rustix::process::Rlimit { current: limits.maximum, ..limits };
    setrlimit(Resource::Nofile, raised).unwrap();
    let mut run = start(&[SHOP], &["handlers=4"]);
    let trust = Trust::of([pem(&run, "shop")]);
    let connect = || trust.connect(run.socket_addr(), "shop.example").unwrap();
    let mut idle: Vec<Client> = (0..1000).map(|_| connect()).collect();
    for id in 0..50 {
        let answer = trust.get(run.socket_addr(), "shop.example", &format!("/{id}")).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    for client in idle.iter_mut().step_by(100) {
        assert!(client.get("/1").unwrap().starts_with("HTTP/1.1 200"));
    }
    eventually(PATIENCE, "all to be counted", || {
        (run.pool()["totals"]["in_flight"] == 1000).then_some(())
    });
    drop(idle);
    assert!(run.stop().success());
}

#[test]
fn a_stop_says_goodbye_to_a_connection_that_is_kept() {
    let mut run = start(&[SHOP], &["handlers=1"]);
    let trust = Trust::of([pem(&run, "shop")]);
    let mut kept = trust.connect(run.socket_addr(), "shop.example").unwrap();
    assert!(kept.get("/1").unwrap().contains("200 OK"));
    run.signal(Signal::TERM);
    assert_eq!(kept.rest().unwrap(), "", "its end is no surprise: close_notify came");
    assert!(run.wait().success());
    assert_quiescent(run.baseline(), &run);
}
