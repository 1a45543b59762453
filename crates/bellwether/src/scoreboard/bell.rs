//! The bell: counters that all handlers of a pool write, only ever a hint, and a rope to pull.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::atomic::Ordering;

use rustix::event::{EventfdFlags, eventfd};

use crate::sys::memory::{self, Page};

const OPEN: usize = 0;
const WORDS: usize = 8;

/// What is behind the bell, to be handed down by fork.
pub(crate) struct BellFiles {
    page: OwnedFd,
    rope: OwnedFd,
}

impl BellFiles {
    pub(crate) fn new() -> io::Result<Self> {
        let page = memory::file("bellwether-bell", WORDS)?;
        memory::seal_the_seals(&page)?;
        let rope = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self { page, rope })
    }

    /// Takes over what a predecessor in this process had.
    pub(crate) const fn resume(page: OwnedFd, rope: OwnedFd) -> Self {
        Self { page, rope }
    }

    pub(crate) fn descriptors(&self) -> [RawFd; 2] {
        [self.page.as_raw_fd(), self.rope.as_raw_fd()]
    }
}

/// How many connections the pool holds open, as far as its handlers say; and a rope to pull.
///
/// A handler that dies takes its share with it only when the spawner sets the count right; a
/// handler that lies makes others wait a moment longer before they accept, and no more.
pub(crate) struct Bell {
    page: Page,
    rope: OwnedFd,
}

impl Bell {
    /// Maps the page writable; children of this process map it for themselves.
    pub(crate) fn of(files: &BellFiles) -> io::Result<Self> {
        let page = Page::map(&files.page, WORDS)?.hidden_from_children()?;
        Ok(Self { page, rope: files.rope.try_clone()? })
    }

    /// Wakes one of those who wait, to look into the buffers.
    ///
    /// A handler that stays out while requests wait must say so: the kernel wakes somebody for
    /// a request only when it comes, and whoever it woke may have gone back to sleep.
    pub(crate) fn ring(&self) {
        let _ = rustix::io::write(&self.rope, &1u64.to_ne_bytes());
    }

    /// Makes the rope still again.
    pub(crate) fn heard(&self) {
        let _ = rustix::io::read(&self.rope, &mut [0; 8]);
    }

    /// What to wait at for somebody to ring.
    pub(crate) const fn rope(&self) -> &OwnedFd {
        &self.rope
    }

    /// Returns the number of open connections of the pool.
    #[cfg_attr(not(feature = "tokio"), allow(dead_code))] // only the gate asks
    pub(crate) fn open(&self) -> u64 {
        // A count that was decremented once too often reads as nothing, not as 2^64 - 1.
        i64::try_from(self.page[OPEN].load(Ordering::Relaxed)).map_or(0, i64::unsigned_abs)
    }

    /// Counts a connection that was accepted.
    #[cfg_attr(not(feature = "tokio"), allow(dead_code))]
    pub(crate) fn opened(&self) {
        self.page[OPEN].fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a connection that has ended.
    #[cfg_attr(not(feature = "tokio"), allow(dead_code))]
    pub(crate) fn closed(&self) {
        self.page[OPEN].fetch_sub(1, Ordering::Relaxed);
    }

    /// Sets the count right (the spawner, from the telemetry of the living).
    pub(crate) fn correct(&self, open: u64) {
        self.page[OPEN].store(open, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_below_zero_reads_as_nothing() {
        let bell = Bell::of(&BellFiles::new().unwrap()).unwrap();
        bell.closed();
        assert_eq!(bell.open(), 0);
        bell.correct(7);
        bell.opened();
        assert_eq!(bell.open(), 8);
    }
}
