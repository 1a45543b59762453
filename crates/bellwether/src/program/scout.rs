//! Which addresses a program opens, found out by starting it once.
//!
//! A process between, the scout, starts the program as if to adopt it, hears where it binds, and
//! ends it with all that it has started; so nothing of it is left in whoever asks.

use std::fs::File;
use std::io::{self, PipeReader, PipeWriter, Read, Seek, SeekFrom, Write};
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::MemfdFlags;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
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

/// How long after one address a program may open the next.
const NEXT: Duration = Duration::from_millis(300);

impl Program {
    /// Starts the program, hears which addresses it opens, and ends it as soon as it opens no more.
    ///
    /// Returns them as a server takes them, none if within `patience` it opened none, or only such
    /// whose port the kernel is to choose. Those that follow the first come within 0.3 s, each. Nobody
    /// reaches it meanwhile, as none of its sockets listens, and what it writes is not shown.
    ///
    /// # Errors
    /// [`Error::Configure`] when the program cannot be started, ends before it has opened any, or its
    /// calls cannot be heard here (seccomp user notification, Linux 5.9). [`Error::System`] when the process has several
    /// threads, or there can be no more processes.
    ///
    /// ```no_run
    /// use std::time::Duration;
    /// use bellwether::Program;
    ///
    /// let program = Program::new("node").arguments(["app.js"]);
    /// let all = program.addresses_it_opens(Duration::from_secs(20))?; // ["tcp://[::]:3000"]
    /// # Ok::<(), bellwether::Error>(())
    /// ```
    pub fn addresses_it_opens(&self, patience: Duration) -> Result<Vec<String>> {
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
            None => Ok(words.lines().map(str::to_owned).collect()),
        }
    }
}

/// In a process of its own: finds the addresses, says them, and ends with all that was started.
fn be_scout(program: &Program, patience: Duration, reader: PipeReader, words: PipeWriter) -> ! {
    drop(reader);
    signal::clean_slate();
    let mut words = words;
    let found = Start::of(program).and_then(|start| start.addresses(patience));
    end_all();
    let _ = match found {
        Ok(addresses) => words.write_all(beside_each_other(&addresses).join("\n").as_bytes()),
        Err(problem) => write!(words, "{PROBLEM}{problem}"),
    };
    process::exit_now(0)
}

/// A program that was started to be heard.
struct Start {
    adopter: Adopter,
    main: Pid,
    /// What it has written.
    said: File,
    /// Where it may say that it is ready.
    _heard: OwnedFd,
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
        let said = rustix::fs::memfd_create("said", MemfdFlags::CLOEXEC)
            .map_err(|errno| refused(errno.into()))?;
        let said = File::from(said);
        // It may say that it is ready, to nobody.
        let (heard, name) = notify_socket().map_err(refused)?;
        let main = match process::fork().map_err(refused)? {
            Fork::Child => become_program(program, &theirs, &said, &name),
            Fork::Parent(main) => main,
        };
        drop(theirs);
        let adopter = passing::wait(&ours).map(Adopter::muting);
        let mut words = String::new();
        // The end comes when the program runs.
        File::from(ours).take(4096).read_to_string(&mut words).map_err(refused)?;
        match adopter {
            Some(adopter) if words.is_empty() => Ok(Self { adopter, main, said, _heard: heard }),
            _ => Err(words.trim().into()),
        }
    }

    /// Answers its calls until it has bound its addresses, or the patience is over.
    fn addresses(self, patience: Duration) -> std::result::Result<Vec<String>, String> {
        let mut found = Vec::new();
        let mut until = clock::now() + patience;
        while let Some(left) = until.checked_sub(clock::now()).filter(|left| !left.is_zero()) {
            wait_for_calls(&self.adopter, left);
            for seen in self.adopter.attend(&[]) {
                match seen {
                    Seen::Elsewhere { address, .. }
                        if !address.ends_with(":0") && !found.contains(&address) =>
                    {
                        until = until.min(clock::now() + NEXT);
                        found.push(address);
                    }
                    Seen::Over if found.is_empty() => return Err(self.how_it_ended()),
                    Seen::Over => return Ok(found),
                    _ => {}
                }
            }
        }
        Ok(found)
    }

    /// Says how a program ended that has opened nothing, and what it wrote last.
    fn how_it_ended(mut self) -> String {
        let ended = rustix::process::waitpid(Some(self.main), WaitOptions::empty());
        let how = match ended {
            Ok(Some((_, status))) => {
                status.exit_status().map(|it| format!(" with exit status {it}"))
            }
            _ => None,
        };
        let mut text = Vec::new();
        let _ = self.said.seek(SeekFrom::Start(0)).and_then(|_| self.said.read_to_end(&mut text));
        let text = String::from_utf8_lossy(&text);
        let last = text.lines().rev().find(|line| !line.trim().is_empty());
        let last = last.map(|line| line.chars().filter(|it| !it.is_control()).take(300).collect());
        let last =
            last.map_or_else(|| "it wrote nothing".into(), |it: String| format!("it wrote: {it}"));
        format!("it ended{} before it opened an address; {last}", how.unwrap_or_default())
    }
}

