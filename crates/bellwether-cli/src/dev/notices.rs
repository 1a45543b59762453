//! What the server that runs the program says of itself, as it would to a service manager.

use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use bellwether::{Error, Result};
use rustix::net::sockopt::set_socket_passcred;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SocketAddrUnix,
    SocketFlags, SocketType,
};
use rustix::process::Pid;

/// The longest message that is read; ours are shorter.
const LONGEST: usize = 4096;

/// How it says why it does not serve, beside what sd_notify(3) knows.
pub(super) const PROBLEM: &str = "X_BELLWETHER_PROBLEM";

/// What it can say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Notice {
    /// It serves.
    Ready,
    /// Why it does not serve, in a line.
    Problem(String),
}

/// The socket on which it is heard, with a name that needs no file.
#[derive(Debug)]
pub(super) struct Notices {
    socket: OwnedFd,
    name: String,
}

impl Notices {
    pub(super) fn open() -> Result<Self> {
        let opened = || {
            let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
            let kind = SocketType::DGRAM;
            let socket = rustix::net::socket_with(AddressFamily::UNIX, kind, flags, None)?;
            set_socket_passcred(&socket, true)?;
            // The kernel chooses a name that nobody has (unix(7), autobind).
            rustix::net::bind(&socket, &SocketAddrUnix::new_unnamed())?;
            let name = SocketAddrUnix::try_from(rustix::net::getsockname(&socket)?)?;
            let name = String::from_utf8_lossy(name.abstract_name().unwrap_or_default()).into();
            Ok(Self { socket, name })
        };
        opened().map_err(|errno: rustix::io::Errno| Error::System {
            doing: "open a socket for what the program's server says".into(),
            source: errno.into(),
        })
    }

    /// What `NOTIFY_SOCKET` is to be.
    pub(super) fn variable(&self) -> String {
        format!("@{}", self.name)
    }

    /// Returns what this very process has said; anybody can send, nobody else is believed.
    pub(super) fn from(&self, process: Option<Pid>) -> Vec<Notice> {
        let mut heard = Vec::new();
        let mut words = [0; LONGEST];
        while let Some((length, sender)) = self.receive(&mut words) {
            if sender.is_some() && sender == process {
                heard.extend(notices(words.get(..length).unwrap_or_default()));
            }
        }
        heard
    }

    fn receive(&self, words: &mut [u8]) -> Option<(usize, Option<Pid>)> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmCredentials(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let parts = &mut [IoSliceMut::new(words)];
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

/// Reads assignments, one a line; what is not known is for others.
fn notices(words: &[u8]) -> Vec<Notice> {
    let words = String::from_utf8_lossy(words);
    let read = |line: &str| match line.split_once('=') {
        Some(("READY", "1")) => Some(Notice::Ready),
        Some((PROBLEM, problem)) => Some(Notice::Problem(problem.into())),
        _ => None,
    };
    words.lines().filter_map(read).collect()
}

#[cfg(test)]
mod tests {
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixDatagram};

    use super::*;

    #[test]
    fn who_was_started_is_understood_and_nobody_else_is_believed() {
        let notices = Notices::open().unwrap();
        let name = notices.variable();
        let address = SocketAddr::from_abstract_name(&name[1..]).unwrap();
        let client = UnixDatagram::unbound().unwrap();
        let say = |words: &str| client.send_to_addr(words.as_bytes(), &address).unwrap();
        let own = Some(rustix::process::getpid());
        say("READY=1\nSTATUS=serving\n");
        say("X_BELLWETHER_PROBLEM=1=1");
        let expected = [Notice::Ready, Notice::Problem("1=1".into())];
        assert_eq!(notices.from(own), expected);
        say("READY=1");
        assert_eq!(notices.from(Pid::from_raw(1)), []);
        say("READY=1");
        assert_eq!(notices.from(None), []);
    }
}
