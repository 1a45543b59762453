//! What tests need of other people's programs, installed once for all of them.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::fs::{FlockOperation, flock};

/// Whether a program can be found.
pub(crate) fn has(tool: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(tool).is_file())
}

/// The folder of programs installed for tests, beside the build.
pub(crate) fn place() -> PathBuf {
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("programs");
    fs::create_dir_all(&place).unwrap();
    place
}

/// Installs something unless that was done; `None` where it cannot be.
fn once(name: &str, install: impl FnOnce(&Path) -> bool) -> Option<PathBuf> {
    let place = place();
    let lock = File::create(place.join(format!("{name}.lock"))).unwrap();
    flock(&lock, FlockOperation::LockExclusive).unwrap();
    let (folder, done) = (place.join(name), place.join(format!("{name}.done")));
    if !done.exists() {
        let _ = fs::remove_dir_all(&folder);
        if !install(&folder) {
            return None;
        }
        fs::write(done, "").unwrap();
    }
    Some(folder)
}

fn runs(command: &mut Command) -> bool {
    let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}

/// A virtual environment of Python with these servers.
pub(crate) fn python() -> Option<PathBuf> {
    once("python", |folder| {
        let pip = folder.join("bin/pip");
        runs(Command::new("python3").args(["-m", "venv"]).arg(folder))
            && runs(Command::new(pip).args(["install", "-q", "uvicorn", "gunicorn", "granian"]))
    })
}

/// A folder of Node with Express.
pub(crate) fn express() -> Option<PathBuf> {
    once("express", |folder| {
        fs::create_dir_all(folder).unwrap();
        fs::write(folder.join("package.json"), PACKAGE).unwrap();
        runs(Command::new("npm").args(["install", "--silent", "express"]).current_dir(folder))
    })
}

const PACKAGE: &str =
    r#"{ "name": "shop", "private": true, "scripts": { "start": "node app.js" } }"#;

/// A server in Go; linked to nothing, or to the C library.
pub(crate) fn go(name: &str, source: &str, c: &str) -> Option<PathBuf> {
    once(name, |folder| {
        fs::create_dir_all(folder).unwrap();
        fs::write(folder.join("main.go"), source).unwrap();
        let mut build = Command::new("go");
        build.args(["build", "-o", "server", "main.go"]).current_dir(folder);
        runs(build.env("CGO_ENABLED", c).env("GOFLAGS", "-mod=mod").env("GO111MODULE", "off"))
    })
}
