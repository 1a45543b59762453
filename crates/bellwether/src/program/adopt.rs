//! A program's own socket makes way for the pool's: answering its `bind`, `listen`, `shutdown` and
//! `unlink`.
//!
//! The program asks to bind an address. If that is one of ours, its socket is replaced by a duplicate
//! of our listener, at the same number, and the kernel never sees the call. So any number of unmodified
//! programs share one queue. This is a service to the program and no barrier against it: whoever
//! means harm can let our look at its memory find one address, and have the kernel bind another.

mod caller;
mod name;
pub(crate) mod passing;

use std::ffi::{CStr, OsStr};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::process::Pid;

use self::caller::{Caller, Found};
use self::name::{SocketName, address_of};
use crate::address::Listener;
use crate::sys::seccomp::{self, Call, Which};

/// How many calls are attended at once; a program that calls without end must not hold us up.
const AT_ONCE: usize = 64;

/// Answers the calls of one program and of all processes that come of it.
///
/// Readable means that somebody called. While it is open every `bind` and `listen` of the program waits
/// for [`Adopter::attend`]; once it is closed they all fail with ENOSYS, so it must live as long as the
/// program does and be passed on whenever the server becomes another program.
#[derive(Debug)]
pub(crate) struct Adopter {
    notifications: OwnedFd,
    /// Whether no socket of the program is to listen.
    mutes: bool,
}

/// What became of a program's call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// Its socket is now the listener of this index.
    Adopted {
        listener: usize,
        pid: Pid,
        /// Whether its own socket was: the flag is the listener's, which all share.
        nonblocking: bool,
        /// Whether the kernel let us see that it was a stream socket; else its address was believed.
        checked: bool,
        /// Whether it asked for an address of IPv4, and the listener is a socket of IPv6.
        mixed: bool,
    },
    /// It called `listen` on our listener, whose backlog stays as it is; it is about to accept.
    ///
    /// A program that first asks whether its socket listens (gunicorn) never calls.
    Listening { listener: usize, pid: Pid },
    /// It shut down our listener or removed its file, as it thinks.
    Spared { listener: usize, pid: Pid },
    /// It called `listen`, and nothing came of it.
    Muted,
    /// It bound a stream socket to an address that is not ours.
    Elsewhere { address: String, pid: Pid },
    /// Something was in the way; the program was told that the address is in use, or went on alone.
    Failed { why: String },
    /// All who could call have ended; the adopter is of no more use.
    Over,
}

/// What is to become of a call.
enum Verdict<'a> {
    /// The kernel does what was asked.
    GoOn(Option<Seen>),
    /// Nothing is left to do; the program is told that it worked.
    Done(Seen),
    /// Its socket is to become this listener, the one of that index.
    Adopt { ours: &'a Listener, listener: usize, checked: bool, mixed: bool },
}

impl Adopter {
    pub(crate) const fn new(notifications: OwnedFd) -> Self {
        Self { notifications, mutes: false }
    }

    /// One that lets no socket of the program listen, though the program is told that it does.
    pub(crate) const fn muting(notifications: OwnedFd) -> Self {
        Self { notifications, mutes: true }
    }

    /// Answers what waits; never blocks.
    ///
    /// Returns as soon as a socket was replaced: the program's `listen` then waits for the next time, so
    /// whoever sets the mode of the listener does it before the program accepts.
    pub(crate) fn attend(&self, listeners: &[Listener]) -> Vec<Seen> {
        let mut seen = Vec::new();
        for _ in 0..AT_ONCE {
            if seen.iter().any(|it| matches!(it, Seen::Adopted { .. })) {
                return seen;
            }
            match seccomp::receive(&self.notifications) {
                Ok(Some(call)) => seen.extend(self.settle(call, listeners)),
                Ok(None) => break,
                Err(error) => {
                    seen.push(failed("cannot hear what it calls", &error));
                    break;
                }
            }
        }
        seen.extend(seccomp::is_over(&self.notifications).then_some(Seen::Over));
        seen
    }

