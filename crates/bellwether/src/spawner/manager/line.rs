//! The way to the service manager: datagrams that are never waited for.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix,
    SocketFlags, SocketType,
};

use crate::error::{Doing, Error, Result};
use crate::sys::clock;

/// How many messages are kept for a manager that does not read; the oldest goes first.
const KEPT: usize = 64;

/// Of these only the last word counts.
const LATEST: [&str; 3] = ["STATUS=", "WATCHDOG=", "EXTEND_TIMEOUT_USEC="];

/// Between two attempts to send what was kept.
const RETRY: Duration = Duration::from_millis(100);

/// The kernel takes at most so many descriptors in one message (SCM_MAX_FD in net/scm.h).
pub(super) const MOST_DESCRIPTORS: usize = 253;

/// The way to the manager, and what it has not taken yet.
#[derive(Debug)]
pub(super) struct Line {
    socket: OwnedFd,
    peer: SocketAddrUnix,
    kept: VecDeque<Message>,
    /// When what was kept is tried again.
    pub(super) retry: Option<Duration>,
    /// A manager that is gone is told of once.
    gone: bool,
}

#[derive(Debug)]
struct Message {
    text: String,
    fds: Vec<OwnedFd>,
}

impl Line {
    pub(super) fn to(name: &str) -> Result<Self> {
        let peer = match name.strip_prefix('@') {
            Some(name) => SocketAddrUnix::new_abstract_name(name.as_bytes()).ok(),
            None if name.starts_with('/') => SocketAddrUnix::new(name).ok(),
            None => None,
        };
        let problem = "it must be an absolute path or @NAME, of at most 107 bytes";
        let wrong = || Error::configure(format!("NOTIFY_SOCKET={name}"), problem);
        let peer = peer.ok_or_else(wrong)?;
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let (family, kind) = (AddressFamily::UNIX, SocketType::DGRAM);
        let socket = rustix::net::socket_with(family, kind, flags, None)
            .doing("create a socket for the service manager")?;
        Ok(Self { socket, peer, kept: VecDeque::new(), retry: None, gone: false })
    }

    /// Sends a message after those that were kept, or keeps it too.
    pub(super) fn send(&mut self, text: String, fds: &[BorrowedFd<'_>]) {
        let now = clock::now();
        if !self.kept.is_empty() {
            self.flush(now);
        }
        if !self.kept.is_empty() || !self.is_done(self.attempt(&text, fds)) {
            self.keep(text, fds);
            self.retry = Some(now + RETRY);
        }
    }

    /// Sends what was kept, in order, as far as the manager takes it.
    pub(super) fn flush(&mut self, now: Duration) {
        while let Some(message) = self.kept.pop_front() {
            let fds: Vec<_> = message.fds.iter().map(AsFd::as_fd).collect();
            if !self.is_done(self.attempt(&message.text, &fds)) {
                self.kept.push_front(message);
                break;
            }
        }
        self.retry = (!self.kept.is_empty()).then(|| now + RETRY);
    }

    fn attempt(&self, text: &str, fds: &[BorrowedFd<'_>]) -> rustix::io::Result<usize> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_DESCRIPTORS))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !fds.is_empty() {
            control.push(SendAncillaryMessage::ScmRights(fds));
        }
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        let text = [IoSlice::new(text.as_bytes())];
        rustix::net::sendmsg_addr(&self.socket, &self.peer, &text, &mut control, flags)
    }

    /// Whether a message need not be tried again: it was taken, or never will be.
    fn is_done(&mut self, sent: rustix::io::Result<usize>) -> bool {
        match sent {
            Ok(_) => self.gone = false,
            Err(Errno::AGAIN | Errno::NOBUFS | Errno::NOMEM | Errno::INTR) => return false,
            Err(errno) if !std::mem::replace(&mut self.gone, true) => {
                tracing::warn!("the service manager cannot be told anything ({errno})");
            }
            Err(_) => {}
        }
        true
    }

    fn keep(&mut self, text: String, fds: &[BorrowedFd<'_>]) {
        let copies = fds.iter().map(BorrowedFd::try_clone_to_owned).collect();
        let Ok(fds) = copies else { return }; // out of descriptors: nothing is stored then
        if let Some(word) = LATEST.iter().find(|word| text.starts_with(**word)) {
            self.kept.retain(|message| !message.text.starts_with(word));
        }
        if self.kept.len() == KEPT {
            self.kept.pop_front();
        }
        self.kept.push_back(Message { text, fds });
    }
}
