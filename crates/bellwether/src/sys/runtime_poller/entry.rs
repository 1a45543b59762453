//! One registration with the runtime, and what is watched under its token.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use rustix::event::epoll::{self, EventData};
use rustix::event::{EventfdFlags, eventfd};
use tokio::io::Interest as RuntimeInterest;
use tokio::io::unix::AsyncFd;

use super::ledger::{self, Token};
use crate::sys::poller::{Interest, Ready};

/// What an entry watches, and how.
#[derive(Clone, Copy)]
pub(super) struct Watch<'a> {
    pub(super) fd: BorrowedFd<'a>,
    pub(super) token: u64,
    pub(super) interest: Interest,
}

/// A registration with the runtime, and what is watched under its token.
pub(super) struct Entry<'a> {
    epoll: Rc<OwnedFd>,
    /// `None` where it must outlive this.
    alarm: Option<AsyncFd<OwnedFd>>,
    runtime_token: Token,
    /// What it watches, or watched last.
    watch: Option<Watch<'a>>,
    /// Whether that is in the epoll.
    is_in: bool,
    pub(super) has_hung_up: bool,
}

impl<'a> Entry<'a> {
    pub(super) fn new(epoll: &Rc<OwnedFd>) -> io::Result<Self> {
        let alarm = register(silent()?)?;
        let token = ledger::token_of(alarm.get_ref(), epoll)?;
        Ok(Self::of(alarm, token, epoll))
    }

    pub(super) fn of(alarm: AsyncFd<OwnedFd>, runtime_token: Token, epoll: &Rc<OwnedFd>) -> Self {
        Self {
            epoll: Rc::clone(epoll),
            alarm: Some(alarm),
            runtime_token,
            watch: None,
            is_in: false,
            has_hung_up: false,
        }
    }

    /// What it watches now.
    pub(super) fn watched(&self) -> Option<Watch<'a>> {
        self.watch.filter(|_| self.is_in)
    }

    pub(super) fn watches(&self, fd: BorrowedFd<'_>) -> bool {
        self.is_in && self.is_of(fd)
    }

    fn is_of(&self, fd: BorrowedFd<'_>) -> bool {
        self.watch.is_some_and(|watch| watch.fd.as_raw_fd() == fd.as_raw_fd())
    }

    /// An entry is used again only for what it watched before: a hang-up that nobody asked for yet
    /// would be told of something else.
    pub(super) fn is_idle_for(&self, fd: BorrowedFd<'_>, token: u64) -> bool {
        let is_the_same = |watch: Watch<'_>| watch.token == token && self.is_of(fd);
        !self.is_in && self.watch.is_none_or(is_the_same)
    }

    pub(super) fn begin(&mut self, watch: Watch<'a>) -> io::Result<()> {
        self.forget_what_was();
        let data = EventData::new_u64(self.runtime_token.0);
        epoll::add(&*self.epoll, watch.fd, data, watch.interest.flags())?;
        self.watch = Some(watch);
        self.is_in = true;
        Ok(())
    }

    /// What was ready when it was watched last says nothing about now.
    fn forget_what_was(&self) {
        if let Some(alarm) = &self.alarm {
            let nothing = |_: &OwnedFd| Err::<(), _>(io::ErrorKind::WouldBlock.into());
            let _ = alarm.try_io(RuntimeInterest::READABLE, nothing);
        }
    }

    /// Takes out what is watched. If that fails, the token must stay valid for ever.
    pub(super) fn end(&mut self) -> io::Result<()> {
        let Some(watch) = self.watched() else { return Ok(()) };
        self.is_in = false;
        epoll::delete(&*self.epoll, watch.fd).map_err(|errno| {
            std::mem::forget(self.alarm.take());
            errno.into()
        })
    }

    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Ready>> {
        let (Some(watch), Some(alarm)) = (self.watched(), &self.alarm) else {
            return Poll::Pending;
        };
        let mut guard = ready!(alarm.poll_read_ready(context))?;
        let hung_up = guard.ready().is_read_closed();
        guard.clear_ready();
        self.has_hung_up |= hung_up;
        Poll::Ready(Ok(Ready { token: watch.token, hung_up }))
    }
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        // First this, then the registration.
        let _ = self.end();
    }
}

/// An eventfd that nobody rings.
pub(super) fn silent() -> io::Result<OwnedFd> {
    Ok(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?)
}

pub(super) fn register(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` is open and always the same until it is dropped, and the `AsyncFd` owns it.
    Ok(unsafe { AsyncFd::register_with_interest(fd, RuntimeInterest::READABLE) }?)
}
