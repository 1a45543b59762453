//! What a program says about itself, if it does: the protocol of sd_notify(3).

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::net::sockopt::set_socket_passcred;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SocketAddrUnix,
    SocketFlags, SocketType,
};
use rustix::process::{Pid, getpgid, getpid};

use crate::program::family::descends;

/// What a program can say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Notice {
    /// `READY=1`: it serves.
    Ready,
    /// `STOPPING=1`: it ends by itself.
    Stopping,
    /// `WATCHDOG=1`: it is alive.
    Alive,
    /// `WATCHDOG=trigger`: it is to be ended as if it were not.
    Stuck,
    /// `EXTEND_TIMEOUT_USEC=N`: it asks for so much time from now on.
    Extend(Duration),
    /// `X_BELLWETHER_BUSY=N`: it has so many requests in hand.
    Busy(u64),
    /// `STATUS=TEXT`: how it is, in words.
    Status(String),
}

/// The socket on which a program is heard.
pub(super) struct Notices {
    socket: OwnedFd,
    name: String,
}

/// The longest message that is read; what is beyond it is not for us.
const LONGEST: usize = 4096;

/// How many messages are heard at once; whoever talks without end must not hold us up.
const AT_ONCE: usize = 64;

impl Notices {
    /// Opens a socket with a name of our own, that needs no file.
    pub(super) fn open() -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::DGRAM, flags, None)?;
        set_socket_passcred(&socket, true)?;
        let name = format!("bellwether/notify/{}", getpid().as_raw_pid());
        rustix::net::bind(&socket, &SocketAddrUnix::new_abstract_name(name.as_bytes())?)?;
        Ok(Self { socket, name: format!("@{name}") })
    }

    /// Returns what `NOTIFY_SOCKET` is to be.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Returns what was said by the program: whoever descends from us, or is of our group. Anybody
    /// can send, few are believed.
    ///
    /// What is not heard this time is heard the next.
    pub(super) fn heard(&self) -> Vec<Notice> {
        let mut heard = Vec::new();
        let mut words = [0; LONGEST];
        for _ in 0..AT_ONCE {
            let Some((length, sender)) = self.receive(&mut words) else { break };
            if sender.is_some_and(is_ours) {
                heard.extend(notices(words.get(..length).unwrap_or_default()));
            }
        }
        heard
    }

    fn receive(&self, words: &mut [u8]) -> Option<(usize, Option<Pid>)> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmCredentials(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let parts = &mut [io::IoSliceMut::new(words)];
        let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
        let received = rustix::net::recvmsg(&self.socket, parts, &mut control, flags).ok()?;
        let sender = control.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmCredentials(sender) => Some(sender.pid),
            _ => None,
        });
        Some((received.bytes, sender))
    }
}

impl AsFd for Notices {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Tells whether a process belongs to the program; one that was reaped already does not.
fn is_ours(sender: Pid) -> bool {
    // The usual case, and the cheaper one.
    let group = getpgid(Some(sender)).ok();
    group.is_some() && group == getpgid(None).ok() || descends(sender, getpid())
}

/// Reads assignments, one a line; what is not known is for others.
fn notices(words: &[u8]) -> impl Iterator<Item = Notice> {
    words.split(|byte| *byte == b'\n').filter_map(|line| {
        let (name, value) = str::from_utf8(line).ok()?.split_once('=')?;
        match (name, value) {
            ("READY", "1") => Some(Notice::Ready),
            ("STOPPING", "1") => Some(Notice::Stopping),
            ("WATCHDOG", "1") => Some(Notice::Alive),
            ("WATCHDOG", "trigger") => Some(Notice::Stuck),
            ("EXTEND_TIMEOUT_USEC", usec) => {
                usec.parse().ok().map(Duration::from_micros).map(Notice::Extend)
            }
            ("X_BELLWETHER_BUSY", count) => count.parse().ok().map(Notice::Busy),
            ("STATUS", text) => Some(Notice::Status(text.into())),
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_understood_and_a_stranger_is_not_believed() {
        let notices = Notices::open().unwrap();
        let name = notices.name().trim_start_matches('@').to_owned();
        let client = rustix::net::socket(AddressFamily::UNIX, SocketType::DGRAM, None).unwrap();
        let address = SocketAddrUnix::new_abstract_name(name.as_bytes()).unwrap();
        let say = |words: &str| {
            rustix::net::sendto(
                &client,
                words.as_bytes(),
                rustix::net::SendFlags::empty(),
                &address,
            )
            .unwrap();
        };
        say("STATUS=hello\nREADY=1\n");
        say("X=1");
        say("STOPPING=1");
        let hello = Notice::Status("hello".into());
        assert_eq!(notices.heard(), [hello, Notice::Ready, Notice::Stopping]);
        assert_eq!(notices.heard(), []);
    }

    #[test]
    fn a_word_that_is_not_known_is_passed_over() {
        let check = |words: &[u8], expected: &[Notice]| {
            assert_eq!(notices(words).collect::<Vec<_>>(), expected, "{words:?}");
        };
        check(b"READY=0\nREADY=11\n\xff=\x00\nREADY\n=\n", &[]);
        check(b"WATCHDOG=1\n\nWATCHDOG=trigger", &[Notice::Alive, Notice::Stuck]);
        check(b"X_BELLWETHER_BUSY=3", &[Notice::Busy(3)]);
        check(b"X_BELLWETHER_BUSY=-3\nX_BELLWETHER_BUSY=99999999999999999999", &[]);
        check(b"EXTEND_TIMEOUT_USEC=2000000", &[Notice::Extend(Duration::from_secs(2))]);
        check(b"EXTEND_TIMEOUT_USEC=infinity", &[]);
        check(b"STATUS=a=b", &[Notice::Status("a=b".into())]);
    }
}
