//! How long a request may take, as its handler knows it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::requests::{Key, Requests};
use serde::{Deserialize, Serialize};

use crate::sys::clock;

/// How long one request may take, its time in the buffer included.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Deadlines {
    /// When the handler is told.
    pub(crate) soft: Option<Duration>,
    /// When the spawner ends the handler.
    pub(crate) hard: Option<Duration>,
}

impl Deadlines {
    /// Tells whether a request has any.
    pub(crate) const fn is_set(&self) -> bool {
        self.soft.is_some() || self.hard.is_some()
    }
}

/// A moment (ns since boot) that does not come.
const NEVER: u64 = u64::MAX;

/// How long the handler of a request has for it; clones are the same deadline.
///
/// At the *soft* deadline the handler is told: a [`Connection`](super::Connection) that would have
/// to wait answers [`TimedOut`](std::io::ErrorKind::TimedOut), the future of an asynchronous
/// handler is dropped, HTTP answers 503. Until then it may be extended. At the *hard* one, which
/// nobody can move, the spawner ends the whole process. Both count from the arrival of the
/// request, its time in the buffer included; where the kernel does not tell that time (Unix
/// sockets), from when it was accepted.
///
/// ```no_run
/// # use std::io::{self, Read, Write};
/// # use std::time::Duration;
/// # fn serve(mut connection: bellwether::Connection) -> io::Result<()> {
/// let deadline = connection.deadline(); // `None` when the server sets no deadlines
/// let mut order = String::new();
/// match connection.read_to_string(&mut order) {
///     Err(error) if error.kind() == io::ErrorKind::TimedOut => {
///         return connection.write_all(b"too slow\n"); // what needs no waiting still works
///     }
///     read => read.map(drop)?,
/// }
/// if let Some(deadline) = deadline {
///     deadline.label(&format!("order {}", order.trim()));
///     deadline.extend(Duration::from_secs(10)); // this one is worth it
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Deadline(Arc<Term>);

struct Term {
    /// Moves when the handler extends it; [`NEVER`] when it is never told.
    soft: AtomicU64,
    hard: u64,
    key: Key,
    requests: Arc<Requests>,
}

impl Deadline {
    /// The deadline of a request that arrived at the moment in its key.
    pub(super) fn new(deadlines: Deadlines, key: Key, requests: Arc<Requests>) -> Self {
        let after = |limit: Option<Duration>| match limit {
            Some(limit) => key.since.saturating_add(ns(limit)),
            None => NEVER,
        };
        let soft = AtomicU64::new(after(deadlines.soft));
        Self(Arc::new(Term { soft, hard: after(deadlines.hard), key, requests }))
    }

    /// Returns how long it is until the soft deadline, or until the hard one where only that is
    /// set; zero when it has passed.
    #[must_use]
    pub fn left(&self) -> Duration {
        until(self.soft().min(self.0.hard))
    }

