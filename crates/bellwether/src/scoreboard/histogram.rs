//! How long things took, in classes each at most a quarter wider than the one before.

use serde::{Deserialize, Serialize};

/// How many classes there are; the last has no upper bound.
pub(crate) const CLASSES: usize = 128;

/// The narrowest class, in microseconds: what is shorter is not told apart.
const UNIT: u64 = 16;

/// Each power of two is divided into so many classes.
const PARTS: usize = 4;

/// How many took how long.
///
/// As in HdrHistogram each power of two is divided evenly, so that a percentile is off by at most a
/// quarter; and no two clocks are compared: it holds durations.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<u64>", into = "Vec<u64>")]
pub(crate) struct Histogram {
    pub(crate) counts: [u64; CLASSES],
    /// All durations together, in microseconds.
    pub(crate) total_us: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: [0; CLASSES], total_us: 0 }
    }
}

impl Histogram {
    /// Adds what another has counted; liars can make the sums wrong, but not overflow.
    pub(crate) fn add(&mut self, other: &Self) {
        self.total_us = self.total_us.saturating_add(other.total_us);
        for (sum, count) in self.counts.iter_mut().zip(other.counts) {
            *sum = sum.saturating_add(count);
        }
    }

    /// The classes in which there is something: the microseconds below which all of one lies, and how
    /// many are in it.
    pub(crate) fn classes(&self) -> impl Iterator<Item = (u64, u64)> {
        let all = self.counts.iter().enumerate();
        all.filter(|(_, count)| **count > 0).map(|(class, count)| (below(class), *count))
    }
}

/// The class of a duration of so many microseconds.
pub(crate) fn class(us: u64) -> usize {
    let units = us / UNIT;
    // Below the first whole power of two that can be divided, each unit is a class.
    let halvings = (u64::BITS - units.leading_zeros()).saturating_sub(PARTS.ilog2() + 1);
    (halvings as usize * PARTS + (units >> halvings) as usize).min(CLASSES - 1)
}

/// The microseconds below which all of a class lies.
fn below(class: usize) -> u64 {
    let next = class + 1;
    let halvings = (next / PARTS).saturating_sub(1);
    (((next - halvings * PARTS) as u64) << halvings) * UNIT
}

impl From<Histogram> for Vec<u64> {
    fn from(histogram: Histogram) -> Self {
        let mut words = histogram.counts.to_vec();
        words.push(histogram.total_us);
        words
    }
}

impl From<Vec<u64>> for Histogram {
    fn from(mut words: Vec<u64>) -> Self {
        let total_us = words.pop().unwrap_or(0);
        let mut histogram = Self { total_us, ..Self::default() };
        for (place, count) in histogram.counts.iter_mut().zip(words) {
            *place = count;
        }
        histogram
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn every_duration_lies_in_its_class() {
        for us in (0..4096).chain((0..64).map(|power| 1 << power)).chain([u64::MAX]) {
            let class = class(us);
            assert!(us < below(class) || class == CLASSES - 1, "{us} in {class}");
            assert!(class == 0 || us >= below(class - 1), "{us} in {class}");
        }
    }

    #[test]
    fn classes_are_at_most_a_quarter_wide_and_reach_beyond_a_day() {
        for class in PARTS..CLASSES {
            let (from, to) = (below(class - 1), below(class));
            assert!(from < to && (to - from) * PARTS as u64 <= from, "{class}: {from} to {to}");
        }
        assert!(Duration::from_micros(below(CLASSES - 1)) > Duration::from_secs(86_400));
    }

    #[test]
    fn a_successor_finds_what_was_counted() {
        let mut histogram = Histogram { total_us: 7, ..Histogram::default() };
        for (class, count) in histogram.counts.iter_mut().enumerate() {
            *count = class as u64;
        }
        assert_eq!(Histogram::from(Vec::from(histogram.clone())), histogram);
    }
}
