//! Faults of the kernel: strace attached to one process of a run.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::process::{Signal, kill_process};

use crate::kit::{PATIENCE, Pid, Run, eventually, within};

/// The calls in which handlers, template and spawner wait: each process comes to one of them soon.
/// (`?`: not every architecture has the call.)
pub(crate) const WAITS: &str = "?epoll_wait,?epoll_pwait,?epoll_pwait2,recvmsg";

/// Every call.
pub(crate) const ALL: &str = "all";

/// The calls by which a process forks.
pub(crate) const FORKS: &str = "clone,?clone3,?fork,?vfork";

/// A strace at work; its end lets the process go on undisturbed.
#[derive(Debug)]
pub(crate) struct Tracer {
    strace: Child,
    output: PathBuf,
}

impl Tracer {
    /// Attaches to a process and returns when every further call of it is seen. `faults` are
    /// injections, such as `accept4:error=EMFILE:when=1`; a `when` counts from now on.
    #[track_caller]
    pub(crate) fn attach(run: &Run, pid: Pid, calls: &str, faults: &[&str]) -> Self {
        // A call that is not traced is not injected into either, and strace does not say so.
        let calls = if calls == ALL { ALL.into() } else { format!("{WAITS},{calls}") };
        let mut tracer = Self::start(run, pid, &calls, faults, &[]);
        // A line begins when a call does, so that the first wait shows at once.
        tracer.wait_until("see", pid, |it| !it.text().is_empty());
        tracer
    }

    /// Attaches like [`Tracer::attach`] to a process and to all that it will fork; a `when` counts
    /// for each of them alone.
    #[track_caller]
    pub(crate) fn attach_family(run: &Run, pid: Pid, calls: &str, faults: &[&str]) -> Self {
        let mut tracer = Self::start(run, pid, &format!("{WAITS},{calls}"), faults, &["-f"]);
        tracer.wait_until("see", pid, |it| !it.text().is_empty());
        tracer
    }

    /// Attaches to a process that stands still, and to all that it will fork if `family`.
    #[track_caller]
    pub(crate) fn attach_stopped(run: &Run, calls: &str, faults: &[&str], family: bool) -> Self {
        let more = if family { &["-f"][..] } else { &[] };
        let mut tracer = Self::start(run, run.pid(), calls, faults, more);
        // From now on it cannot go on without its tracer's consent.
        tracer.wait_until("hold", run.pid(), |_| is_traced(run.pid()));
        tracer
    }

    #[track_caller]
    fn start(run: &Run, pid: Pid, calls: &str, faults: &[&str], more: &[&str]) -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let output = run.path(&format!("strace.{number}"));
        let mut command = strace(&output, calls);
        for fault in faults {
            command.args(["-e", &format!("inject={fault}")]);
        }
        let strace = command.args(more).args(["-p", &pid.to_string()]).spawn().unwrap();
        Self { strace, output }
    }

    #[track_caller]
    fn wait_until(&mut self, verb: &str, pid: Pid, done: impl Fn(&Self) -> bool) {
        eventually(PATIENCE, &format!("strace to {verb} process {pid}"), || {
            let ended = self.strace.try_wait().unwrap();
            assert_eq!(ended, None, "strace cannot attach to {pid}");
            done(self).then_some(())
        });
    }

    /// The names of the calls seen so far, in their order.
    pub(crate) fn calls(&self) -> Vec<String> {
        let text = self.text();
        let name = |line: &str| line.split_once('(').map(|(name, _)| name.to_owned());
        text.lines().filter_map(name).collect()
    }

    /// How many calls were made to fail so far.
    pub(crate) fn injected(&self) -> usize {
        self.text().matches("(INJECTED)").count()
    }

    /// Ends the injection.
    pub(crate) fn detach(self) {
        drop(self);
    }

    fn text(&self) -> String {
        fs::read_to_string(&self.output).unwrap_or_default()
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        // At SIGTERM strace detaches in good order; it is gone already when its process is.
        kill_process(rustix::process::Pid::from_child(&self.strace), Signal::TERM).ok();
        self.strace.wait().ok();
    }
}

/// Whether strace is there and may attach to our processes; says why not.
pub(crate) fn can_trace() -> bool {
    static OBSTACLE: OnceLock<Option<String>> = OnceLock::new();
    let obstacle = OBSTACLE.get_or_init(obstacle);
    if let Some(why) = obstacle {
        println!("SKIPPED: faults injected by strace: {why}");
    }
    obstacle.is_none()
}

/// Tries on a process of our own that waits for its input.
fn obstacle() -> Option<String> {
    let folder = tempfile::tempdir().unwrap();
    let mut cat = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().ok()?;
    let pid = cat.id().cast_signed();
    let mut strace = strace(&folder.path().join("trace"), "read");
    let obstacle = match strace.args(["-p", &pid.to_string()]).spawn() {
        Err(error) => Some(format!("strace does not start: {error}")),
        Ok(mut strace) => {
            let attached = || match strace.try_wait().unwrap() {
                Some(status) => Some(Some(format!("strace cannot attach here ({status})"))),
                None => is_traced(pid).then_some(None),
            };
            let outcome = within(PATIENCE, attached).flatten();
            strace.kill().ok();
            strace.wait().ok();
            outcome
        }
    };
    cat.kill().ok();
    cat.wait().ok();
    obstacle
}

fn strace(output: &Path, calls: &str) -> Command {
    let mut command = Command::new("strace");
    command.arg("-qq").arg("-o").arg(output).args(["-e", &format!("trace={calls}")]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

fn is_traced(pid: Pid) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let tracer = status.lines().find_map(|line| line.strip_prefix("TracerPid:"));
    tracer.is_some_and(|tracer| tracer.trim() != "0")
}
