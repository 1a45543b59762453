//! The monotonic clock, as a duration since boot; the clock of the wall for what people read.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Returns the time since boot, not counting sleep: the same value in every process.
pub(crate) fn now() -> Duration {
    let t = clock_gettime(ClockId::Monotonic);
    // CLOCK_MONOTONIC is never negative and tv_nsec is below 10^9 (clock_gettime(2)).
    Duration::new(t.tv_sec.unsigned_abs(), u32::try_from(t.tv_nsec).unwrap_or(0))
}

/// Returns the time since boot in nanoseconds; wraps after 584 years.
pub(crate) fn now_ns() -> u64 {
    let now = now();
    now.as_secs().wrapping_mul(1_000_000_000).wrapping_add(u64::from(now.subsec_nanos()))
}

/// Returns the milliseconds since 1970-01-01 UTC; for people, never for a decision: it may jump.
pub(crate) fn wall_ms() -> u64 {
    let t = clock_gettime(ClockId::Realtime);
    let ms = t.tv_sec.saturating_mul(1000) + t.tv_nsec / 1_000_000;
    u64::try_from(ms).unwrap_or(0)
}
