//! The epoll of the runtime that this thread is in, with entries of ours in it: level-triggered and
//! exclusive waits, which the runtime itself does not offer.
//!
//! An [`Entry`] has an eventfd of ours that nobody ever rings, registered with the runtime as usual.
//! Its line in /proc/self/fdinfo tells in which epoll it is, and under which token; under that same
//! token the entry adds what is to be watched, with flags of its own choice.
//!
//! The invariant of all this: **what is in the runtime's epoll under a token of the runtime leaves it
//! before the registration that the token belongs to ends.** Else the runtime would follow a dangling
//! pointer. [`Entry`] alone adds, and its `Drop` takes out; what is watched is borrowed for as long
//! as the entry lives, so that its number cannot come to mean another file; and what cannot be
//! taken out keeps its registration for ever.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::runtime::{Handle, RuntimeFlavor};

use super::poller::{Interest, Ready};
use entry::{Entry, Watch, register, silent};

mod entry;
mod ledger;

/// So many things are told before the runtime has a turn for what else it has.
const IN_A_TURN: usize = 4;

/// A day is far beyond every deadline here and far below every overflow.
const DAY: Duration = Duration::from_secs(86_400);

/// A part of a current-thread runtime's epoll; it does what a [`Poller`](super::poller::Poller) does.
///
/// It stays on its thread, and what it watches outlives it.
pub(crate) struct RuntimePoller<'a> {
    epoll: Rc<OwnedFd>,
    entries: RefCell<Vec<Entry<'a>>>,
    /// Where the next look begins, so that none is overlooked for another.
    next: usize,
    told_in_this_turn: usize,
}

impl<'a> RuntimePoller<'a> {
    /// Finds the epoll of the runtime in which this is called.
    ///
    /// Fails where anything about it is not as expected.
    pub(crate) fn new() -> io::Result<Self> {
        let runtime = Handle::try_current().map_err(io::Error::other)?;
        if runtime.runtime_flavor() != RuntimeFlavor::CurrentThread {
            return Err(io::Error::other("the runtime has several threads"));
        }
        let alarm = register(silent()?)?;
        let (epoll, token) = ledger::find(alarm.get_ref())?;
        let epoll = Rc::new(epoll);
        let entry = Entry::of(alarm, token, &epoll);
        Ok(Self { epoll, entries: RefCell::new(vec![entry]), next: 0, told_in_this_turn: 0 })
    }

    /// Starts watching a descriptor.
    pub(crate) fn add(&self, fd: BorrowedFd<'a>, token: u64, interest: Interest) -> io::Result<()> {
        let watch = Watch { fd, token, interest };
        let mut entries = self.entries.borrow_mut();
        if let Some(idle) = entries.iter_mut().find(|entry| entry.is_idle_for(fd, token)) {
            return idle.begin(watch);
        }
        let mut entry = Entry::new(&self.epoll)?;
        entry.begin(watch)?;
        entries.push(entry);
        Ok(())
    }

    /// Stops watching a descriptor.
    pub(crate) fn remove(&self, fd: BorrowedFd<'a>) -> io::Result<()> {
        let mut entries = self.entries.borrow_mut();
        let place = entries.iter().position(|entry| entry.watches(fd));
        let place = place.ok_or(rustix::io::Errno::NOENT)?;
        let ended = entries[place].end();
        if ended.is_err() || entries[place].has_hung_up {
            entries.swap_remove(place);
        }
        ended
    }

    /// Waits for one thing to be ready, while the runtime does what else it has.
    ///
    /// Patience is as coarse as the runtime's timers (1 ms).
    pub(crate) async fn wait_one(
        &mut self,
        patience: Option<Duration>,
    ) -> io::Result<Option<Ready>> {
        self.renew()?;
        let ready = poll_fn(|context| self.poll(context));
        match patience {
            None => ready.await.map(Some),
            Some(patience) => match tokio::time::timeout(patience.min(DAY), ready).await {
                Ok(ready) => ready.map(Some),
                Err(_) => Ok(None),
            },
        }
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Ready>> {
        if self.told_in_this_turn == IN_A_TURN {
            self.told_in_this_turn = 0;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let entries = self.entries.get_mut();
        for offset in 0..entries.len() {
            let place = (self.next + offset) % entries.len();
            if let Poll::Ready(ready) = entries[place].poll(context)? {
                self.next = place + 1;
                self.told_in_this_turn += 1;
                return Poll::Ready(Ok(ready));
            }
        }
        self.told_in_this_turn = 0;
        Poll::Pending
    }

    /// Makes entries anew that have seen a hang-up: the runtime takes it for final and tells it for ever,
    /// but a listener may have been shut down and come back.
    fn renew(&mut self) -> io::Result<()> {
        for entry in self.entries.get_mut() {
            if let Some(watch) = entry.watched().filter(|_| entry.has_hung_up) {
                *entry = Entry::new(&self.epoll)?;
                entry.begin(watch)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
