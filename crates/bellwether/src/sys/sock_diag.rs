//! Dumps of sockets, asked from the kernel by netlink (sock_diag(7)): what all families share.
//!
//! The kernel fills the answer while it is read, so that reading never waits for anybody.

use std::io;

use rustix::io::Errno;
use rustix::net::netlink::SOCK_DIAG;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

pub(super) const SOCK_DIAG_BY_FAMILY: u16 = 20;
pub(super) const NLM_F_REQUEST: u16 = 1;
const NLM_F_DUMP: u16 = 0x300;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
/// The size of struct nlmsghdr (linux/netlink.h).
const HEAD: usize = 16;
pub(super) const ESTABLISHED: u8 = 1;
pub(super) const CLOSE_WAIT: u8 = 8;

/// More than a server has connections; a dump that is longer is cut.
const MOST: usize = 64 << 10;

/// What the kernel gives at once at most (NETLINK_DUMP in net/netlink/af_netlink.c: 32 KiB).
const PIECE: usize = 32 << 10;

/// A connection that a process has accepted and not closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Connection {
    pub(crate) inode: u64,
    /// Bytes that have arrived and were not read.
    pub(crate) unread: u32,
    /// The other side will send no more (CLOSE_WAIT of TCP).
    pub(crate) is_half_closed: bool,
    /// Whether all that has come was read and answered, a while ago; only if that was asked.
    pub(crate) is_idle: bool,
}

/// A netlink socket that answers questions about sockets and never blocks.
pub(super) fn open() -> rustix::io::Result<std::os::fd::OwnedFd> {
    rustix::net::socket_with(
        AddressFamily::NETLINK,
        SocketType::DGRAM,
        SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
        Some(SOCK_DIAG),
    )
}

/// Asks for all sockets of a kind and visits what the kernel says of each.
pub(super) fn dump(question: &[u8], mut visit: impl FnMut(&[u8])) -> io::Result<()> {
    let netlink = open()?;
    rustix::net::send(&netlink, &request(question, NLM_F_DUMP)?, SendFlags::empty())?;
    let mut piece = vec![0u8; PIECE];
    let mut seen = 0;
    while seen < MOST {
        let length = match rustix::net::recv(&netlink, &mut piece[..], RecvFlags::DONTWAIT) {
            Err(Errno::INTR) => continue,
            received => received?.0,
        };
        for message in Messages(piece.get(..length).unwrap_or_default()) {
            match message {
                Message::Socket(body) => visit(body),
                Message::Done => return Ok(()),
                Message::Error(errno) => return Err(io::Error::from_raw_os_error(errno)),
            }
            seen += 1;
        }
    }
    Ok(())
}

/// Asks about one socket; `None` when there is no such one.
pub(super) fn one(question: &[u8]) -> io::Result<Option<Vec<u8>>> {
    let netlink = open()?;
    rustix::net::send(&netlink, &request(question, 0)?, SendFlags::empty())?;
    let mut answer = [0; 1024];
    // The kernel has answered before it returned from the question.
    let (length, _) = rustix::net::recv(&netlink, &mut answer[..], RecvFlags::DONTWAIT)?;
    match Messages(answer.get(..length).unwrap_or_default()).next() {
        Some(Message::Socket(body)) => Ok(Some(body.to_vec())),
        Some(Message::Error(libc::ENOENT)) => Ok(None),
        Some(Message::Error(errno)) => Err(io::Error::from_raw_os_error(errno)),
        Some(Message::Done) | None => Ok(None),
    }
}

fn request(question: &[u8], kind: u16) -> io::Result<Vec<u8>> {
    let length = u32::try_from(HEAD + question.len()).map_err(io::Error::other)?;
    let mut request = length.to_ne_bytes().to_vec();
    request.extend(SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    request.extend((NLM_F_REQUEST | kind).to_ne_bytes());
    request.extend([0; 8]); // nlmsg_seq, nlmsg_pid
    request.extend(question);
    Ok(request)
}

#[derive(Debug, PartialEq, Eq)]
enum Message<'a> {
    Socket(&'a [u8]),
    Done,
    Error(i32),
}

/// The messages of one piece of a dump; rubbish ends it.
struct Messages<'a>(&'a [u8]);

