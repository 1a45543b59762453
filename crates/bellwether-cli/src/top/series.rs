//! A number over time, the newest last.

use std::collections::VecDeque;

/// As many as the widest screen shows.
const KEPT: usize = 512;

#[derive(Clone, Debug, Default)]
pub(super) struct Series(VecDeque<u64>);

impl Series {
    pub(super) fn push(&mut self, value: u64) {
        if self.0.len() == KEPT {
            self.0.pop_front();
        }
        self.0.push_back(value);
    }

    /// The last so many, the newest last; where there are fewer, they come after nothing.
    pub(super) fn last(&self, width: usize) -> Vec<u64> {
        let missing = width.saturating_sub(self.0.len());
        let skipped = self.0.len().saturating_sub(width);
        std::iter::repeat_n(0, missing).chain(self.0.iter().skip(skipped).copied()).collect()
    }

    pub(super) fn now(&self) -> u64 {
        self.0.back().copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_come_last_and_the_oldest_go() {
        let mut series = Series::default();
        assert_eq!((series.last(2), series.now()), (vec![0, 0], 0));
        (1..=KEPT as u64 + 1).for_each(|value| series.push(value));
        assert_eq!((series.last(2), series.now()), (vec![512, 513], 513));
        assert_eq!(series.last(KEPT + 1)[..2], [0, 2]);
    }
}
