//! Writing without waiting, to files that others write to as well.

use std::io::IoSlice;
use std::os::fd::BorrowedFd;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::FileType;
use rustix::io::{Errno, ReadWriteFlags};

/// Writes all of a line where that is possible at once. A reader that is gone counts as one that
/// is slow.
pub(super) fn put(file: BorrowedFd<'_>, line: &[u8]) -> bool {
    let is_whole = |written: rustix::io::Result<usize>| written == Ok(line.len());
    // Without RWF_NOWAIT others who share the pipe could fill it between a look and the write;
    // O_NONBLOCK would be seen by all who share it. Offset -1: where the file is.
    let parts = [IoSlice::new(line)];
    match rustix::io::pwritev2(file, &parts, u64::MAX, ReadWriteFlags::NOWAIT) {
        Ok(length) => length == line.len(),
        // A terminal, a file system or a kernel that does not know the flag.
        Err(Errno::OPNOTSUPP | Errno::INVAL | Errno::NOSYS | Errno::SPIPE) => {
            has_room(file) && is_whole(rustix::io::write(file, line))
        }
        // A file makes nobody wait for a reader.
        Err(Errno::AGAIN) if is_file(file) => is_whole(rustix::io::write(file, line)),
        Err(_) => false,
    }
}

fn has_room(file: BorrowedFd<'_>) -> bool {
    let mut polled = [PollFd::new(&file, PollFlags::OUT)];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    rustix::event::poll(&mut polled, Some(&now)).is_ok()
        && polled[0].revents().contains(PollFlags::OUT)
}

fn is_file(file: BorrowedFd<'_>) -> bool {
    rustix::fs::fstat(file).is_ok_and(|found| FileType::from_raw_mode(found.st_mode).is_file())
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn a_full_pipe_takes_nothing_and_makes_nobody_wait() {
        let (_reader, writer) = io::pipe().unwrap();
        let line = [b'x'; 4096];
        let taken = (0..10_000).take_while(|_| put(writer.as_fd(), &line)).count();
        assert!((1..10_000).contains(&taken), "{taken}");
    }
}
