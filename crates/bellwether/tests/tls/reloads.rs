//! Certificates that are replaced while the server runs.

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::client::Trust;
use crate::kit::{PATIENCE, Run, eventually};
use crate::stage::{certify, change, pem, replace, start};

const SHOP: (&str, &[&str]) = ("shop", &["shop.example"]);

/// The certificate that is served now.
#[track_caller]
fn served(run: &Run, trust: &Trust) -> CertificateDer<'static> {
    trust.connect(run.socket_addr(), "shop.example").unwrap().certificate()
}

fn read(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
}

#[test]
fn a_new_certificate_is_served_after_a_change_that_costs_no_client_anything() {
    for verb in ["reload", "upgrade"] {
        let mut run = start(&[SHOP], &["handlers=2"]);
        let address = run.socket_addr();
        fs::copy(pem(&run, "shop"), run.path("old.pem")).unwrap();
        let new = certify(run.directory(), "shop", SHOP.1);
        let trust = Trust::of([run.path("old.pem"), pem(&run, "shop")]);
        assert_ne!(served(&run, &trust), read(&new), "files alone change nothing");
        let (over, asked) = (AtomicBool::new(false), AtomicU64::new(0));
        thread::scope(|scope| {
            let client = || {
                while !over.load(Ordering::Relaxed) {
                    let answer = trust.get(address, "shop.example", "/1").expect("an answer");
                    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
                    asked.fetch_add(1, Ordering::Relaxed);
                }
            };
            let clients = [scope.spawn(client), scope.spawn(client)];
            let more = |than: u64| (asked.load(Ordering::Relaxed) > than).then_some(());
            eventually(PATIENCE, "requests before", || more(20));
            let answer = change(&run, verb);
            let before = asked.load(Ordering::Relaxed);
            eventually(PATIENCE, "requests after", || more(before + 20));
            over.store(true, Ordering::Relaxed);
            assert_eq!(answer["result"], "done", "{answer}");
            clients.into_iter().for_each(|client| client.join().unwrap());
        });
        assert_eq!(served(&run, &trust), read(&new));
        assert!(run.stop().success());
    }
}

#[test]
fn a_broken_certificate_is_refused_and_the_old_one_is_served_on() {
    let mut run = start(&[SHOP], &["handlers=2"]);
    let good = fs::read_to_string(pem(&run, "shop")).unwrap();
    let trust = Trust::of([pem(&run, "shop")]);
    let pids = run.handler_pids();
    for (file, text, reason) in [
        ("shop.pem", "rubbish", "shop.pem: it is not PEM"),
        ("shop.key", "", "shop.key: it is empty"),
        ("shop.pem", &certify(run.directory(), "other", SHOP.1), "not the key of the certificate"),
    ] {
        let before = fs::read_to_string(run.path(file)).unwrap();
        replace(&run.path(file), text);
        for verb in ["reload", "upgrade"] {
            let answer = change(&run, verb);
            let told = answer["reason"].as_str().unwrap_or_default();
            assert!(answer["result"] == "failed" && told.contains(reason), "{verb}: {answer}");
            assert_eq!(served(&run, &trust), read(&good), "{verb}");
            assert_eq!(run.handler_pids(), pids, "{verb}");
        }
        replace(&run.path(file), &before);
    }
    assert_eq!(change(&run, "reload")["result"], "done");
    assert!(run.stop().success());
}