/// A socket that hears what nobody reads, and its name in the environment.
fn notify_socket() -> io::Result<(OwnedFd, String)> {
    let kind = (AddressFamily::UNIX, SocketType::DGRAM, SocketFlags::CLOEXEC);
    let socket = rustix::net::socket_with(kind.0, kind.1, kind.2, None)?;
    let name = format!("bellwether/scout/{}", rustix::process::getpid().as_raw_pid());
    rustix::net::bind(&socket, &SocketAddrUnix::new_abstract_name(name.as_bytes())?)?;
    Ok((socket, format!("@{name}")))
}

/// Addresses that can all be open at once: where all interfaces are named of IPv4 and of IPv6, the
/// latter does without the former.
fn beside_each_other(addresses: &[String]) -> Vec<String> {
    let alone = |address: &String| match address.strip_prefix("tcp://[::]:") {
        Some(port) if addresses.contains(&format!("tcp://0.0.0.0:{port}")) => {
            format!("{address}?v6only=on")
        }
        _ => address.clone(),
    };
    addresses.iter().map(alone).collect()
}

fn wait_for_calls(adopter: &Adopter, left: Duration) {
    let seconds = i64::try_from(left.as_secs()).unwrap_or(i64::MAX);
    let limit = Timespec { tv_sec: seconds, tv_nsec: left.subsec_nanos().into() };
    let mut polled = [PollFd::new(adopter, PollFlags::IN)];
    // Interrupted or not: whoever calls looks, and comes again.
    let _ = rustix::event::poll(&mut polled, Some(&limit));
}

/// In a new process: becomes the program, or says why not.
fn become_program(program: &Program, channel: &OwnedFd, said: &File, notify: &str) -> ! {
    let _ = rustix::process::set_parent_process_death_signal(Some(Signal::KILL));
    let mut program = program.clone();
    program.ways.pass = Pass::Adopt;
    let _ = rustix::stdio::dup2_stdout(said);
    let _ = rustix::stdio::dup2_stderr(said);
    // Whoever has none has been orphaned, and ends.
    let scout = rustix::process::getppid().unwrap_or(Pid::INIT);
    let place = Place {
        slot: 0,
        generation: 1,
        spawner: scout,
        listeners: &[],
        notify: Some(notify),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_interfaces_are_not_opened_twice() {
        let check = |addresses: &[&str], expected: &[&str]| {
            let addresses: Vec<_> = addresses.iter().map(ToString::to_string).collect();
            assert_eq!(beside_each_other(&addresses), expected);
        };
        check(&[], &[]);
        check(&["tcp://[::]:80", "tcp://0.0.0.0:81"], &["tcp://[::]:80", "tcp://0.0.0.0:81"]);
        let both = ["tcp://0.0.0.0:80", "tcp://[::]:80"];
        check(&both, &["tcp://0.0.0.0:80", "tcp://[::]:80?v6only=on"]);
    }
}
