//! A listening socket: what every handler inherits and the spawner keeps whole.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::OFlags;
use rustix::net::SocketFlags;

use super::open::{self, Defaults};
use super::unix::{self, SocketFile};
use super::{Address, Defer, Place};
use crate::error::{Doing, Error, Result};
use crate::sys::{descriptors, socket};

/// An open address: a listening socket and the text that names it.
#[derive(Debug)]
pub struct Listener {
    pub(super) fd: OwnedFd,
    pub(super) address: String,
    /// What was typed, to open it anew.
    pub(super) source: Address,
    /// The how manieth address of its place it is; only port 0 may be given more than once.
    pub(super) nth: usize,
    pub(super) kind: Kind,
    /// Where a TCP listener is bound.
    pub(super) place: Option<SocketAddr>,
    /// The backlog asked for; `None` on an inherited socket that keeps its own.
    pub(super) backlog: Option<u32>,
    /// For deferred accept: the namespace's overflows when the address was opened.
    pub(super) overflows_before: Option<u64>,
    /// What the kernel granted of the backlog when the socket was opened.
    pub(super) granted: Option<u32>,
    /// Whether its flags are left to those who share it.
    pub(super) left_alone: bool,
    /// Whether others served it before it came to us, and may do so still.
    pub(super) in_use: bool,
    pub(super) inherited: bool,
    pub(super) file: Option<SocketFile>,
}

/// The family of a listening socket, as far as it makes a difference here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Tcp,
    Unix,
}

/// What a look at a listener found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Health {
    /// It listens and has the flags it should have.
    Good,
    /// Somebody who shares it had changed it; it is right again.
    Mended,
    /// It was shut down and cannot be revived; it must be opened anew.
    Dead,
}

impl Listener {
    /// Opens addresses that others are to serve, who inherit them; one may yield several listeners.
    ///
    /// Clients queue from now on, whoever serves. A socket file is removed with its listener.
    ///
    /// ```
    /// use bellwether::Listener;
    ///
    /// let listeners = Listener::open(&["127.0.0.1:0".parse()?])?;
    /// assert!(listeners[0].address().starts_with("tcp://127.0.0.1:"));
    /// # Ok::<(), bellwether::Error>(())
    /// ```
    ///
    /// # Errors
    /// As those of [`Builder::open`](crate::Builder::open) about addresses.
    pub fn open(addresses: &[Address]) -> Result<Vec<Self>> {
        descriptors::fill_standard().doing("open /dev/null for a closed standard descriptor")?;
        let defaults = Defaults { defer_accept: Defer::Off, take_over: false };
        open::open_all(addresses, defaults, &mut Vec::new())
    }

    /// Returns the address with what the kernel filled in: a port for port 0, a number for a name.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Returns the backlog that was asked for, or `None` for an inherited socket that keeps its own.
    #[must_use]
    pub const fn backlog(&self) -> Option<u32> {
        self.backlog
    }

    /// Tells whether the socket was opened by somebody else, who may serve it after us.
    #[must_use]
    pub const fn is_inherited(&self) -> bool {
        self.inherited
    }

    pub(crate) const fn overflows_before(&self) -> Option<u64> {
        self.overflows_before
    }

    pub(crate) const fn kind(&self) -> Kind {
        self.kind
    }

    /// Takes one connection out of the buffer; `WouldBlock` when there is none.
    pub(crate) fn accept(&self, flags: SocketFlags) -> rustix::io::Result<OwnedFd> {
        rustix::net::accept_with(&self.fd, flags | SocketFlags::CLOEXEC)
    }

    /// Leaves the flags of the socket to those who share it, as they would find them on a new one.
    ///
    /// A program that waits in accept(2) fails on a socket that does not block; one that must not
    /// wait there says so itself, for all who share the socket. One that such programs serve already
    /// stays as they have it.
    pub(crate) fn leave_alone(&mut self) {
        self.left_alone = true;
        if !self.in_use {
            self.set_flags(|flags| flags - OFlags::NONBLOCK);
        }
    }

    /// Makes the socket one that never blocks, as handlers of our own want it.
    pub(crate) fn take_charge(&mut self) {
        self.left_alone = false;
        self.set_flags(|flags| flags | OFlags::NONBLOCK);
    }

    fn set_flags(&self, change: impl FnOnce(OFlags) -> OFlags) {
        // The descriptor is good, and the flags are ours to change.
        if let Ok(flags) = rustix::fs::fcntl_getfl(&self.fd) {
            let _ = rustix::fs::fcntl_setfl(&self.fd, change(flags));
        }
    }

