//! The monotonic clock, as a duration since boot.

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