impl<'a> Iterator for Messages<'a> {
    type Item = Message<'a>;

    fn next(&mut self) -> Option<Message<'a>> {
        let length = usize::try_from(u32_at(self.0, 0)?).ok()?;
        let body = self.0.get(HEAD..length)?;
        let kind = u16_at(self.0, 4)?;
        self.0 = self.0.get(length.next_multiple_of(4)..).unwrap_or_default();
        // Both end with a negative error number, or with zero, or with nothing.
        let failed = || u32_at(body, 0).map_or(0, |error| error.cast_signed().saturating_neg());
        Some(match kind {
            SOCK_DIAG_BY_FAMILY => Message::Socket(body),
            NLMSG_ERROR | NLMSG_DONE if failed() > 0 => Message::Error(failed()),
            NLMSG_DONE => Message::Done,
            _ => return self.next(),
        })
    }
}

/// The value of one attribute (struct nlattr) of those that follow in a message.
pub(super) fn attribute(mut attributes: &[u8], wanted: u16) -> Option<&[u8]> {
    loop {
        let (length, kind) = (usize::from(u16_at(attributes, 0)?), u16_at(attributes, 2)?);
        let value = attributes.get(4..length)?;
        if kind == wanted {
            return Some(value);
        }
        attributes = attributes.get(length.next_multiple_of(4)..)?;
    }
}

pub(super) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn message(kind: u16, body: &[u8]) -> Vec<u8> {
        let mut message = u32::try_from(HEAD + body.len()).unwrap().to_ne_bytes().to_vec();
        message.extend(kind.to_ne_bytes());
        message.extend([0; 10]);
        message.extend(body);
        message.resize(message.len().next_multiple_of(4), 0);
        message
    }

    #[test]
    fn a_dump_is_sockets_and_an_end() {
        let piece = [
            message(SOCK_DIAG_BY_FAMILY, b"first"),
            message(SOCK_DIAG_BY_FAMILY, b"second.."),
            message(NLMSG_DONE, &[0; 4]),
        ];
        let piece = piece.concat();
        let expected = [Message::Socket(b"first"), Message::Socket(b"second.."), Message::Done];
        assert!(Messages(&piece).eq(expected));
    }

    #[test]
    fn an_end_may_be_an_error() {
        let refused = (-13i32).to_ne_bytes();
        for kind in [NLMSG_DONE, NLMSG_ERROR] {
            assert!(Messages(&message(kind, &refused)).eq([Message::Error(13)]));
        }
        assert!(Messages(&message(NLMSG_ERROR, &[0; 4])).eq([]));
        assert!(Messages(&message(NLMSG_DONE, &[])).eq([Message::Done]));
    }

    proptest! {
        #[test]
        fn rubbish_ends_a_dump(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(Messages(&bytes).count() <= bytes.len() / HEAD);
        }

        #[test]
        fn messages_of_rubbish_stay_within(
            bodies in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..9)
        ) {
            let made = bodies.iter().map(|body| message(SOCK_DIAG_BY_FAMILY, body));
            let piece = made.collect::<Vec<_>>().concat();
            prop_assert!(Messages(&piece).eq(bodies.iter().map(|body| Message::Socket(body))));
        }

        #[test]
        fn no_attribute_is_read_out_of_bounds(
            bytes in proptest::collection::vec(0u8..12, 0..80),
            wanted in 0u16..8
        ) {
            let found = attribute(&bytes, wanted);
            prop_assert!(found.is_none_or(|value| value.len() + 4 <= bytes.len()));
        }
    }
}
