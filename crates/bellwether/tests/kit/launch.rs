//! What it takes to start a server: the program, what it is told, and a directory of its own.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::process::{getpid, set_child_subreaper};
use tempfile::TempDir;

use super::family::MARK;
use super::logs::Logs;
use super::quiescent::Baseline;
use super::run::Run;

/// Variables of a service manager that must not leak from the machine into a test.
const FOREIGN: [&str; 7] = [
    "LISTEN_FDS",
    "LISTEN_FDNAMES",
    "LISTEN_PID",
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "RUST_LOG",
    "JOURNAL_STREAM",
];

/// A server about to be started. Its directory exists already, so that arguments can name files there.
#[derive(Debug)]
pub struct Launch {
    command: Command,
    directory: TempDir,
    runtime: PathBuf,
}

impl Launch {
    /// Prepares a directory of its own for a run of the program.
    pub fn of(program: impl AsRef<Path>) -> Self {
        // Short: the paths of Unix sockets below it must stay under 108 bytes.
        let directory = tempfile::Builder::new().prefix("bw-").tempdir().unwrap();
        let runtime = directory.path().join("run");
        fs::create_dir(&runtime).unwrap();
        fs::set_permissions(&runtime, fs::Permissions::from_mode(0o700)).unwrap();
        let mut command = Command::new(program.as_ref());
        for name in FOREIGN {
            command.env_remove(name);
        }
        command.env("BELLWETHER_RUNTIME_DIR", &runtime).env(MARK, directory.path());
        // Tests read as people do; those of the other forms ask for them.
        command.env("BELLWETHER_LOG_FORMAT", "pretty");
        command.current_dir(directory.path());
        Self { command, directory, runtime }
    }

    /// A path in the directory of the run.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.command.arg(argument);
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<A: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.command.args(arguments);
        self
    }

    /// Sets a variable of the environment.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Hands over an open file as standard input, which is `/dev/null` otherwise.
    #[must_use]
    pub fn stdin(mut self, input: impl Into<Stdio>) -> Self {
        self.command.stdin(input);
        self
    }

    /// Uses the runtime directory of another run, to test who may own it.
    #[must_use]
    pub fn beside(mut self, other: &Run) -> Self {
        self.runtime = other.runtime().to_owned();
        let runtime = self.runtime.clone();
        self.env("BELLWETHER_RUNTIME_DIR", runtime)
    }

    /// Starts the program in its own process group, its output going to files in its directory.
    #[track_caller]
    pub fn start(mut self) -> Run {
        // Whoever outlives the server becomes our child, and so can be seen and ended.
        set_child_subreaper(Some(getpid())).unwrap();
        let baseline = Baseline::take();
        Logs::beneath(self.directory.path()).attach(&mut self.command);
        let child = self.command.process_group(0).spawn();
        let child =
            child.unwrap_or_else(|error| panic!("cannot start {:?}: {error}", self.command));
        Run::new(child, self.directory, self.runtime, baseline)
    }
}

/// The executable of an example: cargo puts it beside the folder of the test executables.
#[track_caller]
pub fn example(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let path =
        test.ancestors().nth(2).expect("target/PROFILE/deps/TEST").join("examples").join(name);
    assert!(
        path.exists(),
        "no {}: build it with `cargo build -p bellwether --examples`",
        path.display()
    );
    path
}
