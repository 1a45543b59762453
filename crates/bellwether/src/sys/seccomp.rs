//! System calls of another program, answered here: seccomp user notification (seccomp_unotify(2)).
//!
//! A child installs a [`filter`] that stops few calls and lets all others pass; whoever has the
//! descriptor that comes of it decides what becomes of each. Linux 5.9 or newer is needed.
//! While the descriptor is open somewhere, stopped calls wait for an answer; once nobody has it, they
//! fail with ENOSYS.

mod filter;

use std::ffi::c_ulong;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::process::Pid;

use filter::{ARCHITECTURE, filter};

/// The most that is copied of another process: any sockaddr of interest, and no more.
const MOST: usize = 128;

/// The folder in which a thread is, in the place of a descriptor.
const HERE: u32 = libc::AT_FDCWD.cast_unsigned();

/// A call that waits for its answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    pub(crate) id: u64,
    /// The thread that calls, as numbered here; `None` where it cannot be seen from here.
    pub(crate) pid: Option<Pid>,
    pub(crate) which: Which,
    pub(crate) args: [u64; 6],
}

/// Which system call it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    Bind,
    Listen,
    /// Of both directions, or of reading.
    Shutdown,
    /// Of a file: descriptor of a folder, or `AT_FDCWD`, and a path in it, as unlinkat(2) has them.
    Remove,
}

impl Call {
    /// The first argument, a descriptor: the kernel looks at its low 32 bits alone.
    pub(crate) fn descriptor(&self) -> RawFd {
        let low = self.args[0] & u64::from(u32::MAX);
        u32::try_from(low).unwrap_or(u32::MAX).cast_signed()
    }
}

/// Stops `bind`, `listen` and `shutdown` of this thread and of all programs and processes that come of
/// it, and where files are sockets of ours, `unlink`.
///
/// For a child just before its exec: it gives up for good that a program may have more privileges
/// than its caller (no_new_privs), and it does not allocate. The descriptor closes on exec.
///
/// EBUSY means that a filter with a listener is there already, and there can be but one
/// ([`is_nested`]); EPERM and EACCES that it is not allowed; EINVAL and ENOSYS that the kernel cannot.
pub(crate) fn install(files: bool) -> io::Result<OwnedFd> {
    if ARCHITECTURE == 0 {
        return Err(Errno::NOSYS.into());
    }
    rustix::thread::set_no_new_privs(true)?;
    // While a call is being answered no signal interrupts it, as Go's and Node's would (Linux 5.19).
    match install_with(files, libc::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV) {
        Err(Errno::INVAL) => Ok(install_with(files, 0)?),
        other => Ok(other?),
    }
}

/// Tells whether `install` was refused because somebody else answers this process' calls.
pub(crate) fn is_nested(refusal: &io::Error) -> bool {
    refusal.raw_os_error() == Some(libc::EBUSY)
}

fn install_with(files: bool, flags: c_ulong) -> rustix::io::Result<OwnedFd> {
    let mut filter = filter(files);
    let length = u16::try_from(filter.len()).unwrap_or_default();
    let program = libc::sock_fprog { len: length, filter: filter.as_mut_ptr() };
    let flags = flags | libc::SECCOMP_FILTER_FLAG_NEW_LISTENER;
    // SAFETY: the kernel reads `program` and the `length` instructions of `filter` during the call.
    let made = unsafe {
        libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const program)
    };
    let fd = RawFd::try_from(made).ok().filter(|&fd| fd >= 0).ok_or_else(last_error)?;
    // SAFETY: the kernel has just opened the descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// A struct of the kernel's with room behind it, should a newer kernel have a longer one.
#[repr(C)]
struct Roomy<T> {
    known: T,
    room: [u64; 32],
}

impl<T> Roomy<T> {
    /// The kernel reads and writes as much as it says, so that must fit.
    fn new(known: T, asked_for: u16) -> rustix::io::Result<Self> {
        let fits = usize::from(asked_for) <= size_of::<Self>();
        fits.then_some(Self { known, room: [0; 32] }).ok_or(Errno::OVERFLOW)
    }
}

fn sizes() -> rustix::io::Result<libc::seccomp_notif_sizes> {
    let mut sizes =
        libc::seccomp_notif_sizes { seccomp_notif: 0, seccomp_notif_resp: 0, seccomp_data: 0 };
    // SAFETY: the kernel writes a seccomp_notif_sizes into `sizes`.
    let told = unsafe {
        libc::syscall(libc::SYS_seccomp, libc::SECCOMP_GET_NOTIF_SIZES, 0, &raw mut sizes)
    };
    if told == 0 { Ok(sizes) } else { Err(last_error()) }
}

