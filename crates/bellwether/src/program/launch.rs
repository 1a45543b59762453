//! Becoming the program: the last steps of a process that is a handler of ours no more.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::process::Pid;

use super::adopt::passing;
use super::{Pass, Program, private_port, stray};
use crate::address::{Kind, Listener};
use crate::sys::{descriptors, process};

/// Where a program is to serve.
pub(crate) struct Place<'a> {
    pub(crate) slot: usize,
    pub(crate) generation: u64,
    /// Who ends what the program leaves behind, should its warden be killed.
    pub(crate) spawner: Pid,
    pub(crate) listeners: &'a [Listener],
    /// Where it may say how it is, if anywhere.
    pub(crate) notify: Option<&'a str>,
    /// The port of its own, where it has one.
    pub(crate) port: Option<u16>,
    /// What it is to say at which descriptor that it is ready.
    pub(crate) line: Option<(BorrowedFd<'a>, RawFd)>,
    /// Who starts it, and is its parent.
    pub(crate) warden: Pid,
    /// The way to whoever starts it; it closes when the program runs.
    pub(crate) channel: &'a OwnedFd,
}

/// The exit status of a process that did not become a program (as of shells).
const NOT_STARTED: i32 = 127;

/// The first descriptor that systemd passes (SD_LISTEN_FDS_START).
pub(crate) const FIRST: RawFd = 3;

/// Variables by which others tell programs of descriptors and sockets, which are not for this one.
const NOT_FOR_IT: [&str; 8] = [
    "LISTEN_FDS",
    "LISTEN_PID",
    "LISTEN_FDNAMES",
    "LISTEN_PIDFDID",
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
    "MAINPID",
];

/// Why a process did not become a program, and the way to whoever starts it as it is now.
struct Failure {
    problem: String,
    channel: io::Result<OwnedFd>,
}

/// Replaces this process by a program, or says over the channel why not and ends.
pub(crate) fn become_or_say(program: &Program, place: &Place<'_>) -> ! {
    let failure = exec(program, place);
    if let Ok(channel) = failure.channel {
        // What would have been read in the place of a descriptor is blank.
        let _ = write!(File::from(channel), " {}", failure.problem);
    }
    process::exit_now(NOT_STARTED)
}

/// Replaces this process by a program; returns only to say why not.
fn exec(program: &Program, place: &Place<'_>) -> Failure {
    let name = program.file.to_string_lossy();
    let mut command = Command::new(&program.file);
    let filled = |text: &OsString| match place.port {
        Some(port) => private_port::filled(text, port),
        None => text.clone(),
    };
    command.args(program.arguments.iter().map(filled));
    for name in NOT_FOR_IT {
        command.env_remove(name);
    }
    if let Some(socket) = place.notify {
        command.env("NOTIFY_SOCKET", socket);
    }
    if let Some(limit) = program.watchdog {
        command.env("WATCHDOG_USEC", limit.as_micros().to_string());
        // The process stays the same when it becomes the program.
        command.env("WATCHDOG_PID", std::process::id().to_string());
    }
    if let Some(port) =
        place.listeners.iter().find_map(Listener::port).filter(|_| program.ways.pass == Pass::Adopt)
    {
        // Many listen where that says; whoever does not has to be told in their own way.
        command.env("PORT", port.to_string());
    }
    // One handler is one worker, whatever the machine has and whoever started us was told.
    command.env("WEB_CONCURRENCY", "1");
    command.env("BELLWETHER_SLOT", place.slot.to_string());
    command.env("BELLWETHER_GENERATION", place.generation.to_string());
    command.env(stray::MARK, place.spawner.to_string());
    let channel = match settle_in(program, place, &mut command) {
        Ok(channel) => channel,
        Err(error) => {
            let problem = format!("`{name}` cannot be given its descriptors: {error}");
            return Failure { problem, channel: place.channel.try_clone() };
        }
    };
    for (name, value) in &program.environment {
        match value {
            Some(value) => command.env(name, filled(value)),
            None => command.env_remove(name),
        };
    }
    let why_not = match program.rights.assume(place.warden).and_then(|()| go_home(program)) {
        Ok(()) => hint(&command.exec(), program),
        Err(problem) => problem,
    };
    Failure { problem: format!("cannot run `{name}`: {why_not}"), channel: Ok(channel) }
}

/// Enters the folder of the program, as its user.
fn go_home(program: &Program) -> Result<(), String> {
    let Some(folder) = &program.folder else { return Ok(()) };
    let refused = |error| format!("its folder `{}` cannot be entered: {error}", folder.display());
    std::env::set_current_dir(folder).map_err(refused)
}

/// What to try against a refusal.
fn hint(error: &io::Error, program: &Program) -> String {
    let who =
        program.rights.owner().map(|user| format!(" by user {user}, all folders above it too"));
    match error.kind() {
        io::ErrorKind::NotFound => format!("{error}; is it installed, and is its folder in PATH?"),
        io::ErrorKind::PermissionDenied => {
            format!("{error}; may it be executed (chmod +x){}?", who.unwrap_or_default())
        }
        io::ErrorKind::WouldBlock => {
            format!("{error}; its user has as many processes as the limit `nproc` allows")
        }
        _ => error.to_string(),
    }
}

/// Gives the process the addresses.
///
/// Returns the way to whoever starts it, which may have had to make room.
fn settle_in(program: &Program, place: &Place<'_>, command: &mut Command) -> io::Result<OwnedFd> {
    let listeners: Vec<BorrowedFd<'_>> = place.listeners.iter().map(AsFd::as_fd).collect();
    let arrange = |listeners: &[BorrowedFd<'_>], first: RawFd| {
        let sources = listeners.iter().copied().zip(first..).chain(place.line);
        let arranged = descriptors::arrange(&sources.collect::<Vec<_>>(), place.channel.as_fd());
        arranged.map_err(|error| match error.raw_os_error() {
            Some(libc::EINVAL | libc::EBADF) => {
                io::Error::other("a number is beyond what may be open (ulimit -n)")
            }
            _ => error,
        })
    };
    match program.ways.pass {
        Pass::ListenFds => {
            let names: Vec<_> = (0..listeners.len()).map(|i| format!("listener-{i}")).collect();
            command.env("LISTEN_FDS", listeners.len().to_string());
            // The process stays the same when it becomes the program.
            command.env("LISTEN_PID", std::process::id().to_string());
            command.env("LISTEN_FDNAMES", names.join(":"));
            arrange(&listeners, FIRST)
        }
        Pass::Descriptors(first) => arrange(&listeners, first.max(FIRST)),
        Pass::Adopt => {
            let files = place.listeners.iter().any(|it| it.kind() == Kind::Unix);
            passing::submit(place.channel.as_fd(), files)
                .map_err(|error| io::Error::other(passing::why_not(&error)))?;
            arrange(&[], FIRST)
        }
        Pass::StandardInput => {
            let [listener] = listeners[..] else {
                let problem = "a program that serves its standard input has exactly one address";
                return Err(io::Error::other(problem));
            };
            rustix::stdio::dup2_stdin(listener)?;
            arrange(&[], FIRST)
        }
        Pass::Port => {
            let port = place.port.ok_or_else(|| io::Error::other("it was given no port"))?;
            command.env("PORT", port.to_string()).env("HOST", private_port::HOST);
            arrange(&[], FIRST)
        }
    }
}
