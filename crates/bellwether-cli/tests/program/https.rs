//! HTTPS as users set it up: flags, a file, and certificates that are replaced.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::clients::curl;
use crate::kit::{Launch, Run};
use crate::stage::{PROGRAM, ask, refused, serving, text};

/// Writes `shop.pem` and `shop.key` into a folder, in place of those from before.
fn certify(folder: &Path) {
    certify_as(folder, "shop");
}

/// Writes a certificate for `shop.example` and its key into files of that name.
pub(crate) fn certify_as(folder: &Path, name: &str) {
    let made = rcgen::generate_simple_self_signed(["shop.example".into()]).unwrap();
    let [pem, key] = ["pem", "key"].map(|kind| folder.join(format!("{name}.{kind}")));
    fs::write(pem, made.cert.pem()).unwrap();
    fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    set_mode(&key, 0o600);
}

pub(crate) fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// Asks who answers; the client trusts the certificate in this file alone.
fn whoami(run: &Run, certificate: &Path) -> Option<u16> {
    let address = run.socket_addr();
    let resolve = format!("shop.example:{}:{}", address.port(), address.ip());
    let url = format!("https://shop.example:{}/whoami", address.port());
    let reply = curl(&["--cacert", text(certificate), "--resolve", &resolve, &url]);
    reply.map(|reply| reply.status)
}

#[test]
fn two_files_are_all_it_takes() {
    let launch = serving();
    certify(&launch.path(""));
    let mut run = launch.args(["--tls", "shop.pem", "shop.key"]).start();
    run.wait_ready(2);
    assert!(run.stderr().contains("https://127.0.0.1:"), "{}", run.stderr());
    if let Some(status) = whoami(&run, &run.path("shop.pem")) {
        assert_eq!(status, 200);
    }
    assert_eq!(run.stop().code(), Some(0));
}

#[test]
fn a_reload_serves_a_new_certificate_and_refuses_a_broken_one() {
    let launch = Launch::of(PROGRAM);
    let folder = launch.path("etc");
    fs::create_dir(&folder).unwrap();
    certify(&folder);
    let pool = "[pool.web]\nlisten = ['127.0.0.1:0']\nhandlers = 2\ncanary = '10ms'\n";
    let tls = "tls = [{ cert = 'shop.pem', key = 'shop.key' }]\n";
    fs::write(folder.join("shop.toml"), format!("{pool}{tls}")).unwrap();
    let mut run = launch.args(["start", "-c", "etc/shop.toml"]).start();
    run.wait_ready(2);
    fs::copy(folder.join("shop.pem"), folder.join("old.pem")).unwrap();
    fs::write(folder.join("shop.key"), "rubbish").unwrap();
    let output = ask(&run, &["reload"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(70), "{said}");
    assert!(said.contains("etc/shop.key: it is not PEM"), "{said}");
    let served = |file: &str| whoami(&run, &folder.join(file)).is_none_or(|status| status == 200);
    assert!(served("old.pem"));
    certify(&folder);
    assert!(ask(&run, &["reload"]).status.success());
    assert!(served("shop.pem"));
    assert_eq!(run.stop().code(), Some(0));
}

#[test]
fn what_is_wrong_with_a_key_is_told_before_anything_is_opened() {
    let tls = ["--tls", "shop.pem", "shop.key"];
    refused(serving().args(tls), 78, &["shop.pem", "No such file"]);
    let launch = serving();
    certify(&launch.path(""));
    set_mode(&launch.path("shop.key"), 0o644);
    refused(launch.args(tls), 78, &["mode 644", "chmod 600", "shop.key"]);
}

#[test]
fn a_program_is_given_no_certificate() {
    let run = Launch::of(PROGRAM).args(["run", "--tls", "shop.pem", "shop.key", "--", "true"]);
    refused(run, 64, &["a program speaks TLS itself", "behind `--`"]);
}
