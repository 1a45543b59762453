//! How waiting handlers learn that the buffer is not empty.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::str::FromStr;
use std::time::Duration;

use crate::sys::poller::{Interest, Poller, Ready};
#[cfg(feature = "tokio")]
use crate::sys::runtime_poller::RuntimePoller;

/// Who wakes when a request arrives.
///
/// Whoever wakes races to accept; one wins, the others lose and go on waiting. A handler waits
/// only while it has room, so busy handlers neither wake nor count.
///
/// | mode | who wakes for one request | for |
/// |---|---|---|
/// | `all` | every waiting thread | few idle handlers; the reference |
/// | `some:K` | at most K | the default with K = 2: survives the death of a woken handler |
/// | `one` | one, the idle one that registered first: work is packed, the rest stays idle | elastic pools |
/// | `turn` | one, in rotation | fixed pools |
///
/// With N idle handlers `all` costs N context switches a request (measured: half the throughput
/// at 32 handlers, a fifth at 128); the others do not depend on N.
///
/// ```
/// use bellwether::Notification;
/// let mode: Notification = "some:3".parse()?;
/// assert_eq!(mode, Notification::Some(3));
/// assert_eq!(Notification::default(), Notification::Some(2));
/// # Ok::<(), bellwether::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notification {
    /// Every waiting thread wakes.
    All,
    /// At most this many threads wake (at least 1).
    Some(u16),
    /// One thread wakes, always the longest-registered idle one.
    One,
    /// One thread wakes, each in turn.
    Turn,
}

impl Default for Notification {
    fn default() -> Self {
        Self::Some(2)
    }
}

impl Notification {
    /// How the thread with this rank (0: lowest slot, first thread) waits.
    ///
    /// An arriving request wakes all who wait together and one of those who wait alone
    /// (`EPOLLEXCLUSIVE`, epoll_ctl(2)).
    const fn interest(self, rank: usize) -> Interest {
        let together = match self {
            Self::All => true,
            Self::Some(k) => rank + 1 < k as usize,
            Self::One | Self::Turn => false,
        };
        if together { Interest::Read } else { Interest::ReadAlone }
    }
}

impl FromStr for Notification {
    type Err = crate::error::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let some = |k: &str| k.parse().ok().filter(|&k| k > 0).map(Self::Some);
        let read = match text {
            "all" => Some(Self::All),
            "one" => Some(Self::One),
            "turn" => Some(Self::Turn),
            "some" => Some(Self::default()),
            _ => text.strip_prefix("some:").and_then(some),
        };
        read.ok_or_else(|| crate::error::Error::Parse {
            what: "notification",
            text: text.into(),
            problem: "write all, some:K (K from 1 to 65535), one or turn".into(),
        })
    }
}

impl fmt::Display for Notification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Some(k) => write!(f, "some:{k}"),
            Self::One => f.write_str("one"),
            Self::Turn => f.write_str("turn"),
        }
    }
}

/// Why a waiting thread woke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wake {
    /// The buffer of the listener with this index is not empty, or was not a moment ago.
    Request(usize),
    /// A descriptor added with [`Waiter::also`] is readable; `gone`: its other side has closed.
    Message { number: u64, gone: bool },
    /// Patience ran out.
    Nothing,
}

const MESSAGES: u64 = 1 << 32;

impl From<Ready> for Wake {
    fn from(ready: Ready) -> Self {
        if ready.token & MESSAGES != 0 {
            return Self::Message { number: ready.token & !MESSAGES, gone: ready.hung_up };
        }
        Self::Request(usize::try_from(ready.token).unwrap_or(0))
    }
}

/// What a thread waits with: an epoll of its own, or a part of its runtime's.
///
/// What it waits for outlives it.
pub(crate) trait Place<'a> {
    /// Starts watching a descriptor.
    fn add(&self, fd: BorrowedFd<'a>, token: u64, interest: Interest) -> io::Result<()>;

    /// Stops watching a descriptor.
    fn remove(&self, fd: BorrowedFd<'a>) -> io::Result<()>;

    /// Waits until one thing is ready or patience runs out.
    async fn wait_one(&mut self, patience: Option<Duration>) -> io::Result<Option<Ready>>;
}

/// The thread sleeps: a wait is over when it returns.
impl<'a> Place<'a> for Poller {
    fn add(&self, fd: BorrowedFd<'a>, token: u64, interest: Interest) -> io::Result<()> {
        Self::add(self, fd, token, interest)
    }

    fn remove(&self, fd: BorrowedFd<'a>) -> io::Result<()> {
        Self::remove(self, fd)
    }

    async fn wait_one(&mut self, patience: Option<Duration>) -> io::Result<Option<Ready>> {
        Self::wait_one(self, patience)
    }
}

/// The thread does meanwhile what its runtime has.
#[cfg(feature = "tokio")]
impl<'a> Place<'a> for RuntimePoller<'a> {
    fn add(&self, fd: BorrowedFd<'a>, token: u64, interest: Interest) -> io::Result<()> {
        Self::add(self, fd, token, interest)
    }

    fn remove(&self, fd: BorrowedFd<'a>) -> io::Result<()> {
        Self::remove(self, fd)
    }

    async fn wait_one(&mut self, patience: Option<Duration>) -> io::Result<Option<Ready>> {
        Self::wait_one(self, patience).await
    }
}

