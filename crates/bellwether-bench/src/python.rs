//! Servers of Python, from PyPI, in an environment of their own beside this program.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};

/// Those that are measured, and what makes uvicorn as fast as it gets.
const SERVERS: [&str; 4] = ["gunicorn", "uvicorn", "uvloop", "httptools"];

/// Why they are not here, if they are not; `install` lets pip bring them.
pub(crate) fn missing(install: bool) -> Option<String> {
    let Ok(folder) = folder() else { return Some("this program is nowhere".into()) };
    if is_whole(&folder) {
        return None;
    }
    if !install {
        return Some("it is not installed; with Python and PyPI at hand, --install does it".into());
    }
    eprintln!("installing {} into {}", SERVERS.join(", "), folder.display());
    let made = runs(Command::new("python3").args(["-m", "venv"]).arg(&folder));
    if !made {
        return Some("python3 cannot make an environment; on Debian, install python3-venv".into());
    }
    let pip = folder.join("bin/pip");
    let installed = runs(Command::new(pip).args(["install", "-q"]).args(SERVERS));
    (!installed || !is_whole(&folder)).then(|| "pip cannot install it; is PyPI reachable?".into())
}

/// The program of a server.
pub(crate) fn program(name: &str) -> Result<String> {
    Ok(folder()?.join("bin").join(name).to_string_lossy().into_owned())
}

fn folder() -> Result<PathBuf> {
    let program = std::env::current_exe().context("cannot find out where this program is")?;
    Ok(program.with_file_name("bellwether-bench-python"))
}

/// The last things that pip makes are the programs.
fn is_whole(folder: &Path) -> bool {
    ["gunicorn", "uvicorn"].iter().all(|name| folder.join("bin").join(name).exists())
}

fn runs(command: &mut Command) -> bool {
    let quiet = command.stdin(Stdio::null()).stdout(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}
