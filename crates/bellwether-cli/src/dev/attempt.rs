//! One attempt to run the program: a server of its own, which inherits our listeners.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus};

use bellwether::{Error, Listener, Result};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::inheritance::hand_over;
use super::inside;
use super::notices::Notices;
use crate::ending::CUT;

/// What others tell us as their service, which is not for the server of the program.
const NOT_FOR_IT: [&str; 5] =
    ["LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "WATCHDOG_USEC", "WATCHDOG_PID"];

/// A server that runs the program once.
#[derive(Debug)]
pub(super) struct Attempt {
    child: Child,
    /// The very process, whatever becomes of its number; readable when it has ended.
    process: OwnedFd,
}

impl Attempt {
    /// Starts ourselves anew as such a server.
    pub(super) fn start(listeners: &[(Listener, String)], notices: &Notices) -> Result<Self> {
        let (ours, theirs) = UnixStream::pair().map_err(cannot_start)?;
        hand_over(&ours, listeners)?;
        let program = std::env::current_exe().map_err(cannot_start)?;
        let mut command = Command::new(program);
        command.args(std::env::args_os().skip(1));
        for name in NOT_FOR_IT {
            command.env_remove(name);
        }
        command.env("NOTIFY_SOCKET", notices.variable());
        command.env(inside::VARIABLE, std::process::id().to_string());
        command.stdin(OwnedFd::from(theirs));
        // Ctrl-C is for us: a server that hears it twice ends at once.
        let mut child = command.process_group(0).spawn().map_err(cannot_start)?;
        match pidfd_open(pid_of(&child), PidfdFlags::empty()) {
            Ok(process) => Ok(Self { child, process }),
            Err(errno) => {
                let _ = child.kill().and_then(|()| child.wait());
                Err(cannot_start(errno.into()))
            }
        }
    }

    pub(super) fn pid(&self) -> Pid {
        pid_of(&self.child)
    }

    /// Tells it to finish what it has and end.
    pub(super) fn end(&self) {
        self.signal(Signal::TERM);
    }

    /// Tells it to end now.
    pub(super) fn end_at_once(&self) {
        self.signal(Signal::QUIT);
    }

    fn signal(&self, signal: Signal) {
        // It may have ended meanwhile.
        let _ = pidfd_send_signal(&self.process, signal);
    }

    /// Returns how it has ended, once it has.
    pub(super) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }
}

impl Drop for Attempt {
    /// Nobody is left who would end it, should we have to leave early.
    fn drop(&mut self) {
        if self.ended().is_none() {
            self.end_at_once();
            let _ = self.child.wait();
        }
    }
}

impl AsFd for Attempt {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.process.as_fd()
    }
}

/// Tells whether a server has ended because it was told to.
pub(super) fn was_told(status: ExitStatus) -> bool {
    status.success() || has_cut(status)
}

/// Tells whether it had to cut somebody off.
pub(super) fn has_cut(status: ExitStatus) -> bool {
    status.code() == Some(CUT.into())
}

/// Says how a server has ended that did not say why.
pub(super) fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("its server ended with exit status {code}"),
        (_, Some(signal)) => format!("its server was ended by signal {signal}"),
        _ => "its server ended".into(),
    }
}

fn pid_of(child: &Child) -> Pid {
    Pid::from_child(child)
}

fn cannot_start(source: io::Error) -> Error {
    Error::System { doing: "start a server for the program".into(), source }
}
