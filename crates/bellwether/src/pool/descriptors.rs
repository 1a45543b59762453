//! How many descriptors the spawner may have open, and how many it needs.

use std::sync::OnceLock;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::error::{Error, Result};

/// A handler costs its channel and its telemetry page.
const PER_HANDLER: usize = 2;
/// A change may need as many handlers again, beside those that leave.
const GENERATIONS: u64 = 2;
/// Standard descriptors, epoll, signals, pages, control socket and its clients, and some air.
const OTHERS: u64 = 64;
/// A hard limit up to this is used to the full.
const MODEST: u64 = 65_536;

/// The limits that the operator set.
static BEFORE: OnceLock<Rlimit> = OnceLock::new();
/// How many descriptors the pools of this process need at the least, all together.
static NEEDED: AtomicU64 = AtomicU64::new(0);

/// Raises the soft limit for so many handlers and listeners more; returns the limits that the
/// operator set.
///
/// Handlers get those back, for whom they are meant.
pub(crate) fn raise(handlers: usize, listeners: usize) -> Result<Rlimit> {
    let before = *BEFORE.get_or_init(|| getrlimit(Resource::Nofile));
    let more = (handlers * PER_HANDLER + listeners) as u64;
    let least = NEEDED.fetch_add(more, Relaxed) + more + OTHERS;
    raise_again();
    if getrlimit(Resource::Nofile).current.is_none_or(|soft| soft >= least) {
        return Ok(before);
    }
    NEEDED.fetch_sub(more, Relaxed);
    let hard = before.maximum.unwrap_or(u64::MAX);
    let problem = format!(
        "{handlers} handlers need {PER_HANDLER} descriptors each, with all others {least}, but \
         the limit is {hard}; raise it (ulimit -n, LimitNOFILE=) or choose fewer"
    );
    Err(Error::configure("handlers", problem))
}

/// So many handlers less will be made from now on; the limit stays as it is.
pub(crate) fn forget(handlers: usize) {
    NEEDED.fetch_sub((handlers * PER_HANDLER) as u64, Relaxed);
}

/// Raises the soft limit for all that was asked for, also after it was given back.
pub(crate) fn raise_again() {
    if let Some(before) = BEFORE.get() {
        set_soft(soft_for(*before, NEEDED.load(Relaxed)));
    }
}

/// Gives a child the limits from before.
pub(crate) fn restore(before: &Rlimit) {
    // It only ever lowers the soft limit, which is always allowed.
    let _ = setrlimit(Resource::Nofile, *before);
}

/// Sets the soft limit, but never lower than it is.
fn set_soft(soft: Option<u64>) {
    let present = getrlimit(Resource::Nofile);
    if present.current.is_some_and(|current| soft.is_none_or(|soft| soft > current)) {
        // What could not be raised is seen by who looks.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: soft, ..present });
    }
}

/// Returns the soft limit for pools that need so many at the least, as far as it is allowed.
///
/// What the operator allowed is left to whatever else the application has open.
fn soft_for(before: Rlimit, needed: u64) -> Option<u64> {
    let wanted = before.current?.saturating_add(needed * GENERATIONS + OTHERS);
    match before.maximum {
        Some(hard) if hard <= MODEST => Some(hard),
        Some(hard) => Some(wanted.min(hard)),
        None => Some(wanted),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_modest_hard_limit_is_used_to_the_full_and_a_large_one_as_far_as_needed() {
        let check = |current, maximum, needed, expected| {
            let soft = soft_for(Rlimit { current, maximum }, needed);
            assert_eq!(soft, expected, "{current:?} of {maximum:?} for {needed}");
        };
        check(Some(256), Some(4096), 8, Some(4096));
        check(Some(1024), Some(MODEST), 100_000, Some(MODEST));
        check(Some(1024), Some(1 << 20), 8000, Some(1024 + 16_000 + OTHERS));
        check(Some(1024), Some(100_000), 100_000, Some(100_000));
        check(Some(1024), None, 8000, Some(1024 + 16_000 + OTHERS));
        check(None, None, 8000, None);
    }
}
