//! The bell page: counters that all handlers of a pool write; only ever a hint.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::Ordering;

use crate::sys::memory::{self, Page};

const OPEN: usize = 0;
const WORDS: usize = 8;

/// Creates the file behind the page; whoever maps it may write.
pub(crate) fn file() -> io::Result<OwnedFd> {
    let fd = memory::file("bellwether-bell", WORDS)?;
    memory::seal_the_seals(&fd)?;
    Ok(fd)
}

/// How many connections the pool holds open, as far as its handlers say.
///
/// A handler that dies takes its share with it only when the spawner sets the count right; a
/// handler that lies makes others wait a moment longer before they accept, and no more.
pub(crate) struct Bell(Page);

impl Bell {
    /// Maps the page writable; children of this process map it for themselves.
    pub(crate) fn map(fd: &OwnedFd) -> io::Result<Self> {
        Page::map(fd, WORDS)?.hidden_from_children().map(Self)
    }

    /// Returns the number of open connections of the pool.
    #[cfg_attr(not(feature = "tokio"), allow(dead_code))] // only the gate asks
    pub(crate) fn open(&self) -> u64 {
        // A count that was decremented once too often reads as nothing, not as 2^64 - 1.
        i64::try_from(self.0[OPEN].load(Ordering::Relaxed)).map_or(0, i64::unsigned_abs)
    }

    /// Counts a connection that was accepted.
    #[cfg_attr(not(feature = "tokio"), allow(dead_code))]
    pub(crate) fn opened(&self) {
        self.0[OPEN].fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a connection that has ended.
    #[cfg_attr(not(feature = "tokio"), allow(dead_code))]
    pub(crate) fn closed(&self) {
        self.0[OPEN].fetch_sub(1, Ordering::Relaxed);
    }

    /// Sets the count right (the spawner, from the telemetry of the living).
    pub(crate) fn correct(&self, open: u64) {
        self.0[OPEN].store(open, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_below_zero_reads_as_nothing() {
        let bell = Bell::map(&file().unwrap()).unwrap();
        bell.closed();
        assert_eq!(bell.open(), 0);
        bell.correct(7);
        bell.opened();
        assert_eq!(bell.open(), 8);
    }
}
