//! Certificates made on the spot, and what is said of wrong ones.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use rustls::pki_types::CertificateDer;
use tempfile::TempDir;

use super::*;
use crate::{Connection, Server};

/// A year, a month and a day.
type Day = (i32, u8, u8);

pub(crate) fn certificate_of_days(from: Day, to: Day) -> CertificateDer<'static> {
    made(&["shop.example"], from, to).0.der().clone()
}

fn made(names: &[&str], from: Day, to: Day) -> (rcgen::Certificate, KeyPair) {
    let key = KeyPair::generate().unwrap();
    let names: Vec<_> = names.iter().map(ToString::to_string).collect();
    let mut parameters = CertificateParams::new(names).unwrap();
    parameters.not_before = date_time_ymd(from.0, from.1, from.2);
    parameters.not_after = date_time_ymd(to.0, to.1, to.2);
    (parameters.self_signed(&key).unwrap(), key)
}

/// A folder with `NAME.pem` and `NAME.key`.
pub(crate) struct Folder(TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        for name in ["shop", "blog"] {
            let (certificate, key) = made(&[name], (2020, 1, 1), (4000, 1, 1));
            folder.write(&format!("{name}.pem"), &certificate.pem());
            folder.write(&format!("{name}.key"), &key.serialize_pem());
        }
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
        set_mode(&self.path(name), 0o600);
    }

    pub(crate) fn tls(&self, certificate: &str, key: &str) -> Result<Tls> {
        Tls::new(self.path(certificate), self.path(key))
    }
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn what_is_wrong_with_a_file_is_said_with_its_name_and_what_to_do() {
    let folder = Folder::new();
    let read = |name: &str| fs::read_to_string(folder.path(name)).unwrap();
    folder.write("empty", " \n");
    folder.write("garbage", "garbage");
    folder.write("cut", &read("shop.pem").replace("-----END", "----"));
    folder.write("cut.key", &read("shop.key").replace("-----END", "----"));
    folder.write("noise", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    folder.write("noise.key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
    folder.write(
        "locked.key",
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
    );
    fs::create_dir(folder.path("folder")).unwrap();
    let check = |certificate: &str, key: &str, culprit: &str, words: &str| {
        let error = folder.tls(certificate, key).unwrap_err();
        assert_eq!(error.exit_code(), 78);
        let error = error.to_string();
        assert!(error.contains(&folder.path(culprit).display().to_string()), "{error}");
        assert!(error.contains(words), "{certificate} {key}: {error}");
    };
    check("none", "shop.key", "none", "No such file");
    check("shop.pem", "none", "none", "No such file");
    check("folder", "shop.key", "folder", "it is no file");
    check("empty", "shop.key", "empty", "it is empty");
    check("shop.pem", "empty", "empty", "it is empty");
    check("garbage", "shop.key", "garbage", "it is not PEM");
    check("shop.pem", "garbage", "garbage", "it is not PEM");
    check("cut", "shop.key", "cut", "damaged");
    check("shop.pem", "cut.key", "cut.key", "damaged");
    check("noise", "shop.key", "noise", "no certificate that can be used");
    check("shop.pem", "noise.key", "noise.key", "is not supported; use ECDSA");
    check("shop.pem", "locked.key", "locked.key", "openssl pkey");
    check("shop.key", "shop.pem", "shop.key", "in the wrong order");
    check("shop.pem", "shop.pem", "shop.pem", "in the wrong order");
    check("shop.pem", "blog.key", "blog.key", "not the key of the certificate");
}

#[test]
fn a_key_is_for_its_owner_and_at_most_read_by_its_group() {
    let folder = Folder::new();
    let key = folder.path("shop.key");
    let check = |mode: u32, fine: bool| {
        set_mode(&key, mode);
        let tls = folder.tls("shop.pem", "shop.key");
        assert_eq!(tls.is_ok(), fine, "{mode:o} {tls:?}");
        if let Err(error) = tls {
            let chmod = format!("(mode {mode:03o}); try `chmod 600 {}`", key.display());
            assert!(error.to_string().contains(&chmod), "{error}");
        }
    };
    check(0o600, true);
    check(0o400, true);
    check(0o640, true);
    check(0o440, true);
    check(0o644, false);
    check(0o604, false);
    check(0o660, false);
    check(0o602, false);
    check(0o666, false);
}

#[test]
fn a_pipe_that_nobody_writes_is_not_waited_for() {
    let folder = Folder::new();
    let pipe = folder.path("pipe");
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, 0o600.into()).unwrap();
    assert!(folder.tls("pipe", "shop.key").unwrap_err().to_string().contains("it is no file"));
}

#[test]
fn what_does_not_speak_http_is_not_run_over_tls() {
    let folder = Folder::new();
    let tls = folder.tls("shop.pem", "shop.key").unwrap();
    let builder = Server::builder().listen("127.0.0.1:0").name("shop").tls(tls);
    let server = builder.runtime_dir(folder.path("run")).open().unwrap();
    assert!(server.is_secure());
    let error = server.run(|connection: Connection| drop(connection)).unwrap_err();
    assert_eq!(error.exit_code(), 78);
    assert!(error.to_string().starts_with("tls of shop: "), "{error}");
}

#[test]
fn each_load_reads_the_files_anew() {
    let folder = Folder::new();
    let tls = folder.tls("shop.pem", "shop.key").unwrap();
    let tls = tls.also(folder.path("blog.pem"), folder.path("blog.key")).unwrap();
    tls.load().unwrap();
    folder.write("blog.key", "");
    assert!(tls.load().unwrap_err().to_string().contains("blog.key: it is empty"));
}

#[test]
fn an_expired_certificate_is_a_warning() {
    let folder = Folder::new();
    let (certificate, key) = made(&["shop"], (2020, 1, 1), (2021, 1, 1));
    folder.write("old.pem", &certificate.pem());
    folder.write("old.key", &key.serialize_pem());
    let tls = folder.tls("old.pem", "old.key").unwrap();
    assert!(tls.warnings.concat().contains("old.pem: it expired on 2021-01-01"), "{tls:?}");
    assert!(folder.tls("shop.pem", "shop.key").unwrap().warnings.is_empty());
}
