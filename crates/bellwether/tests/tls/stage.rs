//! Certificates made on the spot, and a server with them.

use std::fs;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use rcgen::{CertificateParams, KeyPair};
use serde_json::{Value, json};

use crate::kit::{Launch, Run, example};

/// Writes `NAME.pem` and `NAME.key` for these names, in place of those from before.
pub(crate) fn certify(folder: &Path, file: &str, names: &[&str]) -> String {
    certify_by(&KeyPair::generate().unwrap(), folder, file, names)
}

/// The same for a key that is there already.
pub(crate) fn certify_by(key: &KeyPair, folder: &Path, file: &str, names: &[&str]) -> String {
    let names: Vec<_> = names.iter().map(ToString::to_string).collect();
    let certificate = CertificateParams::new(names).unwrap().self_signed(key).unwrap();
    replace(&folder.join(format!("{file}.key")), &key.serialize_pem());
    replace(&folder.join(format!("{file}.pem")), &certificate.pem());
    certificate.pem()
}

/// Puts a file in the place of another, never half of it.
pub(crate) fn replace(path: &Path, text: &str) {
    use std::io::Write;
    let new = path.with_extension("new");
    let file =
        fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new);
    file.unwrap().write_all(text.as_bytes()).unwrap();
    fs::rename(&new, path).unwrap();
}

/// Starts a web server with certificates of these files, each for its names.
#[track_caller]
pub(crate) fn start(certificates: &[(&str, &[&str])], words: &[&str]) -> Run {
    let mut launch = Launch::of(example("web")).arg("127.0.0.1:0").args(words).arg("canary=20");
    for (file, names) in certificates {
        certify(launch.path("").as_path(), file, names);
        launch = launch.arg(format!("tls={file}.pem,{file}.key"));
    }
    let run = launch.start();
    let number = words.iter().find_map(|word| word.strip_prefix("handlers=")?.parse().ok());
    run.wait_ready(number.expect("handlers=N"));
    run
}

/// Changes the server and returns the answer.
#[track_caller]
pub(crate) fn change(run: &Run, verb: &str) -> Value {
    run.control().tell(&json!({"verb": verb}))
}

/// Where the server keeps a certificate.
pub(crate) fn pem(run: &Run, file: &str) -> PathBuf {
    run.path(&format!("{file}.pem"))
}

/// Whether a client is installed; says so where it is not.
pub(crate) fn has(tool: &str) -> bool {
    let found = Command::new(tool).arg("version").output().is_ok();
    if !found {
        println!("SKIPPED: {tool}: it is not installed");
    }
    found
}