    fn settle(&self, call: Call, listeners: &[Listener]) -> Option<Seen> {
        let Some(caller) = call.pid.and_then(Caller::of) else {
            self.go_on(&call);
            return None;
        };
        let verdict = match call.which {
            Which::Bind => judge_bind(&call, caller, listeners),
            Which::Listen if self.mutes => Verdict::Done(Seen::Muted),
            Which::Listen => judge_listen(&call, caller, listeners),
            Which::Shutdown => judge_shutdown(&call, caller, listeners),
            Which::Remove => judge_removal(&call, caller, listeners),
        };
        // The thread may have ended meanwhile and another have its number: then what was read is of
        // that other, and nothing may follow from it.
        if !seccomp::is_valid(&self.notifications, call.id) {
            return None;
        }
        match verdict {
            Verdict::GoOn(seen) => {
                self.go_on(&call);
                seen
            }
            Verdict::Done(seen) => self.done(&call).then_some(seen),
            Verdict::Adopt { ours, listener, checked, mixed } => {
                let seen = adopted(&call, caller, listener, checked, mixed);
                self.replace(&call, caller, ours, seen)
            }
        }
    }

    /// Puts our listener in the place of the program's socket.
    fn replace(&self, call: &Call, caller: Caller, ours: &Listener, seen: Seen) -> Option<Seen> {
        let fd = call.descriptor();
        let cloexec = caller.flags(fd).contains(OFlags::CLOEXEC);
        match seccomp::put(&self.notifications, call.id, ours.as_fd(), fd, cloexec) {
            Ok(()) => self.done(call).then_some(seen),
            // It has ended, or a signal came and it calls again.
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => None,
            Err(error) => {
                let refusal = Err(Errno::ADDRINUSE);
                let _ = seccomp::answer(&self.notifications, call.id, refusal);
                Some(failed("cannot put the listener in the place of its socket", &error))
            }
        }
    }

    /// Whether the answer reached anybody; who was interrupted asks again.
    fn done(&self, call: &Call) -> bool {
        seccomp::answer(&self.notifications, call.id, Ok(0)).is_ok()
    }

    fn go_on(&self, call: &Call) {
        // Only a caller that is gone cannot be answered.
        let _ = seccomp::go_on(&self.notifications, call.id);
    }
}

impl AsFd for Adopter {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.notifications.as_fd()
    }
}

/// A socket that is to have one of our names makes way.
fn judge_bind<'a>(call: &Call, caller: Caller, listeners: &'a [Listener]) -> Verdict<'a> {
    let name = match wanted(call) {
        Ok(Some(name)) => name,
        Ok(None) => return Verdict::GoOn(None),
        Err(error) => return Verdict::GoOn(Some(failed("cannot read what it binds", &error))),
    };
    // A signal came between the exchange and its answer, and the program asks again.
    if let Some((listener, _)) = held_at(call.descriptor(), caller, listeners) {
        return Verdict::Done(adopted(call, caller, listener, true, false));
    }
    let checked = match caller.look_at(call.descriptor()) {
        Found::Tcp if name.is_tcp() => true,
        Found::Unix if !name.is_tcp() => true,
        Found::Unseen => false,
        Found::Tcp | Found::Unix | Found::Other => return Verdict::GoOn(None),
    };
    if let Some((listener, ours)) = best(&name, caller, listeners) {
        let mixed = SocketName::of(ours).is_some_and(|it| it.is_ipv6() && name.is_ipv4());
        return Verdict::Adopt { ours, listener, checked, mixed };
    }
    let address = told(&name, caller);
    Verdict::GoOn(Some(Seen::Elsewhere { address, pid: caller.process }))
}

