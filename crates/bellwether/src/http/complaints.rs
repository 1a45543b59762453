//! Words to the operator about peers who do it wrong: a line a second at most, however many come.

use std::fmt::Display;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

const EVERY: Duration = Duration::from_secs(1);

/// What was said in this process, and how often nothing was.
pub(super) struct Complaints(Mutex<Said>);

struct Said {
    last: Option<Instant>,
    unsaid: u64,
}

impl Complaints {
    pub(super) const fn new() -> Self {
        Self(Mutex::new(Said { last: None, unsaid: 0 }))
    }

    /// Says it, unless something was said within the last second.
    pub(super) fn say(&self, what: impl Display) {
        let due = self.0.lock().unwrap_or_else(PoisonError::into_inner).due(Instant::now());
        match due {
            Some(0) => tracing::warn!("{what}"),
            Some(unsaid) => tracing::warn!("{what} ({unsaid} more since the last such line)"),
            None => {}
        }
    }
}

impl Said {
    /// Returns how many were not said before this one that is; `None` when it is not, either.
    fn due(&mut self, now: Instant) -> Option<u64> {
        if self.last.is_some_and(|last| now.saturating_duration_since(last) < EVERY) {
            self.unsaid += 1;
            return None;
        }
        self.last = Some(now);
        Some(std::mem::take(&mut self.unsaid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_a_second_is_said_and_the_others_are_counted() {
        let mut said = Said { last: None, unsaid: 0 };
        let start = Instant::now();
        let mut due = |ms| said.due(start + Duration::from_millis(ms));
        assert_eq!(
            [due(0), due(1), due(999), due(1000), due(1500)],
            [Some(0), None, None, Some(2), None]
        );
        assert_eq!(due(9000), Some(1));
    }
}
