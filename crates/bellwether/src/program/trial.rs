//! Real programs to look at, for the tests of this folder.

use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::Timespec;
use rustix::process::{Pid, Signal, kill_process};

use super::family::Family;

/// However slow the machine: a Java starts in seconds.
const PATIENCE: Duration = Duration::from_secs(60);

/// A program in a process group of its own, which ends with this value.
pub(super) struct Trial {
    child: Child,
}

impl Trial {
    /// `None`, and said so, where the program is missing. Its input stays open and empty.
    pub(super) fn start(program: &str, arguments: &[&str]) -> Option<Self> {
        Self::with(program, arguments, Stdio::piped())
    }

    /// Its input is the listener.
    pub(super) fn on(listener: &TcpListener, program: &str, arguments: &[&str]) -> Option<Self> {
        let listener: OwnedFd = listener.try_clone().unwrap().into();
        Self::with(program, arguments, Stdio::from(listener))
    }

    fn with(program: &str, arguments: &[&str], input: Stdio) -> Option<Self> {
        let mut command = Command::new(program);
        command.args(arguments).stdin(input).stdout(Stdio::null()).stderr(Stdio::null());
        match command.process_group(0).spawn() {
            Ok(child) => Some(Self { child }),
            Err(error) => {
                println!("SKIPPED: {program}: {error}");
                None
            }
        }
    }

    pub(super) fn leader(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    pub(super) fn family(&self) -> Family {
        Family::of(self.leader())
    }
}

impl Drop for Trial {
    fn drop(&mut self) {
        for pid in self.family().pids() {
            let _ = kill_process(*pid, Signal::KILL);
        }
        let _ = self.child.wait();
    }
}

pub(super) fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").unwrap()
}

pub(super) fn client(listener: &TcpListener) -> TcpStream {
    TcpStream::connect(listener.local_addr().unwrap()).unwrap()
}

pub(super) fn inode(socket: impl AsFd) -> u64 {
    rustix::fs::fstat(socket).unwrap().st_ino
}

/// Looks again and again until there is something to see.
#[track_caller]
pub(super) fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(Instant::now() < end, "waited in vain for {what}");
        let pause = Timespec { tv_sec: 0, tv_nsec: 5_000_000 };
        rustix::event::poll(&mut [], Some(&pause)).unwrap();
    }
}
