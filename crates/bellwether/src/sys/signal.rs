//! Signals as values read from a descriptor, and a clean slate for children.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{FromRawFd, OwnedFd};

use rustix::process::Pid;

/// The signals that the process turns into readable values.
pub(crate) const WATCHED: [i32; 7] = [
    libc::SIGTERM,
    libc::SIGINT,
    libc::SIGQUIT,
    libc::SIGHUP,
    libc::SIGUSR1,
    libc::SIGUSR2,
    libc::SIGCHLD,
];

fn set_of(signals: &[i32]) -> libc::sigset_t {
    let mut set = MaybeUninit::uninit();
    // SAFETY: sigemptyset initialises the whole set it is given.
    unsafe { libc::sigemptyset(set.as_mut_ptr()) };
    for &signal in signals {
        // SAFETY: the set was initialised above; a bad number would only be refused.
        unsafe { libc::sigaddset(set.as_mut_ptr(), signal) };
    }
    // SAFETY: initialised by sigemptyset.
    unsafe { set.assume_init() }
}

fn mask(how: i32, set: &libc::sigset_t) -> io::Result<()> {
    // SAFETY: `set` is initialised and the old set is not asked for.
    let error = unsafe { libc::pthread_sigmask(how, set, std::ptr::null_mut()) };
    if error == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(error)) }
}

fn dispose(signal: i32, disposition: libc::sighandler_t) {
    // SAFETY: SIG_DFL and SIG_IGN run no code; signal(2) replaces one disposition.
    unsafe { libc::signal(signal, disposition) };
}

fn is_ignored(signal: i32) -> bool {
    let mut now = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: a null new action only asks; the old one is written into `now`.
    unsafe { libc::sigaction(signal, std::ptr::null(), now.as_mut_ptr()) };
    // SAFETY: all-zero bytes are a valid sigaction, whether or not the kernel has written.
    let now = unsafe { now.assume_init() };
    now.sa_sigaction == libc::SIG_IGN
}

/// A descriptor that yields the watched signals.
#[derive(Debug)]
pub(crate) struct Signals(OwnedFd);

impl Signals {
    /// Blocks the watched signals and opens the descriptor that yields them instead.
    ///
    /// SIGPIPE is ignored (a gone reader is an error value), SIGCHLD gets its default back:
    /// a parent that ignored it would have handed down automatic reaping.
    pub(crate) fn open() -> io::Result<Self> {
        dispose(libc::SIGPIPE, libc::SIG_IGN);
        dispose(libc::SIGCHLD, libc::SIG_DFL);
        // nohup(1) ignores SIGHUP for us; a blocked signal would be read all the same.
        let heeded = |signal: &&i32| **signal != libc::SIGHUP || !is_ignored(**signal);
        let watched: Vec<i32> = WATCHED.iter().filter(heeded).copied().collect();
        let set = set_of(&watched);
        mask(libc::SIG_BLOCK, &set)?;
        // SAFETY: -1 asks for a new descriptor; `set` is initialised.
        let fd =
            unsafe { libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor is new and owned by nobody else.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Returns the next pending signal, if there is one.
    pub(crate) fn next(&self) -> Option<i32> {
        self.next_with_sender().map(|(signal, _)| signal)
    }

    /// Returns the next pending signal and who sent it, if that was a process.
    pub(crate) fn next_with_sender(&self) -> Option<(i32, Option<Pid>)> {
        let mut record = [0u8; size_of::<libc::signalfd_siginfo>()];
        let read = rustix::io::read(&self.0, &mut record).ok()?;
        let number = |at: usize| Some(i32::from_ne_bytes(record.get(at..at + 4)?.try_into().ok()?));
        let signal = number(std::mem::offset_of!(libc::signalfd_siginfo, ssi_signo))?;
        let sender = number(std::mem::offset_of!(libc::signalfd_siginfo, ssi_pid))?;
        (read == record.len()).then(|| (signal, Pid::from_raw(sender)))
    }
}

impl std::os::fd::AsFd for Signals {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Drop for Signals {
    /// What came for us and was not read goes with us: the kernel forgets a pending signal when
    /// it is to be ignored (sigaction(2) of POSIX).
    fn drop(&mut self) {
        for signal in WATCHED.into_iter().filter(|signal| *signal != libc::SIGCHLD) {
            dispose(signal, libc::SIG_IGN);
        }
        clean_slate();
    }
}

/// Unblocks the watched signals and gives each its default disposition back.
pub(crate) fn clean_slate() {
    for signal in WATCHED {
        dispose(signal, libc::SIG_DFL);
    }
    let _ = mask(libc::SIG_UNBLOCK, &set_of(&WATCHED));
}

/// Ends this process by a signal, or by its number as a shell would say it.
pub(crate) fn die_of(signal: i32) -> ! {
    // Whoever dies of it first has left its memory; ours says nothing.
    let none = rustix::process::Rlimit { current: Some(0), maximum: Some(0) };
    let _ = rustix::process::setrlimit(rustix::process::Resource::Core, none);
    dispose(signal, libc::SIG_DFL);
    let _ = unblock(signal);
    // SAFETY: raise sends a signal to this thread, whose disposition is the default.
    unsafe { libc::raise(signal) };
    super::process::exit_now(128 + signal)
}

/// Lets a signal through to the calling thread, and to those that it starts.
pub(crate) fn unblock(signal: i32) -> io::Result<()> {
    mask(libc::SIG_UNBLOCK, &set_of(&[signal]))
}

/// Makes this process deaf to what a terminal sends to a whole group (Ctrl-C, Ctrl-\, hang-up).
pub(crate) fn ignore_terminal() {
    for signal in [libc::SIGINT, libc::SIGQUIT, libc::SIGHUP] {
        dispose(signal, libc::SIG_IGN);
    }
}

/// Returns the name of a signal, of those that end processes.
pub(crate) const fn name(signal: i32) -> &'static str {
    match signal {
        libc::SIGHUP => "SIGHUP",
        libc::SIGINT => "SIGINT",
        libc::SIGQUIT => "SIGQUIT",
        libc::SIGILL => "SIGILL",
        libc::SIGTRAP => "SIGTRAP",
        libc::SIGABRT => "SIGABRT",
        libc::SIGBUS => "SIGBUS",
        libc::SIGFPE => "SIGFPE",
        libc::SIGKILL => "SIGKILL",
        libc::SIGSEGV => "SIGSEGV",
        libc::SIGPIPE => "SIGPIPE",
        libc::SIGUSR1 => "SIGUSR1",
        libc::SIGUSR2 => "SIGUSR2",
        libc::SIGALRM => "SIGALRM",
        libc::SIGTERM => "SIGTERM",
        libc::SIGSYS => "SIGSYS",
        _ => "see signal(7)",
    }
}
