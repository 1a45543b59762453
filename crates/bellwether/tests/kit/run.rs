//! A real server under test, from its start until nothing of it is left.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

pub use rustix::process::Signal;
use rustix::process::kill_process;
use serde_json::Value;
use tempfile::TempDir;

use super::control::{self, Control};
use super::family::Family;
use super::launch::Launch;
use super::logs::Logs;
use super::processes::{self, Pid, Process};
use super::quiescent::{Baseline, assert_quiescent};
use super::wait::{PATIENCE, eventually, within};

/// Longer than the spawner takes a second order to stop for the first again (20 ms).
const ECHO: Duration = Duration::from_millis(30);

/// A started server. Dropping it kills whatever is left; a failing test keeps the directory.
#[derive(Debug)]
pub struct Run {
    child: Child,
    ended: Option<ExitStatus>,
    directory: TempDir,
    runtime: PathBuf,
    baseline: Baseline,
    family: Family,
    logs: Logs,
}

impl Run {
    /// Starts a program with these arguments; see [`Launch`] for more.
    #[track_caller]
    pub fn start(program: impl AsRef<Path>, arguments: &[&str]) -> Self {
        Launch::of(program).args(arguments).start()
    }

    pub(super) fn new(
        child: Child,
        directory: TempDir,
        runtime: PathBuf,
        baseline: Baseline,
    ) -> Self {
        let family = Family::of(child.id().cast_signed(), directory.path());
        let logs = Logs::beneath(directory.path());
        Self { child, ended: None, directory, runtime, baseline, family, logs }
    }

    /// The spawner.
    pub fn pid(&self) -> Pid {
        self.child.id().cast_signed()
    }

    /// The directory that holds the logs, the runtime directory and what the test puts there.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// A path in that directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory().join(name)
    }

    /// Where servers keep their control sockets.
    pub fn runtime(&self) -> &Path {
        &self.runtime
    }

    /// The machine before the start.
    pub fn baseline(&self) -> &Baseline {
        &self.baseline
    }

    /// The way to the status, for a sampling thread.
    pub fn control(&self) -> Control {
        Control::under(&self.runtime)
    }

    /// The server's status, now.
    #[track_caller]
    pub fn status(&self) -> Value {
        self.control().status().unwrap_or_else(|error| panic!("no status of the server: {error}"))
    }

    /// The part of the status about the first pool, now.
    #[track_caller]
    pub fn pool(&self) -> Value {
        control::pool(&self.status()).clone()
    }

    /// The last entries of the server's journal, the oldest first.
    #[track_caller]
    pub fn journal(&self) -> Vec<Value> {
        self.control().journal().unwrap_or_else(|error| panic!("no journal of the server: {error}"))
    }

    /// Waits until at least `n` handlers are idle or busy.
    #[track_caller]
    pub fn wait_ready(&self, n: usize) {
        eventually(PATIENCE, &format!("{n} ready handlers"), || {
            assert!(self.is_alive(), "the server ended before {n} handlers were ready");
            (control::ready(&self.control().status().ok()?).len() >= n).then_some(())
        });
    }

    /// All handlers that the spawner lists, ready or not.
    #[track_caller]
    pub fn handler_pids(&self) -> Vec<Pid> {
        control::listed(&self.status())
    }

    /// Where the first TCP address listens, its port resolved.
    #[track_caller]
    pub fn socket_addr(&self) -> SocketAddr {
        let pool = self.pool();
        let address = pool["addresses"][0]["address"].as_str().unwrap_or_default();
        let socket = address.strip_prefix("tcp://").and_then(|rest| rest.parse().ok());
        socket.unwrap_or_else(|| panic!("{address:?} is not like tcp://127.0.0.1:41234"))
    }

    /// What the server wrote to standard output and then to standard error.
    pub fn logs(&self) -> String {
        self.stdout() + &self.stderr()
    }

    /// Standard output so far.
    pub fn stdout(&self) -> String {
        self.logs.stdout()
    }

    /// Standard error so far.
    pub fn stderr(&self) -> String {
        self.logs.stderr()
    }

    /// Neither ended nor a zombie.
    pub fn is_alive(&self) -> bool {
        self.ended.is_none() && processes::is_alive(self.pid())
    }

    /// Sends a signal to the spawner alone.
    #[track_caller]
    pub fn signal(&self, signal: Signal) {
        assert!(self.ended.is_none(), "the server has ended: its pid may be a stranger's");
        let pid = rustix::process::Pid::from_child(&self.child);
        kill_process(pid, signal).unwrap();
    }

    /// Sends a signal when it cannot be taken for one of just before again.
    #[track_caller]
    pub fn signal_later(&self, signal: Signal) {
        let begin = Instant::now();
        eventually(PATIENCE, "a moment to pass", || (begin.elapsed() >= ECHO).then_some(()));
        self.signal(signal);
    }

    /// Waits until the spawner ends by itself.
    #[track_caller]
    pub fn wait(&mut self) -> ExitStatus {
        let look = || self.child.try_wait().unwrap();
        let status = eventually(PATIENCE, "the end of the server", look);
        *self.ended.insert(status)
    }

    /// Stops the server gracefully (SIGTERM) and asserts that nothing of it is left.
    #[track_caller]
    pub fn stop(&mut self) -> ExitStatus {
        self.processes(); // from now on they are known, even as zombies
        self.signal(Signal::TERM);
        let status = self.wait();
        assert_quiescent(&self.baseline, self);
        status
    }

    /// Every process of this run that can be seen: the spawner, its descendants, and those that it
    /// left behind, zombies too.
    pub fn processes(&self) -> Vec<Process> {
        self.family.members()
    }

    /// Waits until no process of the run is left, after the death of the spawner. Its orphans are
    /// our children by then, so that waiting for them is up to us.
    #[track_caller]
    pub fn wait_gone(&self) {
        eventually(PATIENCE, "the end of every process of the run", || {
            self.family.reap_orphans();
            self.processes().is_empty().then_some(())
        });
    }

    /// A process may fork between the look and the kill: repeat until nothing is left.
    fn kill_everything(&mut self) {
        within(PATIENCE, || {
            self.family.kill();
            self.child.try_wait().ok();
            self.family.reap_orphans();
            self.processes().is_empty().then_some(())
        });
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.kill_everything();
        if thread::panicking() {
            self.directory.disable_cleanup(true);
            eprintln!("the run is kept in {}\n{}", self.directory().display(), self.logs.tail());
        }
    }
}