    /// Tells whether the deadline has passed.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.left().is_zero()
    }

    /// Moves the soft deadline later, from now when it has passed, but never beyond the hard one;
    /// returns how long it then is until it.
    ///
    /// Where only a hard deadline is set, there is nothing to move.
    pub fn extend(&self, by: Duration) -> Duration {
        let moved = |soft| {
            let later = clock::now_ns().max(soft).saturating_add(ns(by));
            (soft != NEVER).then(|| later.min(self.0.hard).min(NEVER - 1))
        };
        let _ = self.0.soft.fetch_update(Ordering::AcqRel, Ordering::Acquire, moved);
        self.left()
    }

    /// Says what the request is, for whoever asks what the handler was doing; at most 63 bytes of
    /// it are kept.
    ///
    /// It is shown when it is the thread's oldest request. The end of the request clears it.
    pub fn label(&self, label: &str) {
        self.0.requests.label(self.0.key, label);
    }

    /// The request has ended: from now on it has no label.
    pub(super) fn finish(&self) {
        self.0.requests.end(self.0.key);
    }

    fn soft(&self) -> u64 {
        self.0.soft.load(Ordering::Acquire)
    }

    /// Returns how long it is until the handler is told; `None` when it never is.
    pub(super) fn told_in(&self) -> Option<Duration> {
        let soft = self.soft();
        (soft != NEVER).then(|| until(soft))
    }

    /// Runs a future until the handler is told; `None` when it was not ready by then.
    ///
    /// The future is dropped before this one is ready.
    #[cfg(feature = "tokio")]
    pub(crate) async fn bound<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        let (mut future, mut told) = (std::pin::pin!(future), std::pin::pin!(self.told()));
        std::future::poll_fn(|cx| match future.as_mut().poll(cx) {
            std::task::Poll::Ready(output) => std::task::Poll::Ready(Some(output)),
            std::task::Poll::Pending => told.as_mut().poll(cx).map(|()| None),
        })
        .await
    }

    /// Waits for the soft deadline, however often it moves.
    #[cfg(feature = "tokio")]
    async fn told(&self) {
        while let Some(left) = self.told_in() {
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left).await;
        }
        std::future::pending().await
    }
}

impl fmt::Debug for Deadline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deadline").field("left", &self.left()).finish_non_exhaustive()
    }
}

fn ns(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(NEVER - 1)
}

fn until(moment: u64) -> Duration {
    Duration::from_nanos(moment.saturating_sub(clock::now_ns()))
}

#[cfg(test)]
mod tests {
    use super::super::requests::tests::page;
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const HOUR: Duration = Duration::from_secs(3600);

    /// The deadline of a request that waited this long in the buffer.
    fn deadline(soft: Option<Duration>, hard: Option<Duration>, waited: Duration) -> Deadline {
        let (telemetry, _) = page();
        let requests = Requests::of(telemetry.mark(0), Deadlines { soft, hard });
        requests.begin(Some(waited)).deadline()
    }

    #[test]
    fn the_time_in_the_buffer_counts() {
        let left = deadline(Some(HOUR + SECOND), None, SECOND).left();
        assert!(left <= HOUR && left > HOUR / 2, "{left:?}");
        assert!(deadline(Some(SECOND), None, SECOND).is_over());
    }

    #[test]
    fn a_deadline_that_has_passed_is_extended_from_now() {
        let deadline = deadline(Some(SECOND), None, SECOND);
        assert!(deadline.is_over() && deadline.told_in() == Some(Duration::ZERO));
        let left = deadline.extend(HOUR);
        assert!(left <= HOUR && left > HOUR / 2, "{left:?}");
        assert!(deadline.extend(HOUR) > HOUR, "and then from where it is");
    }

    #[test]
    fn nothing_is_extended_beyond_the_hard_deadline() {
        let deadline = deadline(Some(SECOND), Some(HOUR), Duration::ZERO);
        let left = deadline.extend(Duration::MAX);
        assert!(left <= HOUR && left > HOUR / 2, "{left:?}");
    }

    #[test]
    fn without_a_soft_deadline_nobody_is_told_and_nothing_moves() {
        let deadline = deadline(None, Some(HOUR), Duration::ZERO);
        assert_eq!(deadline.told_in(), None);
        assert!(deadline.extend(HOUR) <= HOUR);
        assert_eq!(deadline.told_in(), None);
    }

    #[test]
    fn limits_beyond_all_time_are_no_limits() {
        let endless = deadline(Some(Duration::MAX), Some(Duration::MAX), Duration::ZERO);
        assert!(!endless.is_over() && endless.extend(Duration::MAX) > HOUR);
    }

    #[test]
    fn clones_are_the_same_deadline() {
        let deadline = deadline(Some(SECOND), None, SECOND);
        let clone = deadline.clone();
        deadline.extend(HOUR);
        assert!(!clone.is_over());
    }
}
