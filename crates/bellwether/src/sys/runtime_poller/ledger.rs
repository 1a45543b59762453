//! What the kernel tells of an epoll: which descriptors are in it, and under which tokens.

use std::fs;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};

use rustix::event::epoll::{self, EventData, EventFlags};

/// The token under which the runtime registered a descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token(pub(super) u64);

/// Tokens up to this one the runtime keeps for itself (its waker, its signals).
const RESERVED: u64 = 1;

/// One line of an epoll's /proc/self/fdinfo (proc(5)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) fd: RawFd,
    pub(super) flags: EventFlags,
    pub(super) data: u64,
}

impl Line {
    /// Reads `tfd: 7 events: 80002019 data: 7f0123456780 pos:0 ino:9 sdev:c`.
    fn read(line: &str) -> Option<Self> {
        let mut words = line.split_ascii_whitespace();
        let mut word_after =
            |name| words.next().filter(|it| *it == name).and_then(|_| words.next());
        let fd = word_after("tfd:")?.parse().ok()?;
        let flags = u32::from_str_radix(word_after("events:")?, 16).ok()?;
        let data = u64::from_str_radix(word_after("data:")?, 16).ok()?;
        Some(Self { fd, flags: EventFlags::from_bits_retain(flags), data })
    }

    /// Reads all lines of a descriptor; there are none where it is not an epoll.
    pub(super) fn all_of(fd: RawFd) -> io::Result<Vec<Self>> {
        let text = fs::read_to_string(format!("/proc/self/fdinfo/{fd}"))?;
        Ok(text.lines().filter_map(Self::read).collect())
    }
}

/// Finds the epoll of this process in which a descriptor is that was just registered.
pub(super) fn find(registered: &OwnedFd) -> io::Result<(OwnedFd, Token)> {
    for file in fs::read_dir("/proc/self/fdinfo")? {
        let number = file?.file_name().to_str().and_then(|name| name.parse().ok());
        let Some(number) = number else { continue };
        // What was closed meanwhile is none.
        let lines = Line::all_of(number).unwrap_or_default();
        if lines.iter().any(|line| line.fd == registered.as_raw_fd()) {
            let epoll = another(number)?;
            if let Ok(token) = token_of(registered, &epoll) {
                return Ok((epoll, token));
            }
        }
    }
    Err(io::Error::other("no epoll of this process shows it"))
}

/// Returns the token under which a descriptor is in an epoll.
///
/// Its number alone proves nothing: another file that had it may have left a line behind. That the
/// kernel lets the entry be changed, to what it is already, proves that it is for this very file;
/// that there is no other line proves that its token is the one read.
pub(super) fn token_of(registered: &OwnedFd, epoll: &OwnedFd) -> io::Result<Token> {
    let lines = Line::all_of(epoll.as_raw_fd())?;
    let mut of_it = lines.iter().filter(|line| line.fd == registered.as_raw_fd());
    let (Some(line), None) = (of_it.next(), of_it.next()) else {
        return Err(io::Error::other("not one line of the epoll shows it"));
    };
    if line.data <= RESERVED || !line.flags.contains(EventFlags::IN | EventFlags::ET) {
        return Err(io::Error::other("it is in the epoll in an unknown way"));
    }
    epoll::modify(epoll, registered, EventData::new_u64(line.data), line.flags)?;
    Ok(Token(line.data))
}

/// Returns another descriptor of what has this number.
fn another(number: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: the number is open, as the kernel has just said. Should it be closed by another thread
    // meanwhile, then the copy fails or is of something else, which `token_of` finds out; nothing
    // but the copy is ever used, and that is ours.
    let fd = unsafe { BorrowedFd::borrow_raw(number) };
    fd.try_clone_to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_an_epoll_are_read_and_others_are_none() {
        let line = "tfd:        7 events: 80002019 data:     7f0123456780  pos:0 ino:9 sdev:c";
        let read = Line::read(line).unwrap();
        assert_eq!((read.fd, read.data), (7, 0x7f01_2345_6780));
        assert!(read.flags.contains(EventFlags::IN | EventFlags::ET | EventFlags::RDHUP));
        for other in ["", "pos:\t0", "flags:\t02", "eventfd-count: 0", "tfd: x events: 1 data: 1"] {
            assert_eq!(Line::read(other), None, "{other}");
        }
    }
}
