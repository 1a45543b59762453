//! A thin epoll: level-triggered, with tokens, exclusive waits and one-shot arming.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};

/// What one descriptor is watched for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interest {
    /// Readable; every waiter wakes.
    Read,
    /// Readable; of all exclusive waiters the kernel wakes one (EPOLLEXCLUSIVE, Linux 4.5).
    ReadAlone,
    /// Readable, reported once until armed again.
    ReadOnce,
    /// Writable.
    Write,
    /// Readable or writable, reported whenever that may have changed (EPOLLET).
    Changes,
    /// Only errors and hang-ups, which epoll always reports.
    HangUp,
}

impl Interest {
    pub(super) const fn flags(self) -> EventFlags {
        match self {
            Self::Read => EventFlags::IN.union(EventFlags::RDHUP),
            // EPOLLRDHUP is not allowed beside EPOLLEXCLUSIVE (epoll_ctl(2)).
            Self::ReadAlone => EventFlags::IN.union(EventFlags::EXCLUSIVE),
            Self::ReadOnce => EventFlags::IN.union(EventFlags::ONESHOT),
            Self::Write => EventFlags::OUT,
            Self::Changes => {
                let both = EventFlags::IN.union(EventFlags::OUT);
                both.union(EventFlags::RDHUP).union(EventFlags::ET)
            }
            Self::HangUp => EventFlags::empty(),
        }
    }
}

/// One thing that happened to a watched descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ready {
    /// The token that the descriptor was added with.
    pub(crate) token: u64,
    /// Whether the other side is gone.
    pub(crate) hung_up: bool,
}

/// An epoll instance with room for a batch of events.
pub(crate) struct Poller {
    fd: OwnedFd,
    batch: Vec<Event>,
}

impl Poller {
    /// Creates an epoll instance that reports at most `batch` events a wait.
    pub(crate) fn new(batch: usize) -> io::Result<Self> {
        let fd = epoll::create(CreateFlags::CLOEXEC)?;
        Ok(Self { fd, batch: Vec::with_capacity(batch.max(1)) })
    }

    /// Starts watching a descriptor.
    pub(crate) fn add(&self, fd: impl AsFd, token: u64, interest: Interest) -> io::Result<()> {
        Ok(epoll::add(&self.fd, fd, EventData::new_u64(token), interest.flags())?)
    }

    /// Changes what a watched descriptor is watched for.
    pub(crate) fn change(&self, fd: impl AsFd, token: u64, interest: Interest) -> io::Result<()> {
        Ok(epoll::modify(&self.fd, fd, EventData::new_u64(token), interest.flags())?)
    }

    /// Stops watching a descriptor.
    pub(crate) fn remove(&self, fd: impl AsFd) -> io::Result<()> {
        Ok(epoll::delete(&self.fd, fd)?)
    }

    /// Waits until something is ready or `patience` has passed; `None` waits for ever.
    ///
    /// A signal counts as nothing having happened.
    pub(crate) fn wait(&mut self, patience: Option<Duration>) -> io::Result<Vec<Ready>> {
        self.collect(patience)?;
        Ok(self.batch.drain(..).map(Ready::from).collect())
    }

    /// Waits like [`Poller::wait`], for the first ready descriptor alone; allocates nothing.
    pub(crate) fn wait_one(&mut self, patience: Option<Duration>) -> io::Result<Option<Ready>> {
        self.collect(patience)?;
        Ok(self.batch.first().copied().map(Ready::from))
    }

    fn collect(&mut self, patience: Option<Duration>) -> io::Result<()> {
        self.batch.clear();
        let patience = patience.map(timespec);
        let room = rustix::buffer::spare_capacity(&mut self.batch);
        match epoll::wait(&self.fd, room, patience.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

impl AsFd for Poller {
    /// Readable itself when something is ready, so that one poller can watch another.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl From<Event> for Ready {
    fn from(event: Event) -> Self {
        let (data, flags) = (event.data, event.flags);
        let gone = EventFlags::HUP | EventFlags::RDHUP | EventFlags::ERR;
        Self { token: data.u64(), hung_up: flags.intersects(gone) }
    }
}

fn timespec(duration: Duration) -> Timespec {
    // A day is far beyond every deadline here and far below every overflow.
    let duration = duration.min(Duration::from_secs(86_400));
    Timespec { tv_sec: duration.as_secs().cast_signed(), tv_nsec: duration.subsec_nanos().into() }
}