/// Takes the next call that waits; `None` when there is none, or its caller has just gone.
pub(crate) fn receive(notifications: &OwnedFd) -> io::Result<Option<Call>> {
    // Without one the kernel would block. One reader alone may do it so.
    if !state(notifications)?.contains(PollFlags::IN) {
        return Ok(None);
    }
    let data = libc::seccomp_data { nr: 0, arch: 0, instruction_pointer: 0, args: [0; 6] };
    let empty = libc::seccomp_notif { id: 0, pid: 0, flags: 0, data };
    let mut notice = Roomy::new(empty, sizes()?.seccomp_notif)?;
    match control(notifications.as_fd(), libc::SECCOMP_IOCTL_NOTIF_RECV, &raw mut notice) {
        Err(Errno::NOENT | Errno::INTR) => Ok(None),
        Err(errno) => Err(errno.into()),
        Ok(_) => Ok(Some(call(&notice.known))),
    }
}

fn call(notice: &libc::seccomp_notif) -> Call {
    let [first, second, ..] = notice.data.args;
    let (which, args) = match i64::from(notice.data.nr) {
        libc::SYS_bind => (Which::Bind, notice.data.args),
        libc::SYS_listen => (Which::Listen, notice.data.args),
        libc::SYS_shutdown => (Which::Shutdown, notice.data.args),
        libc::SYS_unlinkat => (Which::Remove, [first, second, 0, 0, 0, 0]),
        // unlink(2) has no folder.
        _ => (Which::Remove, [u64::from(HERE), first, 0, 0, 0, 0]),
    };
    Call { id: notice.id, pid: Pid::from_raw(notice.pid.cast_signed()), which, args }
}

/// Tells whether nobody lives any more whose calls could be stopped.
pub(crate) fn is_over(notifications: &OwnedFd) -> bool {
    state(notifications).is_ok_and(|state| state.contains(PollFlags::HUP))
}

fn state(notifications: &OwnedFd) -> rustix::io::Result<PollFlags> {
    let mut polled = [PollFd::new(notifications, PollFlags::IN)];
    rustix::event::poll(&mut polled, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }))?;
    Ok(polled[0].revents())
}

/// Tells whether the call still waits: its thread lives and has its number.
pub(crate) fn is_valid(notifications: &OwnedFd, id: u64) -> bool {
    let mut id = id;
    control(notifications.as_fd(), libc::SECCOMP_IOCTL_NOTIF_ID_VALID, &raw mut id).is_ok()
}

/// Lets the kernel do what the program asked for.
pub(crate) fn go_on(notifications: &OwnedFd, id: u64) -> io::Result<()> {
    let go_on = u32::try_from(libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE).unwrap_or_default();
    send(notifications, libc::seccomp_notif_resp { id, val: 0, error: 0, flags: go_on })
}

/// Answers the call in the kernel's place.
pub(crate) fn answer(
    notifications: &OwnedFd,
    id: u64,
    result: Result<i64, Errno>,
) -> io::Result<()> {
    let (val, error) = match result {
        Ok(value) => (value, 0),
        Err(errno) => (0, -errno.raw_os_error()),
    };
    send(notifications, libc::seccomp_notif_resp { id, val, error, flags: 0 })
}

fn send(notifications: &OwnedFd, response: libc::seccomp_notif_resp) -> io::Result<()> {
    let mut response = Roomy::new(response, sizes()?.seccomp_notif_resp)?;
    control(notifications.as_fd(), libc::SECCOMP_IOCTL_NOTIF_SEND, &raw mut response)?;
    Ok(())
}

/// Puts a duplicate of `source` at descriptor `target` of the calling process; what was there closes.
pub(crate) fn put(
    notifications: &OwnedFd,
    id: u64,
    source: BorrowedFd<'_>,
    target: RawFd,
    cloexec: bool,
) -> io::Result<()> {
    let mut request = libc::seccomp_notif_addfd {
        id,
        flags: u32::try_from(libc::SECCOMP_ADDFD_FLAG_SETFD).unwrap_or_default(),
        srcfd: source.as_raw_fd().cast_unsigned(),
        newfd: target.cast_unsigned(),
        newfd_flags: if cloexec { libc::O_CLOEXEC.cast_unsigned() } else { 0 },
    };
    control(notifications.as_fd(), libc::SECCOMP_IOCTL_NOTIF_ADDFD, &raw mut request)?;
    Ok(())
}

/// One of the requests above, whose struct is `argument`.
fn control<T>(
    notifications: BorrowedFd<'_>,
    request: libc::Ioctl,
    argument: *mut T,
) -> rustix::io::Result<i32> {
    // SAFETY: each caller passes the struct that its request is defined for, borrowed for the call and
    // as long as the kernel says (`Roomy`), or of a size that the number of the request fixes.
    let result = unsafe { libc::ioctl(notifications.as_raw_fd(), request, argument) };
    if result < 0 { Err(last_error()) } else { Ok(result) }
}