    /// Checks what others may have changed on the shared socket and puts it right.
    ///
    /// All who inherited the socket share its flags and its life: one `shutdown(2)` by one
    /// handler closes it for all; `listen(2)` revives a TCP socket, but not a Unix one.
    pub(crate) fn mend(&self) -> io::Result<Health> {
        let mut health = Health::Good;
        let flags = rustix::fs::fcntl_getfl(&self.fd)?;
        let right = (flags | OFlags::NONBLOCK) - (OFlags::APPEND | OFlags::ASYNC);
        if flags != right && !self.left_alone {
            rustix::fs::fcntl_setfl(&self.fd, right)?;
            health = Health::Mended;
        }
        if self.is_shut_down() {
            if self.kind == Kind::Unix {
                return Ok(Health::Dead);
            }
            self.bind_again()?;
            self.listen()?;
            health = if self.is_shut_down() { Health::Dead } else { Health::Mended };
        } else if self.queue_limit() != self.granted {
            self.listen()?;
            health = Health::Mended;
        }
        Ok(health)
    }

    /// How many connections may wait, as the kernel says now; `None` where it does not say.
    pub(super) fn queue_limit(&self) -> Option<u32> {
        match self.kind {
            Kind::Tcp => socket::tcp_queue(&self.fd).ok().map(|(_, limit)| limit),
            Kind::Unix => None, // a netlink message a look would be dear for what it tells
        }
    }

    /// Notes what the kernel has granted, to see when somebody takes it away.
    pub(super) fn remember_limit(mut self) -> Self {
        self.granted = self.queue_limit();
        self
    }

    /// Takes the port back that a shutdown gave up, as it does where the kernel had chosen it.
    fn bind_again(&self) -> io::Result<()> {
        match self.place.map(|place| rustix::net::bind(&self.fd, &place)) {
            // EINVAL: it still has its port.
            None | Some(Ok(()) | Err(rustix::io::Errno::INVAL)) => Ok(()),
            Some(Err(errno)) => Err(errno.into()),
        }
    }

    /// Sets the backlog again, whatever somebody who shares the socket has made of it.
    pub(crate) fn listen(&self) -> io::Result<()> {
        let backlog = self.backlog.unwrap_or(open::BACKLOG);
        Ok(rustix::net::listen(&self.fd, i32::try_from(backlog).unwrap_or(i32::MAX))?)
    }

    /// Tells whether somebody who shares the socket has shut it down.
    pub(crate) fn is_shut_down(&self) -> bool {
        let gone = PollFlags::HUP | PollFlags::RDHUP | PollFlags::ERR;
        let mut polled = [PollFd::new(&self.fd, PollFlags::RDHUP)];
        let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
        rustix::event::poll(&mut polled, Some(&at_once)).is_ok()
            && polled[0].revents().intersects(gone)
    }

    /// Opens a dead listener anew, at the same place.
    ///
    /// An inherited one cannot be opened anew: its place is its owner's.
    pub(crate) fn reopen(&self) -> Result<Self> {
        match &self.source.place {
            Place::Unix(path) => {
                self.file.iter().for_each(SocketFile::remove);
                unix::open_path(&self.source, path, false)
            }
            Place::Abstract(name) => unix::open_abstract(&self.source, name, false),
            Place::Tcp { .. } if self.place.is_some() => open::reopen_tcp(self),
            _ => Err(Error::open(
                &self.address,
                "it was shut down, and only its owner can open it anew",
            )),
        }
    }

    /// Tells whether something waits, for kernels that do not say how much.
    pub(crate) fn has_pending(&self) -> bool {
        let mut polled = [PollFd::new(&self.fd, PollFlags::IN)];
        let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
        rustix::event::poll(&mut polled, Some(&at_once)).is_ok_and(|ready| ready > 0)
    }

    /// Returns its port, if it is one of TCP that was opened here.
    pub(crate) fn port(&self) -> Option<u16> {
        self.place.map(|place| place.port())
    }

    /// Takes charge of the socket file of a listener that came back: our stop removes it.
    pub(crate) fn claim_file(&mut self) {
        self.file.iter_mut().for_each(SocketFile::claim);
    }

    /// Tells whether a door that was closed can be opened again.
    pub(crate) const fn may_reopen(&self) -> bool {
        matches!(self.kind, Kind::Tcp)
    }

    /// Lets newcomers in again.
    pub(crate) fn open_door(&self) {
        if self.kind == Kind::Tcp && !self.inherited {
            let _ = socket::admit_new(&self.fd);
        }
    }

    /// Lets no new connection in; those in the buffer stay there to be served.
    ///
    /// A socket that somebody else gave us is left as it is: its buffer outlives us.
    pub(crate) fn close_door(&self) {
        if self.inherited {
            return;
        }
        match (self.kind, &self.file) {
            (Kind::Tcp, _) => drop(socket::refuse_new(&self.fd)),
            (Kind::Unix, Some(file)) => file.remove(),
            // An abstract name cannot be taken away from a listening socket.
            (Kind::Unix, None) => {}
        }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl AsRawFd for Listener {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.address)
    }
}
