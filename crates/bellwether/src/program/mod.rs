//! Any executable as a handler: how it is started, what it is given, what can be seen of it.
//!
//! A [`Program`] is what its owner says of it; [`launch`] turns a fresh process into it, with the
//! addresses in hand as [`Pass`] says; [`adopt`] puts them in the place of sockets that it binds
//! itself; who can do neither has a [`private_port`]. What it may are its [`rights`]. Nobody has to
//! change a program for it, and nobody asks it anything: how the processes of
//! its [`family`] wait shows whether it is ready ([`readiness`]), its accepted connections what it
//! has [`in_hand`], and both over time whether it is serial ([`habits`]). Before it is told to end it is kept from taking more ([`farewell`]).
//! What it leaves behind has a mark ([`stray`]).

pub(crate) mod adopt;
mod call;
mod descriptors;
pub(crate) mod evidence;
pub(crate) mod family;
pub(crate) mod farewell;
pub(crate) mod habits;
pub(crate) mod in_hand;
pub(crate) mod launch;
pub(crate) mod private_port;
pub(crate) mod readiness;
mod resource;
mod rights;
mod scout;
pub(crate) mod stray;
#[cfg(test)]
mod trial;
pub(crate) mod uptake;

use std::ffi::{OsStr, OsString};
use std::os::fd::RawFd;
use std::path::PathBuf;
use std::time::Duration;

use adopt::passing;
pub use resource::Resource;
use rights::Rights;

use crate::error::{Error, Result};

/// How a program is given the addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Pass {
    /// As systemd does: descriptors from 3 on, told by `LISTEN_FDS`, `LISTEN_PID` and
    /// `LISTEN_FDNAMES` (sd_listen_fds(3)).
    ListenFds,
    /// Descriptors from this number on, 3 or higher, and not a word about it: the program's own
    /// arguments say so.
    Descriptors(RawFd),
    /// In place of the sockets that the program binds itself: it need not know.
    ///
    /// Its calls of bind(2) and listen(2) are answered by its warden (seccomp user notification,
    /// Linux 5.14); the privileges of set-user-id programs are lost.
    Adopt,
    /// One address as standard input, as FastCGI programs and those of inetd's `wait` like it.
    StandardInput,
    /// Not at all: each handler's program has a port of its own on 127.0.0.1, to which its warden
    /// carries the connections that it wins. The last resort.
    ///
    /// The program is told its port by the variable `PORT` (and `HOST`), which may be set otherwise,
    /// and by each `{port}` in its arguments and variables. A relay stands between, which costs
    /// time, and the program sees 127.0.0.1 in the place of its clients' addresses.
    Port,
}

impl Pass {
    /// Tells whether programs can be given addresses in this way here, or why not.
    ///
    /// Of [`Pass::Adopt`] alone that is not known beforehand; a child of this process tries it. As
    /// `run` does, call it while the process has one thread; with more nothing is tried.
    ///
    /// ```
    /// use bellwether::Pass;
    ///
    /// assert!(Pass::ListenFds.check().is_ok());
    /// let pass = if Pass::Adopt.check().is_ok() { Pass::Adopt } else { Pass::Port };
    /// # let _ = pass;
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Configure`](crate::Error::Configure) where the kernel has no seccomp user
    /// notification or does not allow it, and where somebody around this process has it: there can
    /// be but one.
    pub fn check(self) -> Result<()> {
        match self {
            Self::Adopt => passing::check().map_err(|why| Error::configure("adopt", why)),
            _ => Ok(()),
        }
    }
}

/// By what a program is known to be ready.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ready {
    /// Whatever is seen first: it waits at one of the addresses, or says `READY=1`.
    Auto,
    /// It says `READY=1` (sd_notify(3)).
    Notify,
    /// It waits at one of the addresses: in `accept`, in `poll` and its like, or by epoll.
    Accept,
    /// It ends a line at this descriptor, 3 or higher, as programs of s6 do.
    ///
    /// That is the writing end of a pipe. No address may have the same number. To close it says
    /// nothing.
    Descriptor(RawFd),
    /// It has answered `GET` for this path itself with a status below 400.
    ///
    /// It is asked at the first address, or at the port of its own, by HTTP/1.1, as soon as it waits there; what other handlers
    /// answer does not count.
    Http(String),
    /// It has run for so long.
    After(Duration),
}

/// How many connections a program serves at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Serves {
    /// To be found out by watching it.
    Auto,
    /// One after the other.
    Serial,
    /// Many at once.
    Concurrent,
}

/// What becomes of the lines that a program writes to its standard output and error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Output {
    /// They go where the server's own do; nobody stands between.
    Through,
    /// They go there with their handler before each, as in `shop/3 | text`: the pool and the slot.
    ///
    /// A line is passed on when it is whole, or at 16 KiB, by its warden. On a terminal the handler
    /// has a colour, unless `NO_COLOR` is set.
    Prefixed,
}

/// A program that is to serve, as it is: nothing in it is made for this.
///
/// ```
/// use bellwether::{Pass, Program};
///
/// let program = Program::new("uvicorn").arguments(["--fd", "3", "shop:app"]).pass(Pass::Descriptors(3));
/// assert_eq!(program.name(), "uvicorn");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    pub(crate) file: OsString,
    pub(crate) arguments: Vec<OsString>,
    /// Variables to set, or (`None`) to remove.
    pub(crate) environment: Vec<(OsString, Option<OsString>)>,
    pub(crate) folder: Option<PathBuf>,
    pub(crate) rights: Rights,
    pub(crate) output: Output,
    /// How long connections without a request hold up its end.
    pub(crate) idle_patience: Duration,
    pub(crate) ready: Ready,
    pub(crate) watchdog: Option<Duration>,
    pub(crate) ways: Ways,
}

