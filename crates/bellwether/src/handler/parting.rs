//! Connections that are sent on: their handler holds far more than its share.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::room::Room;
use crate::sys::clock;

/// From one connection that is sent on to the next.
const PAUSE: Duration = Duration::from_millis(5);

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
        let parting = room.parting.load(Ordering::Relaxed);
        if !room.post.is_far_over_its_share(room.open().saturating_sub(parting)) {
            return None;
        }
        let (now, last) = (clock::now(), room.parted_at.load(Ordering::Relaxed));
        if now < Duration::from_millis(last).saturating_add(PAUSE) {
            return None;
        }
        let now = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        room.parted_at.store(now, Ordering::Relaxed);
        room.parting.fetch_add(1, Ordering::Relaxed);
        Some(Self(Arc::clone(room)))
    }
}

impl Drop for Parting {
    fn drop(&mut self) {
        self.0.parting.fetch_sub(1, Ordering::Relaxed);
    }
}
