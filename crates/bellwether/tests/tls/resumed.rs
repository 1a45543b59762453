//! Sessions that are resumed with another handler than the one that they began with.

use std::collections::BTreeSet;
use std::io::Write;
use std::process::{Command, Stdio};

use crate::kit::Run;
use crate::stage::{change, has, pem, start};

/// Asks with `openssl s_client`; returns whether the session was resumed, and the answer's handler.
#[track_caller]
fn ask(run: &Run, version: &str, words: &[&str]) -> (bool, String) {
    let address = run.socket_addr().to_string();
    let mut client = Command::new("openssl");
    client.args(["s_client", "-connect", &address, "-servername", "shop.example", "-ign_eof"]);
    client.args([version, "-CAfile"]).arg(pem(run, "shop")).args(words);
    client.current_dir(run.directory());
    client.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut client = client.spawn().unwrap();
    let request = b"GET /1 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    client.stdin.take().unwrap().write_all(request).unwrap();
    let output = client.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let pid = said.lines().find_map(|line| line.strip_prefix("1 "));
    let pid = pid.unwrap_or_else(|| panic!("no answer: {output:?}"));
    assert!(said.contains("Reused, TLSv1") || said.contains("New, TLSv1"), "{said}");
    (said.contains("Reused, TLSv1"), pid.to_owned())
}

#[test]
fn a_session_is_resumed_by_whichever_handler_and_after_each_change() {
    if !has("openssl") {
        return;
    }
    let words = ["handlers=4", "notification=turn"];
    let mut run = start(&[("shop", &["shop.example"])], &words);
    for version in ["-tls1_3", "-tls1_2"] {
        let (resumed, _) = ask(&run, version, &["-sess_out", version]);
        assert!(!resumed);
        let mut handlers = BTreeSet::new();
        for i in 0..20 {
            let (resumed, pid) = ask(&run, version, &["-sess_in", version]);
            assert!(resumed, "connection {i} in {version}, by {pid}");
            handlers.insert(pid);
        }
        assert_eq!(handlers.len(), 4, "{handlers:?}");
    }
    for verb in ["reload", "upgrade"] {
        assert_eq!(change(&run, verb)["result"], "done");
        for version in ["-tls1_3", "-tls1_2"] {
            assert!(ask(&run, version, &["-sess_in", version]).0, "after {verb} in {version}");
        }
    }
    assert!(run.stop().success());
}
