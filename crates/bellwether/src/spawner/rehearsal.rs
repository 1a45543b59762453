//! A rehearsal: the new program reads configuration and baton in a child, and touches nothing.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, Signal, WaitStatus};

use super::handover::{Baton, REHEARSAL, REHEARSED, VARIABLE};
use crate::sys::exec::{Calling, replace};
use crate::sys::process::{self, Fork};
use crate::sys::{clock, descriptors, signal};

/// How much is kept of what a rehearsing program says.
const WORDS: usize = 16 * 1024;
/// How long to wait before a signal that could not be sent is tried again.
const AGAIN: Duration = Duration::from_millis(100);
/// The exit status of a child that could not become the program (as of a shell).
const NOT_EXECUTED: i32 = 127;

/// A program that rehearses in a child.
pub(super) struct Rehearsal {
    pid: Pid,
    /// Its standard error, and its word that it can go on.
    pub(super) words: OwnedFd,
    said: Vec<u8>,
    pub(super) until: Duration,
    limit: Duration,
    late: bool,
    /// What is tried, for people.
    what: &'static str,
}

impl Rehearsal {
    /// Lets a program rehearse with a baton.
    pub(super) fn begin(
        what: &'static str,
        program: &File,
        baton: &Baton,
        limit: Duration,
    ) -> std::io::Result<Self> {
        let (words, theirs) = pipe_with(PipeFlags::CLOEXEC)?;
        rustix::io::ioctl_fionbio(&words, true)?;
        let laid = baton.lay_down()?;
        let pid = match process::fork()? {
            Fork::Child => perform(program, baton, &laid, &theirs),
            Fork::Parent(pid) => pid,
        };
        let until = clock::now().saturating_add(limit);
        Ok(Self { pid, words, said: Vec::new(), until, limit, late: false, what })
    }

    pub(super) const fn pid(&self) -> Pid {
        self.pid
    }

    /// Hears what the program says; `false` when it will say nothing more.
    pub(super) fn hear(&mut self) -> bool {
        let mut part = [0; 4096];
        loop {
            match rustix::io::read(&self.words, &mut part) {
                Ok(0) => return false,
                Ok(length) => {
                    let room = WORDS.saturating_sub(self.said.len());
                    self.said.extend(part.iter().take(length.min(room)));
                }
                Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => return true,
                Err(_) => return false,
            }
        }
    }

    /// Ends a program that takes too long, or whose rehearsal is not wanted any more.
    pub(super) fn kill(&mut self) {
        self.late = true;
        let sent = crate::pool::signal_child(self.pid, Signal::KILL);
        self.until = if sent { Duration::MAX } else { clock::now() + AGAIN };
    }

    /// Judges the rehearsal by its end.
    pub(super) fn judge(mut self, status: WaitStatus) -> Result<(), String> {
        self.hear();
        let said = String::from_utf8_lossy(&self.said).into_owned();
        if status.exit_status() == Some(0) && self.said.contains(&REHEARSED) {
            return Ok(());
        }
        let why = said.trim().trim_start_matches("error: ");
        let how = match (status.exit_status(), status.terminating_signal()) {
            _ if self.late => format!("it took longer than {} s", self.limit.as_secs_f64()),
            (Some(NOT_EXECUTED), _) => "it cannot be executed".into(),
            (Some(code), _) => format!("it ended with exit status {code} before it could go on"),
            (_, Some(number)) => format!("it was killed by {}", signal::name(number)),
            _ => "it ended".into(),
        };
        let words = if why.is_empty() { String::new() } else { format!(": {why}") };
        Err(format!("{} failed when it was tried: {how}{words}", self.what))
    }
}

/// In the child: becomes the program.
fn perform(program: &File, baton: &Baton, laid: &OwnedFd, words: &OwnedFd) -> ! {
    signal::clean_slate();
    let _ = rustix::process::setpgid(None, None);
    let _ = rustix::process::set_parent_process_death_signal(Some(Signal::KILL));
    let _ = rustix::stdio::dup2_stdout(words);
    let _ = rustix::stdio::dup2_stderr(words);
    let error = calling(laid, words).map_or_else(
        |error| error,
        |calling| {
            let mut kept = baton.descriptors();
            kept.extend([laid.as_raw_fd(), words.as_raw_fd()]);
            descriptors::survive_exec(&kept, true);
            replace(program, &calling)
        },
    );
    let _ = writeln!(std::io::stderr(), "{error}");
    process::exit_now(NOT_EXECUTED)
}

/// The program is called as this one was, for its own pid, with the baton.
fn calling(laid: &OwnedFd, words: &OwnedFd) -> std::io::Result<Calling> {
    let parent = rustix::process::getppid().map_or(0, Pid::as_raw_pid).to_string();
    let own = rustix::process::getpid().as_raw_pid().to_string();
    let mut changes = vec![
        (VARIABLE, Some(laid.as_raw_fd().to_string())),
        (REHEARSAL, Some(words.as_raw_fd().to_string())),
        ("NOTIFY_SOCKET", None),
    ];
    if std::env::var_os("LISTEN_PID").is_some_and(|pid| pid == *OsStr::new(&parent)) {
        changes.push(("LISTEN_PID", Some(own)));
    }
    Calling::like_this_one(&changes)
}