/// A program's `listen` would set the backlog anew for all who share the listener.
fn judge_listen<'a>(call: &Call, caller: Caller, listeners: &'a [Listener]) -> Verdict<'a> {
    match held_at(call.descriptor(), caller, listeners) {
        Some((listener, _)) => Verdict::Done(Seen::Listening { listener, pid: caller.process }),
        None => Verdict::GoOn(None),
    }
}

/// A program that ends shuts down what it takes for its own listener: that would end it for all.
fn judge_shutdown<'a>(call: &Call, caller: Caller, listeners: &'a [Listener]) -> Verdict<'a> {
    match held_at(call.descriptor(), caller, listeners) {
        Some((listener, _)) => Verdict::Done(Seen::Spared { listener, pid: caller.process }),
        None => Verdict::GoOn(None),
    }
}

/// Programs remove the file of a socket before they bind it and when they end: ours is for all.
fn judge_removal<'a>(call: &Call, caller: Caller, listeners: &'a [Listener]) -> Verdict<'a> {
    let Some(path) = removed(call) else { return Verdict::GoOn(None) };
    let is_file = |ours: &Listener| match SocketName::of(ours) {
        Some(SocketName::Path(file)) => caller.means(call.descriptor(), &path, &file),
        _ => false,
    };
    match listeners.iter().position(is_file) {
        Some(listener) => Verdict::Done(Seen::Spared { listener, pid: caller.process }),
        None => Verdict::GoOn(None),
    }
}

/// The path that a program asks to remove, if it may be one of ours.
fn removed(call: &Call) -> Option<PathBuf> {
    let bytes = seccomp::copy_memory(call.pid?, call.args[1], u64::MAX).ok()?;
    // Longer than any socket's is no path of ours.
    let path = CStr::from_bytes_until_nul(&bytes).ok()?;
    Some(OsStr::from_bytes(path.to_bytes()).into())
}

/// The name that a program asks to bind, if it may be of interest.
fn wanted(call: &Call) -> io::Result<Option<SocketName>> {
    let (Some(thread), [_, address, length, ..]) = (call.pid, call.args) else { return Ok(None) };
    // The kernel takes an int for the length, and refuses what is longer than any name.
    match seccomp::copy_memory(thread, address, length & u64::from(u32::MAX)) {
        Ok(bytes) => Ok(address_of(&bytes)),
        Err(error) if error.raw_os_error() == Some(libc::EFAULT) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The listener that the caller has at this descriptor.
fn held_at(fd: RawFd, caller: Caller, listeners: &[Listener]) -> Option<(usize, &Listener)> {
    listeners.iter().enumerate().find(|(_, ours)| caller.has(fd, ours))
}

/// The listener that serves a program best which asked for this name; of equals the first.
fn best<'a>(
    name: &SocketName,
    caller: Caller,
    listeners: &'a [Listener],
) -> Option<(usize, &'a Listener)> {
    let serves = |ours: &Listener| {
        SocketName::of(ours)?
            .serves(name, |theirs, ours| caller.means(libc::AT_FDCWD, theirs, ours))
    };
    let serving = listeners.iter().enumerate().filter_map(|it| Some((serves(it.1)?, it)));
    serving.rev().max_by_key(|(likeness, _)| *likeness).map(|(_, it)| it)
}

fn adopted(call: &Call, caller: Caller, listener: usize, checked: bool, mixed: bool) -> Seen {
    let nonblocking = caller.flags(call.descriptor()).contains(OFlags::NONBLOCK);
    Seen::Adopted { listener, pid: caller.process, nonblocking, checked, mixed }
}

/// The address as an operator would write it.
fn told(name: &SocketName, caller: Caller) -> String {
    match name {
        SocketName::Path(path) => SocketName::Path(caller.absolute(path)).to_string(),
        name => name.to_string(),
    }
}

fn failed(what: &str, error: &io::Error) -> Seen {
    Seen::Failed { why: format!("{what}: {error}") }
}

#[cfg(test)]
mod tests;
