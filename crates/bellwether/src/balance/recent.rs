//! The most of what was seen lately.

use std::collections::VecDeque;
use std::time::Duration;

/// The greatest of the values that held at some moment of the last so long.
///
/// A queue of falling values, so that a value is looked at twice at most, however many there are.
/// The smallest of all is the greatest of `Reverse`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Recent<T> {
    /// Values, and until when each was held; the last one is held still.
    falling: VecDeque<(T, Duration)>,
}

impl<T: Ord + Copy> Recent<T> {
    pub(super) const fn new() -> Self {
        Self { falling: VecDeque::new() }
    }

    /// Says that the value is another from now on, and returns the greatest of the last `span`.
    pub(super) fn push(&mut self, now: Duration, span: Duration, value: T) -> T {
        if let Some((_, until)) = self.falling.back_mut() {
            *until = now;
        }
        while self.falling.back().is_some_and(|(held, _)| *held <= value) {
            self.falling.pop_back();
        }
        self.falling.push_back((value, now));
        while self.next_fall(span).is_some_and(|moment| moment <= now) {
            self.falling.pop_front();
        }
        self.falling.front().map_or(value, |(greatest, _)| *greatest)
    }

    /// Returns whether nothing was said yet.
    pub(super) fn is_empty(&self) -> bool {
        self.falling.is_empty()
    }

    /// Returns when the greatest value falls if nothing else is said; `None`: it is still held.
    pub(super) fn next_fall(&self, span: Duration) -> Option<Duration> {
        let (_, until) = self.falling.front().filter(|_| self.falling.len() > 1)?;
        Some(until.saturating_add(span))
    }
}

#[cfg(test)]
mod tests {
    use std::cmp::Reverse;

    use super::*;

    #[test]
    fn a_value_counts_for_the_span_after_it_was_held() {
        let mut recent = Recent::new();
        let mut check = |second: u64, value: usize, greatest: usize, falls: Option<u64>| {
            let (now, span) = (Duration::from_secs(second), Duration::from_secs(10));
            assert_eq!(recent.push(now, span, value), greatest, "at {second} s");
            assert_eq!(recent.next_fall(span), falls.map(Duration::from_secs), "at {second} s");
        };
        check(0, 3, 3, None);
        check(4, 9, 9, None);
        check(6, 2, 9, Some(16)); // 9 was held until now
        check(8, 5, 9, Some(16));
        check(15, 4, 9, Some(16));
        check(16, 4, 5, Some(25));
        check(30, 0, 4, Some(40)); // it was 4 until now: nothing else was said
        check(40, 0, 0, None);
    }

    #[test]
    fn of_reversed_values_it_is_the_smallest() {
        let mut recent = Recent::new();
        let span = Duration::from_secs(10);
        for (second, value, smallest) in [(0, 5, 5), (3, 1, 1), (4, 7, 1), (13, 7, 1), (14, 8, 7)] {
            let found = recent.push(Duration::from_secs(second), span, Reverse(value));
            assert_eq!(found, Reverse(smallest), "at {second} s");
        }
    }
}
