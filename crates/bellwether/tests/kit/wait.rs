//! Waiting for an event, with a deadline. The only file of the tests that sleeps.

use std::ops::ControlFlow;
use std::thread;
use std::time::{Duration, Instant};

/// The deadline for what should happen at once, however slow the machine.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Between two looks: short beside anything waited for, long beside the cost of a look.
const PAUSE: Duration = Duration::from_millis(2);

/// Looks again and again until there is something to see; `None` when the deadline passed.
pub fn within<T>(deadline: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + deadline;
    loop {
        // The time is read before the look: the last look is never older than the deadline.
        let late = Instant::now() >= end;
        match look() {
            None if !late => thread::sleep(PAUSE),
            seen => return seen,
        }
    }
}

/// Like [`within`], but panics with the name of what it waited for.
#[track_caller]
pub fn eventually<T>(deadline: Duration, what: &str, look: impl FnMut() -> Option<T>) -> T {
    let Some(seen) = within(deadline, look) else {
        panic!("waited {deadline:?} in vain for {what}")
    };
    seen
}

/// Calls `beat` once a period until it breaks. Missed beats are not made up for.
pub fn pulse(period: Duration, mut beat: impl FnMut() -> ControlFlow<()>) {
    let mut next = Instant::now();
    while beat().is_continue() {
        next = Instant::now().max(next + period);
        thread::sleep(next - Instant::now());
    }
}
