//! What the epolls of another process watch, and ending that.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::thread;

/// A file that an epoll watches; both are duplicates of another process's descriptors.
#[derive(Debug)]
pub(crate) struct Watch {
    pub(crate) epoll: OwnedFd,
    pub(crate) file: OwnedFd,
    /// The file's number in that process.
    pub(crate) number: RawFd,
}

/// Takes the files out of the epolls.
///
/// An epoll knows what it watches by the open file and its number (epoll(7)), and our own descriptors may
/// have that number. So it is done by a thread with a table of its own (unshare(2), CLONE_FILES).
///
/// # Errors
///
/// When there can be no thread, or no table of its own. What is not watched any more is none.
pub(crate) fn end(watches: &[Watch]) -> io::Result<()> {
    thread::scope(|scope| {
        let done = thread::Builder::new().spawn_scoped(scope, || {
            own_table()?;
            watches.iter().try_for_each(end_one)
        })?;
        done.join().unwrap_or_else(|_| Err(io::Error::other("the thread panicked")))
    })
}

fn own_table() -> io::Result<()> {
    // SAFETY: only this thread's view of the numbers is parted from the others', and it uses none but
    // those that it has been lent.
    answer(unsafe { libc::unshare(libc::CLONE_FILES) })
}

/// For a thread with a table of its own.
fn end_one(watch: &Watch) -> io::Result<()> {
    let beyond = watch.number.saturating_add(1);
    // SAFETY: makes a new descriptor, in this thread's table alone, which ends with it.
    let epoll = unsafe { libc::fcntl(watch.epoll.as_raw_fd(), libc::F_DUPFD_CLOEXEC, beyond) };
    answer(epoll)?;
    // SAFETY: closes what has the number in this thread's table alone; nothing else of it is used here
    // but the descriptors lent, of which at most this very file has that number.
    answer(unsafe { libc::dup2(watch.file.as_raw_fd(), watch.number) })?;
    let (delete, nothing) = (libc::EPOLL_CTL_DEL, std::ptr::null_mut());
    // SAFETY: the event is not looked at (epoll_ctl(2)).
    match answer(unsafe { libc::epoll_ctl(epoll, delete, watch.number, nothing) }) {
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(()),
        done => done,
    }
}

fn answer(number: libc::c_int) -> io::Result<()> {
    if number < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use rustix::event::epoll;

    use super::*;

    #[test]
    fn what_was_watched_is_not_any_more_and_all_else_stays() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let poll = epoll::create(epoll::CreateFlags::CLOEXEC).unwrap();
        let data = epoll::EventData::new_u64(7);
        epoll::add(&poll, &listener, data, epoll::EventFlags::IN).unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let ready = || {
            let mut events = Vec::with_capacity(4);
            let now = rustix::event::Timespec::default();
            epoll::wait(&poll, rustix::buffer::spare_capacity(&mut events), Some(&now)).unwrap()
        };
        assert_eq!(ready(), 1);
        let watch = || Watch {
            epoll: poll.try_clone().unwrap(),
            file: OwnedFd::from(listener.try_clone().unwrap()),
            number: listener.as_raw_fd(),
        };
        for _ in 0..2 {
            end(&[watch()]).unwrap();
            assert_eq!(ready(), 0);
        }
        assert!(listener.accept().is_ok());
    }
}