/// What the spawner has to know of a program while it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ways {
    pub(crate) pass: Pass,
    pub(crate) serves: Serves,
    /// Whether it goes on accepting when it was told to end.
    pub(crate) accepts_late: bool,
    /// The signal by which it finishes what it has and ends.
    pub(crate) stop: i32,
}

impl Ways {
    /// Tells whether the program itself has our listeners, and not its warden for it.
    pub(crate) const fn shares_listeners(&self) -> bool {
        !matches!(self.pass, Pass::Port)
    }
}

impl Program {
    /// Names a program by its path, or to be looked for in `PATH`.
    #[must_use]
    pub fn new(file: impl Into<OsString>) -> Self {
        Self {
            file: file.into(),
            arguments: Vec::new(),
            environment: Vec::new(),
            folder: None,
            rights: Rights::default(),
            output: Output::Through,
            idle_patience: Duration::from_secs(2),
            ready: Ready::Auto,
            watchdog: None,
            ways: Ways {
                pass: Pass::ListenFds,
                serves: Serves::Auto,
                accepts_late: false,
                stop: libc::SIGTERM,
            },
        }
    }

    /// Adds arguments.
    #[must_use]
    pub fn arguments<S: Into<OsString>>(mut self, more: impl IntoIterator<Item = S>) -> Self {
        self.arguments.extend(more.into_iter().map(Into::into));
        self
    }

    /// Sets a variable of its environment; all else is inherited.
    #[must_use]
    pub fn variable(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.environment.push((name.into(), Some(value.into())));
        self
    }

    /// Keeps a variable out of its environment.
    #[must_use]
    pub fn without_variable(mut self, name: impl Into<OsString>) -> Self {
        self.environment.push((name.into(), None));
        self
    }

