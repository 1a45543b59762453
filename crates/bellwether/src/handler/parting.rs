//! Connections that are sent on, because handlers were added: theirs holds far more than its share.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use super::room::Room;
use crate::sys::clock;

/// From one connection that is sent on to the next.
const PAUSE: Duration = Duration::from_millis(5);

/// How long after handlers were added connections are sent on to them.
const SPREADING: Duration = Duration::from_secs(60);

/// The connections of a room that are sent on.
#[derive(Debug, Default)]
pub(super) struct Partings {
    now: AtomicUsize,
    /// When the last was told so, in milliseconds since boot.
    last_at: AtomicU64,
    /// How many handlers there were at the last look; 0 before the first.
    handlers: AtomicU64,
    /// When there were more than at the look before, in milliseconds since boot.
    grown_at: AtomicU64,
}

impl Partings {
    /// Tells whether the pool has grown lately, by a look at how many there are.
    fn may_be(&self, handlers: u64, now: Duration) -> bool {
        let before = self.handlers.swap(handlers, Ordering::Relaxed);
        if before != 0 && handlers > before {
            self.grown_at.store(ms(now), Ordering::Relaxed);
        }
        let grown = self.grown_at.load(Ordering::Relaxed);
        let last = self.last_at.load(Ordering::Relaxed);
        let since = |at: u64| now.saturating_sub(Duration::from_millis(at));
        grown != 0 && since(grown) < SPREADING && since(last) >= PAUSE
    }
}

fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// A connection whose client is told to take another, as long as it lasts.
///
/// A handler that was there before others holds more than they do, and newcomers alone would change that
/// slowly, where clients keep their connections. So those that ask it for something get their answer, and
/// with it the word that it is the last here; who rests is left alone.
#[derive(Debug)]
pub(crate) struct Parting(Arc<Room>);

impl Parting {
    /// Those that part already count no more: never do more part than are too many. They part one after
    /// the other, for where the others do not take them they come back.
    pub(super) fn of(room: &Arc<Room>) -> Option<Self> {
        let (partings, now) = (&room.partings, clock::now());
        if !partings.may_be(room.post.control.handlers(), now) {
            return None;
        }
        let staying = room.open().saturating_sub(partings.now.load(Ordering::Relaxed));
        if !room.post.is_far_over_its_share(staying) {
            return None;
        }
        partings.last_at.store(ms(now), Ordering::Relaxed);
        partings.now.fetch_add(1, Ordering::Relaxed);
        Some(Self(Arc::clone(room)))
    }
}

impl Drop for Parting {
    fn drop(&mut self) {
        self.0.partings.now.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_sent_on_for_a_minute_after_the_pool_has_grown() {
        let (partings, s) = (Partings::default(), |seconds| Duration::from_secs(seconds));
        assert!(!partings.may_be(2, s(100)), "nobody knows how many there were before");
        assert!(!partings.may_be(2, s(101)));
        assert!(!partings.may_be(1, s(102)), "it has shrunk");
        assert!(partings.may_be(4, s(103)));
        assert!(partings.may_be(4, s(162)) && !partings.may_be(4, s(163)), "a minute");
        assert!(partings.may_be(5, s(200)));
        partings.last_at.store(ms(s(200)), Ordering::Relaxed);
        assert!(!partings.may_be(5, s(200) + PAUSE / 2), "one after the other");
        assert!(partings.may_be(5, s(200) + PAUSE));
    }
}
