//! Open descriptors of this process: which there are, and closing all but some.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::{Mutex, PoisonError};

/// Returns the numbers of all open descriptors above 2, in order.
pub(crate) fn open_now() -> io::Result<Vec<RawFd>> {
    let listing = rustix::fs::open(
        "/proc/self/fd",
        rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::DIRECTORY | rustix::fs::OFlags::CLOEXEC,
        rustix::fs::Mode::empty(),
    )?;
    let own = listing.as_raw_fd();
    let mut open: Vec<RawFd> = rustix::fs::Dir::read_from(&listing)?
        .flatten()
        .filter_map(|entry| entry.file_name().to_str().ok()?.parse().ok())
        .filter(|&fd| fd > 2 && fd != own)
        .collect();
    open.sort_unstable();
    // The directory stream holds a duplicate of `listing`, which is gone again by now.
    open.retain(|&fd| is_open(fd));
    Ok(open)
}

/// Tells whether descriptor `fd` is open.
pub(crate) fn is_open(fd: RawFd) -> bool {
    // SAFETY: F_GETFD reads a flag; a number that is not open is answered with EBADF.
    unsafe { libc::fcntl(fd, libc::F_GETFD) >= 0 }
}

/// Duplicates an inherited descriptor that is known by its number alone.
///
/// The original stays as it is: who owns it cannot be known from a number.
pub(crate) fn duplicate(fd: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: F_DUPFD_CLOEXEC makes a new descriptor; a number that is not open gives EBADF.
    let copy = unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 3) };
    if copy < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor is new and owned by nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(copy) })
}

/// The passed descriptors that were taken.
static TAKEN: Mutex<BTreeSet<RawFd>> = Mutex::new(BTreeSet::new());

/// Tells whether a passed descriptor was taken, so that its number may mean something else.
pub(crate) fn was_taken(fd: RawFd) -> bool {
    TAKEN.lock().unwrap_or_else(PoisonError::into_inner).contains(&fd)
}

/// Takes over an inherited descriptor that was passed to this process to keep, once.
///
/// `None` when it is not open or was taken before: the number may mean something else by now.
pub(crate) fn take(fd: RawFd) -> Option<OwnedFd> {
    let copy = duplicate(fd).ok()?;
    if !TAKEN.lock().unwrap_or_else(PoisonError::into_inner).insert(fd) {
        return None;
    }
    // SAFETY: whoever started this process passed the descriptor for good, and a number is taken
    // but once, so nobody in this process owns it; the copy takes its place.
    unsafe { libc::close(fd) };
    Some(copy)
}

/// Lets descriptors, known by their numbers, survive the next `execve`, or not.
pub(crate) fn survive_exec(numbers: &[RawFd], survive: bool) {
    let flags = if survive { 0 } else { libc::FD_CLOEXEC };
    for &fd in numbers {
        // SAFETY: F_SETFD changes a flag; a number that is not open is answered with EBADF.
        unsafe { libc::fcntl(fd, libc::F_SETFD, flags) };
    }
}

/// Lets no descriptor from this number on survive the next `execve` (Linux 5.11; before, those that were
/// opened so do).
pub(crate) fn close_on_exec_from(first: u32) {
    // SAFETY: CLOSE_RANGE_CLOEXEC closes nothing now, and needs no memory (close_range(2)).
    unsafe {
        libc::syscall(libc::SYS_close_range, first, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC)
    };
}

/// Makes copies of descriptors at these numbers that survive the next `execve`.
///
/// Only for a process that is about to become another program: whatever was at these numbers is
/// closed, but for `keep`, which may get another number. Returns it as it is now, closed by `execve`.
pub(crate) fn arrange(
    sources: &[(BorrowedFd<'_>, RawFd)],
    keep: BorrowedFd<'_>,
) -> io::Result<OwnedFd> {
    let end = sources.iter().map(|(_, number)| number.saturating_add(1)).max().unwrap_or(3);
    // None of the copies lies where another is to go.
    let aside = |fd: BorrowedFd<'_>| rustix::io::fcntl_dupfd_cloexec(fd, end);
    let copies = sources.iter().map(|(fd, _)| aside(*fd)).collect::<Result<Vec<_>, _>>()?;
    let keep = aside(keep)?;
    for (copy, (_, number)) in copies.iter().zip(sources) {
        // SAFETY: dup2 makes a copy without FD_CLOEXEC and closes what had the number; by the
        // contract nobody in this process relies on that any more.
        if unsafe { libc::dup2(copy.as_raw_fd(), *number) } < 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(keep)
}

/// Closes every descriptor above 2 but those given.
///
/// For a process that was just forked and never returns to the owners of what is closed here.
pub(crate) fn close_all_but(keep: &[RawFd]) {
    let mut keep = keep.to_vec();
    keep.retain(|&fd| fd > 2);
    keep.sort_unstable();
    let mut from = 3;
    for fd in keep {
        close_range(from, fd - 1);
        from = fd + 1;
    }
    close_range(from, RawFd::MAX);
}

fn close_range(first: RawFd, last: RawFd) {
    if first > last {
        return;
    }
    let (low, high) = (first.unsigned_abs(), last.unsigned_abs());
    // SAFETY: the caller of `close_all_but` gives up everything outside its list.
    if unsafe { libc::syscall(libc::SYS_close_range, low, high, 0) } == 0 {
        return;
    }
    // Before Linux 5.9, or where a filter refuses the call: one by one.
    for fd in open_now().unwrap_or_default().into_iter().filter(|fd| (first..=last).contains(fd)) {
        // SAFETY: as above.
        unsafe { libc::close(fd) };
    }
}

/// Points descriptors 0, 1 and 2 that are closed at /dev/null.
///
/// Otherwise the next socket would become "standard output" and be written to.
pub(crate) fn fill_standard() -> io::Result<()> {
    for fd in 0..=2 {
        if !is_open(fd) {
            let null = File::options().read(true).write(true).open("/dev/null")?;
            // The lowest free number is taken, which is `fd`; leaving it open is the purpose.
            std::mem::forget(null);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_open_descriptor_is_listed_and_a_closed_one_is_refused() {
        let file = File::open("/dev/null").unwrap();
        assert!(open_now().unwrap().contains(&file.as_raw_fd()));
        assert_eq!(duplicate(1_000_000).unwrap_err().raw_os_error(), Some(libc::EBADF));
    }

    #[test]
    fn a_descriptor_that_was_passed_is_taken_once() {
        let number = duplicate(0).map(std::os::fd::IntoRawFd::into_raw_fd).unwrap();
        assert!(take(number).is_some());
        assert!(was_taken(number));
        let _another = File::open("/dev/null").unwrap(); // it may have the number now
        assert!(take(number).is_none());
        assert!(take(1_000_000).is_none());
    }
}
