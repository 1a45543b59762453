//! The bell: counters that all handlers of a pool write, only ever a hint; a rope by which handlers
//! wake one another, and the doorbell by which they wake the spawner.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::atomic::Ordering;
use std::time::Duration;

use rustix::event::{EventfdFlags, eventfd};

use crate::sys::clock;
use crate::sys::memory::{self, Page};

const OPEN: usize = 0;
/// Threads that wait, in two's complement: a count that is off may lie below zero for a moment.
const FREE: usize = 1;
/// 1 while the spawner wants to hear of the last free thread.
const ARMED: usize = 2;
/// When the doorbell was rung last (ns since boot).
const RUNG_AT: usize = 3;
const WORDS: usize = 8;

/// What is behind the bell, to be handed down by fork.
pub(crate) struct BellFiles {
    page: OwnedFd,
    rope: OwnedFd,
    doorbell: OwnedFd,
}

impl BellFiles {
    pub(crate) fn new() -> io::Result<Self> {
        let page = memory::file("bellwether-bell", WORDS)?;
        memory::seal_the_seals(&page)?;
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
        Ok(Self { page, rope: eventfd(0, flags)?, doorbell: eventfd(0, flags)? })
    }

    /// Takes over what a predecessor in this process had.
    pub(crate) fn resume([page, rope, doorbell]: [OwnedFd; 3]) -> Self {
        Self { page, rope, doorbell }
    }

    pub(crate) fn descriptors(&self) -> [RawFd; 3] {
        [&self.page, &self.rope, &self.doorbell].map(AsRawFd::as_raw_fd)
    }
}

/// How many connections the pool holds open and how many of its threads wait, as far as its
/// handlers say; a rope to pull and a doorbell to ring.
///
/// A handler that dies takes its share with it only when the spawner sets the counts right; a
/// handler that lies makes others wait a moment longer before they accept, or the spawner look
/// around a moment sooner or later, and no more.
pub(crate) struct Bell {
    page: Page,
    rope: OwnedFd,
    doorbell: OwnedFd,
}

impl Bell {
    /// Maps the page writable; children of this process map it for themselves.
    pub(crate) fn of(files: &BellFiles) -> io::Result<Self> {
        let page = Page::map(&files.page, WORDS)?.hidden_from_children()?;
        Ok(Self { page, rope: files.rope.try_clone()?, doorbell: files.doorbell.try_clone()? })
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
    pub(crate) fn open(&self) -> u64 {
        // A count that was decremented once too often reads as nothing, not as 2^64 - 1.
        i64::try_from(self.page[OPEN].load(Ordering::Relaxed)).map_or(0, i64::unsigned_abs)
    }

    /// Counts a connection that was accepted.
    pub(crate) fn opened(&self) {
        self.page[OPEN].fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a connection that has ended.
    pub(crate) fn closed(&self) {
        self.page[OPEN].fetch_sub(1, Ordering::Relaxed);
    }

    /// Sets the count right (the spawner, from the telemetry of the living).
    pub(crate) fn correct(&self, open: u64) {
        self.page[OPEN].store(open, Ordering::Relaxed);
    }

    /// A thread waits for requests from now on.
    pub(crate) fn freed(&self) {
        self.page[FREE].fetch_add(1, Ordering::SeqCst);
    }

    /// A thread does not wait any more; the last one rings the doorbell, if it is armed.
    pub(crate) fn taken(&self) {
        let before = self.page[FREE].fetch_sub(1, Ordering::SeqCst).cast_signed();
        if before <= 1
            && self.page[ARMED].load(Ordering::SeqCst) == 1
            && self.page[ARMED].swap(0, Ordering::AcqRel) == 1
        {
            self.page[RUNG_AT].store(clock::now_ns(), Ordering::Relaxed);
            let _ = rustix::io::write(&self.doorbell, &1u64.to_ne_bytes());
        }
    }

    /// Lets the next thread that is the last to be taken ring the doorbell, once (the spawner).
    ///
    /// Returns whether any is free: if none is, the last one may have been taken a moment before,
    /// and nobody rings. Whoever takes the last one after this look sees that the doorbell is
    /// armed: both write first and read then, in one order for all (SeqCst).
    pub(crate) fn arm(&self) -> bool {
        self.page[ARMED].store(1, Ordering::SeqCst);
        self.page[FREE].load(Ordering::SeqCst).cast_signed() > 0
    }

    /// Lets nobody ring the doorbell.
    pub(crate) fn disarm(&self) {
        self.page[ARMED].store(0, Ordering::Release);
    }

    /// Makes the doorbell still again, and returns when it was rung, as its ringer says.
    pub(crate) fn answer_doorbell(&self) -> Duration {
        let _ = rustix::io::read(&self.doorbell, &mut [0; 8]);
        Duration::from_nanos(self.page[RUNG_AT].load(Ordering::Relaxed)).min(clock::now())
    }

    /// What the spawner waits at for somebody to ring.
    pub(crate) const fn doorbell(&self) -> &OwnedFd {
        &self.doorbell
    }

    /// Returns by how much the count of free threads exceeds what it should be.
    pub(crate) fn excess(&self, free: usize) -> i64 {
        let counted = self.page[FREE].load(Ordering::Acquire).cast_signed();
        counted.saturating_sub_unsigned(free as u64)
    }

    /// Takes so much off the count of free threads (the spawner, from the telemetry of the living).
    pub(crate) fn correct_free(&self, excess: i64) {
        self.page[FREE].fetch_sub(excess.cast_unsigned(), Ordering::AcqRel);
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

    #[test]
    fn the_last_free_thread_rings_once_if_the_doorbell_is_armed() {
        let bell = Bell::of(&BellFiles::new().unwrap()).unwrap();
        let rang = || rustix::io::read(bell.doorbell(), &mut [0; 8]).is_ok();
        bell.freed();
        bell.taken();
        assert!(!rang(), "nobody wants to hear of it");
        assert!(!bell.arm(), "nobody is free who could ring");
        bell.freed();
        bell.freed();
        bell.taken();
        assert!(!rang(), "another is free");
        bell.taken();
        assert!(rang());
        bell.freed();
        bell.taken();
        assert!(!rang(), "it was told already");
        bell.freed();
        assert!(bell.arm());
        bell.taken();
        assert!(rang());
        bell.arm();
        bell.disarm();
        bell.freed();
        bell.taken();
        assert!(!rang(), "nobody wants to hear of it any more");
    }

    #[test]
    fn the_count_of_free_threads_is_set_right_from_both_sides() {
        let bell = Bell::of(&BellFiles::new().unwrap()).unwrap();
        bell.taken();
        assert_eq!(bell.excess(2), -3, "two wait, and the count is below zero");
        bell.correct_free(bell.excess(2));
        assert_eq!(bell.excess(2), 0);
        bell.freed();
        assert_eq!(bell.excess(1), 2);
        bell.correct_free(2);
        assert_eq!(bell.excess(1), 0);
    }
}