/// Copies memory of another process, at most 128 bytes; fewer where its memory ends before.
///
/// What comes is what was there at that moment; the process may change it at any time.
pub(crate) fn copy_memory(pid: Pid, address: u64, length: u64) -> io::Result<Vec<u8>> {
    let mut copy = [0u8; MOST];
    let length = usize::try_from(length).unwrap_or(MOST).min(MOST);
    let address = usize::try_from(address).map_err(io::Error::other)?;
    let ours = libc::iovec { iov_base: copy.as_mut_ptr().cast(), iov_len: length };
    // A pointer of another process: never followed here.
    let theirs =
        libc::iovec { iov_base: std::ptr::without_provenance_mut(address), iov_len: length };
    let pid = pid.as_raw_pid();
    // SAFETY: the kernel writes at most `length` bytes, which `copy` has, and checks the other
    // process' address itself.
    let copied =
        unsafe { libc::process_vm_readv(pid, &raw const ours, 1, &raw const theirs, 1, 0) };
    let copied = usize::try_from(copied).map_err(|_| io::Error::last_os_error())?;
    Ok(copy.get(..copied).unwrap_or_default().to_vec())
}

fn last_error() -> Errno {
    Errno::from_io_error(&io::Error::last_os_error()).unwrap_or(Errno::IO)
}

/// A command whose process does this between fork and exec, for example install a filter.
///
/// Other threads of the parent may have held locks at the fork, so `prepare` must not allocate.
#[cfg(test)]
pub(crate) fn command_prepared(
    program: &str,
    prepare: impl FnMut() -> io::Result<()> + Send + Sync + 'static,
) -> std::process::Command {
    let mut command = std::process::Command::new(program);
    // SAFETY: `prepare` makes system calls alone, as its caller promises.
    unsafe { std::os::unix::process::CommandExt::pre_exec(&mut command, prepare) };
    command
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// Copies this process' own memory, which the same call can.
    fn copied(bytes: &[u8], length: u64) -> Vec<u8> {
        let own = rustix::process::getpid();
        copy_memory(own, bytes.as_ptr().addr() as u64, length).unwrap()
    }

    #[test]
    fn memory_is_copied_to_a_limit_and_not_beyond_what_is_there() {
        let bytes: Vec<u8> = (0..200).collect();
        assert_eq!(copied(&bytes, 16), bytes[..16]);
        assert_eq!(copied(&bytes, u64::MAX), bytes[..128]);
        assert!(copied(&bytes, 0).is_empty());
        let own = rustix::process::getpid();
        assert_eq!(copy_memory(own, 8, 16).unwrap_err().raw_os_error(), Some(libc::EFAULT));
    }

    #[test]
    fn a_second_filter_is_refused_and_says_that_there_is_one() {
        let mut twice =
            command_prepared("true", || install(false).and_then(|_first| install(true)).map(drop));
        let refusal = twice.spawn().unwrap_err();
        assert!(is_nested(&refusal), "{refusal}");
        assert!(!is_nested(&Errno::PERM.into()) && !is_nested(&Errno::NOSYS.into()));
        assert!(Command::new("true").status().unwrap().success(), "the parent has no filter");
    }

    #[test]
    fn a_call_whose_answerer_is_gone_fails_and_others_pass() {
        let script = "import socket\ns = socket.socket()\ntry: s.bind(('127.0.0.1', 0))\n\
                      except OSError as e: raise SystemExit(e.errno)";
        let mut command = command_prepared("python3", || install(false).map(drop));
        let Ok(status) = command.args(["-c", script]).status() else {
            return println!("SKIPPED: python3 is not installed");
        };
        assert_eq!(status.code(), Some(libc::ENOSYS));
    }

    #[test]
    fn what_is_no_notification_is_an_error_and_never_blocks() {
        let (reader, _writer) = io::pipe().unwrap();
        let reader = OwnedFd::from(reader);
        assert!(receive(&reader).unwrap().is_none(), "nothing is there");
        assert!(!is_valid(&reader, 1) && !is_over(&reader));
        assert!(go_on(&reader, 1).is_err() && answer(&reader, 1, Err(Errno::PERM)).is_err());
    }

    #[test]
    fn a_descriptor_is_the_low_half_of_its_argument() {
        let args = [0xdead_beef_0000_0007, 0, 0, 0, 0, 0];
        let call = Call { id: 1, pid: None, which: Which::Bind, args };
        assert_eq!(call.descriptor(), 7);
        assert_eq!(Call { args: [u64::MAX; 6], ..call }.descriptor(), -1);
    }
}
