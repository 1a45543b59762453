//! Which address a program opens, found out by starting it once.
//!
//! A process between, the scout, starts the program as if to adopt it, hears where it binds, and
//! ends it with all that it has started; so nothing of it is left in whoever asks.

use std::fs::File;
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use rustix::process::{Pid, Signal, WaitOptions};

use super::adopt::{Adopter, Seen, passing};
use super::family::Family;
use super::launch::{self, Place};
use super::{Pass, Program};
use crate::error::{Error, Result};
use crate::sys::process::{self, Fork};
use crate::sys::{clock, signal};

/// What begins the words of a scout that has failed; no address begins so.
const PROBLEM: char = '!';

impl Program {
    /// Starts the program, hears which address it opens first, and ends it before it serves there.
    ///
    /// Returns the address as a server takes it, or `None` if within `patience` it opened none, or
    /// one whose port the kernel is to choose. What it writes meanwhile is not shown.
    ///
    /// # Errors
    /// [`Error::Configure`] when the program cannot be started, or its calls cannot be heard here
    /// (seccomp user notification, Linux 5.9). [`Error::System`] when the process has several
    /// threads, or there can be no more processes.
    ///
    /// ```no_run
    /// use std::time::Duration;
    /// use bellwether::Program;
    ///
    /// let program = Program::new("node").arguments(["app.js"]);
    /// let address = program.address_it_opens(Duration::from_secs(20))?; // "tcp://[::]:3000"
    /// # Ok::<(), bellwether::Error>(())
    /// ```
    pub fn address_it_opens(&self, patience: Duration) -> Result<Option<String>> {
        let system = |source| Error::System { doing: "start a program to try".into(), source };
        let (mut reader, writer) = io::pipe().map_err(system)?;
        let scout = match process::fork().map_err(system)? {
            Fork::Parent(scout) => scout,
            Fork::Child => be_scout(self, patience, reader, writer),
        };
        drop(writer);
        let mut words = String::new();
        let read = reader.read_to_string(&mut words);
        process::wait_for(scout);
        read.map_err(system)?;
        match words.strip_prefix(PROBLEM) {
            Some(problem) => Err(Error::configure(self.name(), problem)),
            None => Ok(Some(words).filter(|address| !address.is_empty())),
        }
    }
}

/// In a process of its own: finds the address, says it, and ends with all that was started.
fn be_scout(program: &Program, patience: Duration, reader: PipeReader, words: PipeWriter) -> ! {
    drop(reader);
    signal::clean_slate();
    let mut words = words;
    let found = Start::of(program).map(|start| start.first_address(patience));
    end_all();
    let _ = match found {
        Ok(address) => words.write_all(address.unwrap_or_default().as_bytes()),
        Err(problem) => write!(words, "{PROBLEM}{problem}"),
    };
    process::exit_now(0)
}

/// A program that was started to be heard.
struct Start {
    adopter: Adopter,
}

impl Start {
    fn of(program: &Program) -> std::result::Result<Self, String> {
        let refused = |error: io::Error| format!("it cannot be started: {error}");
        // Whatever it leaves behind comes to us.
        rustix::process::set_child_subreaper(Some(rustix::process::getpid()))
            .map_err(|errno| refused(errno.into()))?;
        let _ = rustix::process::set_parent_process_death_signal(Some(Signal::KILL));
        let kind = (AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC);
        let (ours, theirs) = rustix::net::socketpair(kind.0, kind.1, kind.2, None)
            .map_err(|errno| refused(errno.into()))?;
        match process::fork().map_err(refused)? {
            Fork::Child => become_program(program, &theirs),
            Fork::Parent(_) => drop(theirs),
        }
        let adopter = passing::wait(&ours).map(Adopter::new);
        let mut words = String::new();
        // The end comes when the program runs.
        File::from(ours).take(4096).read_to_string(&mut words).map_err(refused)?;
        match adopter {
            Some(adopter) if words.is_empty() => Ok(Self { adopter }),
            _ => Err(words.trim().into()),
        }
    }

    /// Answers its calls until it has bound an address, or the patience is over.
    fn first_address(&self, patience: Duration) -> Option<String> {
        let until = clock::now() + patience;
        while let Some(left) = until.checked_sub(clock::now()).filter(|left| !left.is_zero()) {
            wait_for_calls(&self.adopter, left);
            for seen in self.adopter.attend(&[]) {
                match seen {
                    Seen::Elsewhere { address, .. } if !address.ends_with(":0") => {
                        return Some(address);
                    }
                    Seen::Over => return None,
                    _ => {}
                }
            }
        }
        None
    }
}

fn wait_for_calls(adopter: &Adopter, left: Duration) {
    let seconds = i64::try_from(left.as_secs()).unwrap_or(i64::MAX);
    let limit = Timespec { tv_sec: seconds, tv_nsec: left.subsec_nanos().into() };
    let mut polled = [PollFd::new(adopter, PollFlags::IN)];
    // Interrupted or not: whoever calls looks, and comes again.
    let _ = rustix::event::poll(&mut polled, Some(&limit));
}

/// In a new process: becomes the program, or says why not.
fn become_program(program: &Program, channel: &OwnedFd) -> ! {
    let _ = rustix::process::set_parent_process_death_signal(Some(Signal::KILL));
    let mut program = program.clone();
    program.ways.pass = Pass::Adopt;
    if let Ok(nowhere) = File::options().read(true).write(true).open("/dev/null") {
        let _ = rustix::stdio::dup2_stdout(&nowhere);
        let _ = rustix::stdio::dup2_stderr(&nowhere);
    }
    // Whoever has none has been orphaned, and ends.
    let scout = rustix::process::getppid().unwrap_or(Pid::INIT);
    let place = Place {
        slot: 0,
        generation: 1,
        spawner: scout,
        listeners: &[],
        notify: None,
        port: None,
        line: None,
        warden: scout,
        channel,
    };
    launch::become_or_say(&program, &place)
}

/// Ends all that descends from us, and whatever that starts meanwhile.
fn end_all() {
    let own = rustix::process::getpid();
    loop {
        let family = Family::of(own);
        for pid in family.pids().iter().filter(|pid| **pid != own) {
            let _ = rustix::process::kill_process(*pid, Signal::KILL);
        }
        match rustix::process::wait(WaitOptions::empty()) {
            Ok(Some(_)) | Err(rustix::io::Errno::INTR) => {}
            // No children are left (ECHILD).
            Ok(None) | Err(_) => return,
        }
    }
}
