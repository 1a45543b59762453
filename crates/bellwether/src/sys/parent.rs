//! The death of the parent, which a process hears even when all its threads are busy.
//!
//! The kernel sends a signal when the parent of a process dies (PR_SET_PDEATHSIG of prctl(2)): its
//! first one, and each sub-reaper that took it in after that. The same signal comes again from a
//! timer of the process, which is armed then and not before. No thread waits for either.

use std::io;
use std::mem::MaybeUninit;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::process::{Pid, getppid};

use super::process;

/// Between the end of the time and the end without last words, should they find no reader.
const LAST_WORDS: Duration = Duration::from_millis(250);

/// What a process does about the death of its parent.
struct Watch {
    parent: Pid,
    time: Duration,
    timer: libc::c_int,
    last: Box<dyn Fn() -> i32 + Send + Sync>,
}

static WATCH: OnceLock<Watch> = OnceLock::new();
static ARMED: AtomicBool = AtomicBool::new(false);
static ENDING: AtomicBool = AtomicBool::new(false);

/// Ends this process when `time` has passed since the death of `parent`, whatever it does then.
///
/// `last` is called in a signal handler just before: it may read atomics and make system calls,
/// but not allocate or lock; it returns the exit status. Once a process.
pub(crate) fn end_after(
    parent: Pid,
    time: Duration,
    last: impl Fn() -> i32 + Send + Sync + 'static,
) -> io::Result<()> {
    let timer = create_timer()?;
    let watch = Watch { parent, time, timer, last: Box::new(last) };
    WATCH.set(watch).map_err(|_| io::Error::from(io::ErrorKind::AlreadyExists))?;
    handle()?;
    // SAFETY: PR_SET_PDEATHSIG takes a number; it changes what the kernel sends to this process.
    if unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, signal()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Lets the time run, for who has learned of the death of the parent by other ways.
///
/// Nothing happens when it runs already, or without a call of [`end_after`].
pub(crate) fn bereaved() {
    let Some(watch) = WATCH.get() else { return };
    if !ARMED.swap(true, Ordering::SeqCst) {
        arm(watch);
    }
}

/// A real-time signal, which nothing sends of its own; the very last is what debuggers like to take.
fn signal() -> libc::c_int {
    libc::SIGRTMAX() - 1
}

fn create_timer() -> io::Result<libc::c_int> {
    // SAFETY: all-zero bytes are a valid sigevent.
    let mut event: libc::sigevent = unsafe { MaybeUninit::zeroed().assume_init() };
    event.sigev_notify = libc::SIGEV_SIGNAL;
    event.sigev_signo = signal();
    let mut timer: libc::c_int = 0;
    // SAFETY: the kernel reads `event` and writes its number of the timer, an int, into `timer`.
    let made = unsafe {
        libc::syscall(
            libc::SYS_timer_create,
            libc::CLOCK_MONOTONIC,
            &raw const event,
            &raw mut timer,
        )
    };
    if made == 0 { Ok(timer) } else { Err(io::Error::last_os_error()) }
}

fn arm(watch: &Watch) {
    // A time of zero would disarm the timer.
    let first = timespec(watch.time.max(Duration::from_millis(1)));
    let times = libc::itimerspec { it_interval: timespec(LAST_WORDS), it_value: first };
    let no_old = std::ptr::null_mut::<libc::itimerspec>();
    // SAFETY: the kernel reads `times` during the call; a timer that is not there (in a child that
    // was forked from this process) is answered with EINVAL.
    unsafe { libc::syscall(libc::SYS_timer_settime, watch.timer, 0, &raw const times, no_old) };
}

fn timespec(time: Duration) -> libc::timespec {
    // SAFETY: all-zero bytes are a valid timespec, on every target's layout of it.
    let mut spec: libc::timespec = unsafe { MaybeUninit::zeroed().assume_init() };
    spec.tv_sec = libc::time_t::try_from(time.as_secs()).unwrap_or(libc::time_t::MAX);
    spec.tv_nsec = time.subsec_nanos().into();
    spec
}

fn handle() -> io::Result<()> {
    // SAFETY: all-zero bytes are a valid sigaction with an empty mask.
    let mut action: libc::sigaction = unsafe { MaybeUninit::zeroed().assume_init() };
    let handler: extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void) = heard;
    action.sa_sigaction = handler as libc::sighandler_t;
    // Not deferred: a second one ends a process whose last words find no reader.
    action.sa_flags = libc::SA_SIGINFO | libc::SA_RESTART | libc::SA_NODEFER | libc::SA_ONSTACK;
    // SAFETY: `heard` has the signature that SA_SIGINFO asks for and does only what is allowed in
    // a signal handler: atomics, system calls, and what `end_after` asks of its caller.
    if unsafe { libc::sigaction(signal(), &raw const action, std::ptr::null_mut()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    super::signal::unblock(signal())
}

extern "C" fn heard(_: libc::c_int, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    let Some(watch) = WATCH.get() else { return };
    // SAFETY: with SA_SIGINFO the kernel passes a valid siginfo.
    let code = unsafe { (*info).si_code };
    if code == libc::SI_TIMER && ARMED.load(Ordering::SeqCst) {
        end(watch);
    } else if getppid() != Some(watch.parent) {
        // Not one who was its parent for a while, and left it to the sub-reaper.
        bereaved();
    }
}

fn end(watch: &Watch) -> ! {
    let again = ENDING.swap(true, Ordering::SeqCst);
    process::exit_now(if again { 1 } else { (watch.last)() })
}