/// One thread's place among those who wait.
pub(crate) struct Waiter<P = Poller> {
    place: P,
    interest: Interest,
    rotates: bool,
}

impl Waiter {
    /// Takes a place in this mode, to hear of as many as this at once ([`Waiter::wait_for_all`]).
    pub(crate) fn of_many(mode: Notification, rank: usize, batch: usize) -> io::Result<Self> {
        Ok(Self::new(Poller::new(batch)?, mode, rank))
    }

    /// Wakes as well whenever this descriptor may have become readable or writable.
    pub(crate) fn also_for_changes(&self, fd: impl AsFd, number: u64) -> io::Result<()> {
        self.place.add(fd, MESSAGES | number, Interest::Changes)
    }

    /// Waits until something happens or `patience` runs out, and returns all that has happened:
    /// nothing where patience ran out.
    pub(crate) fn wait_for_all(&mut self, patience: Option<Duration>) -> io::Result<Vec<Wake>> {
        Ok(self.place.wait(patience)?.into_iter().map(Wake::from).collect())
    }
}

impl<P> Waiter<P> {
    /// Takes a place in this mode; `rank` numbers all threads of a pool from the lowest slot on.
    pub(crate) fn new(place: P, mode: Notification, rank: usize) -> Self {
        let rotates = mode == Notification::Turn;
        Self { place, interest: mode.interest(rank), rotates }
    }

    /// Starts waiting for requests.
    pub(crate) fn join<'a>(&self, listeners: &'a [impl AsFd]) -> io::Result<()>
    where
        P: Place<'a>,
    {
        listeners
            .iter()
            .enumerate()
            .try_for_each(|(i, listener)| self.place.add(listener.as_fd(), i as u64, self.interest))
    }

    /// Stops waiting for requests; requests wake others.
    pub(crate) fn step_out<'a>(&self, listeners: &'a [impl AsFd]) -> io::Result<()>
    where
        P: Place<'a>,
    {
        listeners.iter().try_for_each(|listener| self.place.remove(listener.as_fd()))
    }

    /// Wakes for this descriptor as well.
    pub(crate) fn also<'a>(&self, fd: &'a impl AsFd, number: u64) -> io::Result<()>
    where
        P: Place<'a>,
    {
        self.place.add(fd.as_fd(), MESSAGES | number, Interest::Read)
    }

    /// Wakes for this descriptor as well, if nobody else does.
    pub(crate) fn also_alone<'a>(&self, fd: &'a impl AsFd, number: u64) -> io::Result<()>
    where
        P: Place<'a>,
    {
        self.place.add(fd.as_fd(), MESSAGES | number, Interest::ReadAlone)
    }

    /// Does not wake for this descriptor any more.
    pub(crate) fn not_any_more<'a>(&self, fd: &'a impl AsFd) -> io::Result<()>
    where
        P: Place<'a>,
    {
        self.place.remove(fd.as_fd())
    }

    /// Waits until something happens or `patience` runs out; `None` waits for ever.
    pub(crate) async fn wait<'a>(&mut self, patience: Option<Duration>) -> io::Result<Wake>
    where
        P: Place<'a>,
    {
        Ok(self.place.wait_one(patience).await?.map_or(Wake::Nothing, Wake::from))
    }

    /// Goes to the end of the line after a win, where the mode rotates.
    ///
    /// The kernel wakes exclusive waiters in the order in which they registered.
    pub(crate) fn after_win<'a>(&self, listeners: &'a [impl AsFd]) -> io::Result<()>
    where
        P: Place<'a>,
    {
        if self.rotates {
            self.step_out(listeners)?;
            self.join(listeners)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_read_and_printed() {
        for text in ["all", "some:2", "some:7", "one", "turn"] {
            assert_eq!(text.parse::<Notification>().unwrap().to_string(), text);
        }
        for text in ["", "some:0", "some:x", "any", "ALL"] {
            let message = text.parse::<Notification>().unwrap_err().to_string();
            assert!(message.contains("some:K"), "{message}");
        }
    }

    #[test]
    fn some_lets_the_lowest_ranks_wait_together() {
        let together = |mode: Notification| {
            (0..4).filter(|&rank| mode.interest(rank) == Interest::Read).count()
        };
        assert_eq!(together(Notification::All), 4);
        assert_eq!(together(Notification::Some(1)), 0);
        assert_eq!(together(Notification::Some(2)), 1);
        assert_eq!(together(Notification::Some(3)), 2);
        assert_eq!(together(Notification::One), 0);
        assert_eq!(together(Notification::Turn), 0);
    }
}
