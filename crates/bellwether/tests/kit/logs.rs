//! What a program wrote to its standard output and standard error.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Lines of each log that a failing test prints.
const TAIL: usize = 40;

/// The two files that take a program's output.
#[derive(Clone, Debug)]
pub struct Logs {
    out: PathBuf,
    err: PathBuf,
}

impl Logs {
    /// Names the files, in a run's directory.
    pub fn beneath(directory: &Path) -> Self {
        Self { out: directory.join("stdout"), err: directory.join("stderr") }
    }

    /// Sends the output of a program to the files.
    pub fn attach(&self, command: &mut Command) {
        command.stdout(File::create(&self.out).unwrap()).stderr(File::create(&self.err).unwrap());
    }

    /// Standard output so far.
    pub fn stdout(&self) -> String {
        read(&self.out)
    }

    /// Standard error so far.
    pub fn stderr(&self) -> String {
        read(&self.err)
    }

    /// The last lines of both, for people.
    pub fn tail(&self) -> String {
        [&self.out, &self.err].map(|path| tail(path, &read(path))).concat()
    }
}

fn tail(path: &Path, text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let shown = &lines[lines.len().saturating_sub(TAIL)..];
    let heading = format!("{}, {} of {} lines", path.display(), shown.len(), lines.len());
    format!("--- {heading}\n{}\n", shown.join("\n"))
}

/// A server may write what is not text.
fn read(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
}