    /// Sets the folder in which it runs; default: the server's.
    #[must_use]
    pub fn folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = Some(folder.into());
        self
    }

    /// Sets what becomes of its lines; default [`Output::Through`].
    ///
    /// ```
    /// use bellwether::{Output, Program};
    ///
    /// let program = Program::new("gunicorn").output(Output::Prefixed);
    /// # assert_ne!(program, Program::new("gunicorn"));
    /// ```
    #[must_use]
    pub const fn output(mut self, output: Output) -> Self {
        self.output = output;
        self
    }

    /// Sets how it is given the addresses; default [`Pass::ListenFds`].
    #[must_use]
    pub const fn pass(mut self, pass: Pass) -> Self {
        self.ways.pass = pass;
        self
    }

    /// Sets by what it is known to be ready; default [`Ready::Auto`].
    ///
    /// ```
    /// use bellwether::{Program, Ready};
    ///
    /// let program = Program::new("gunicorn").ready(Ready::Http("/healthz".into()));
    /// # assert_ne!(program, Program::new("gunicorn"));
    /// ```
    #[must_use]
    pub fn ready(mut self, ready: Ready) -> Self {
        self.ready = ready;
        self
    }

    /// Sets for how long it may be silent once it is ready; default for ever.
    ///
    /// It is told so by `WATCHDOG_USEC` and `WATCHDOG_PID`, and says `WATCHDOG=1` more often than that
    /// (sd_watchdog_enabled(3): twice as often). One that does not is ended (SIGABRT, after a second
    /// SIGKILL) and replaced.
    ///
    /// ```
    /// use bellwether::Program;
    /// use std::time::Duration;
    ///
    /// let program = Program::new("worker").watchdog(Duration::from_secs(10));
    /// # assert_ne!(program, Program::new("worker"));
    /// ```
    #[must_use]
    pub const fn watchdog(mut self, limit: Duration) -> Self {
        self.watchdog = Some(limit);
        self
    }

    /// Sets how many connections it serves at a time; default [`Serves::Auto`].
    ///
    /// By that the balance judges whether it is busy: with a connection in hand, or by the processor
    /// time that it wants.
    #[must_use]
    pub const fn serves(mut self, serves: Serves) -> Self {
        self.ways.serves = serves;
        self
    }

    /// Sets whether it goes on accepting when it was told to end, and drops what it has accepted;
    /// default no.
    ///
    /// Such a program may open nothing more from then on (RLIMIT_NOFILE), also no file, so that it
    /// cannot.
    #[must_use]
    pub const fn accepts_late(mut self, accepts_late: bool) -> Self {
        self.ways.accepts_late = accepts_late;
        self
    }

    /// Sets for how long connections that are kept open though all is answered hold up its end;
    /// default 2 s.
    ///
    /// They are closed as it ends: browsers and their like then connect anew, a client that is just
    /// about to ask may fail. At Unix sockets, where the kernel does not tell, all connections count.
    #[must_use]
    pub const fn idle_patience(mut self, patience: Duration) -> Self {
        self.idle_patience = patience;
        self
    }

    /// Sets the number of the signal by which it finishes what it has and ends; default SIGTERM.
    #[must_use]
    pub const fn stop_signal(mut self, signal: i32) -> Self {
        self.ways.stop = signal;
        self
    }

    /// Tells whether it can be run at so many addresses, or why not.
    pub(crate) fn check(&self, addresses: usize) -> Result<(), String> {
        if self.watchdog.is_some_and(|limit| limit.is_zero()) {
            return Err("nobody is never silent; choose a longer time for the watchdog".into());
        }
        self.check_place(addresses)?;
        match &self.ready {
            Ready::Descriptor(number) => self.check_descriptor(*number, addresses),
            Ready::Http(path) => check_path(path),
            _ => Ok(()),
        }
    }

    /// Tells whether the addresses have descriptors that may be open.
    fn check_place(&self, addresses: usize) -> Result<(), String> {
        let Pass::Descriptors(first) = self.ways.pass else { return Ok(()) };
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        let last = u64::try_from(first).unwrap_or(u64::MAX).saturating_add(addresses as u64);
        match limit.filter(|limit| last > *limit) {
            Some(limit) => Err(format!(
                "it cannot have its address as descriptor {first}; at most {limit} may be open (ulimit -n)"
            )),
            None => Ok(()),
        }
    }

    fn check_descriptor(&self, number: RawFd, addresses: usize) -> Result<(), String> {
        let cannot = format!("it cannot say at descriptor {number} that it is ready");
        if number < launch::FIRST {
            return Err(format!("{cannot}; choose one from 3 on"));
        }
        let first = match self.ways.pass {
            Pass::ListenFds => launch::FIRST,
            Pass::Descriptors(first) => first.max(launch::FIRST),
            Pass::Adopt | Pass::StandardInput | Pass::Port => return Ok(()),
        };
        if (first..).take(addresses).any(|address| address == number) {
            let free = (first..).nth(addresses).unwrap_or(RawFd::MAX);
            return Err(format!(
                "{cannot}, which is that of an address; choose another, such as {free}"
            ));
        }
        Ok(())
    }

    /// Returns the last part of its path.
    #[must_use]
    pub fn name(&self) -> std::borrow::Cow<'_, str> {
        let path = std::path::Path::new(&self.file);
        path.file_name().unwrap_or_else(|| OsStr::new("?")).to_string_lossy()
    }
}

/// What would not stay within the first line of a request is no path.
fn check_path(path: &str) -> Result<(), String> {
    let is_one = path.starts_with('/') && path.bytes().all(|byte| byte.is_ascii_graphic());
    let problem = || format!("`{path}` cannot be asked for; write a path as in `/healthz`");
    if is_one { Ok(()) } else { Err(problem()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_descriptor_is_promised_twice() {
        let check = |pass, number, addresses, expected: &[&str]| {
            let program = Program::new("x").pass(pass).ready(Ready::Descriptor(number));
            let problem = program.check(addresses).err().unwrap_or_default();
            assert_eq!(problem.is_empty(), expected.is_empty(), "{problem}");
            expected.iter().for_each(|word| assert!(problem.contains(word), "{problem}"));
        };
        check(Pass::ListenFds, 3, 1, &["descriptor 3", "of an address", "such as 4"]);
        check(Pass::ListenFds, 4, 2, &["descriptor 4", "such as 5"]);
        check(Pass::ListenFds, 5, 2, &[]);
        check(Pass::Descriptors(7), 8, 2, &["such as 9"]);
        check(Pass::Descriptors(7), 3, 2, &[]);
        check(Pass::Adopt, 3, 2, &[]);
        check(Pass::StandardInput, 3, 1, &[]);
        check(Pass::Adopt, 2, 1, &["from 3 on"]);
        assert!(Program::new("x").check(9).is_ok());
    }

    #[test]
    fn a_path_is_one_word_from_the_root() {
        for (path, is_one) in [("/", true), ("/up?x=%20", true), ("", false), ("up", false)] {
            let program = Program::new("x").ready(Ready::Http(path.into()));
            assert_eq!(program.check(1).is_ok(), is_one, "{path}");
        }
        assert!(["/a b", "/a\r\nX: y", "/é", "/\t"].iter().all(|it| check_path(it).is_err()));
    }
}
