//! Repeated measurements of one quantity, and what may be said about them.

use std::fmt;

use serde_json::{Value, json};

/// Fewer repetitions than this are never judged.
const REPETITIONS_TO_JUDGE: usize = 7;

/// The median and the quartiles of one quantity over the repetitions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Figure {
    pub(crate) median: f64,
    pub(crate) lower: f64,
    pub(crate) upper: f64,
    pub(crate) repetitions: usize,
}

impl Figure {
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut sorted: Vec<f64> = values.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        Self {
            median: quantile(&sorted, 2),
            lower: quantile(&sorted, 1),
            upper: quantile(&sorted, 3),
            repetitions: sorted.len(),
        }
    }

    /// The distance of the quartiles, as a part of the median.
    pub(crate) fn spread(&self) -> f64 {
        if self.median == 0.0 { 0.0 } else { (self.upper - self.lower) / self.median }
    }

    pub(crate) fn json(&self) -> Value {
        json!({ "median": self.median, "lower": self.lower, "upper": self.upper })
    }

    /// Says whether a goal is met, or that the spread swallows the difference to it.
    pub(crate) fn judge(&self, goal: Goal) -> Verdict {
        if self.repetitions < REPETITIONS_TO_JUDGE {
            return Verdict::TooFew;
        }
        match (goal.allows(self.lower), goal.allows(self.upper)) {
            (true, true) => Verdict::Good,
            (false, false) => Verdict::Bad,
            _ => Verdict::Noise,
        }
    }
}

/// The `quarters`-th quartile, interpolated; 0 of nothing.
fn quantile(sorted: &[f64], quarters: usize) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return 0.0 };
    let (index, rest) = (last * quarters / 4, last * quarters % 4);
    let (value, next) = (sorted[index], sorted[(index + 1).min(last)]);
    // Of infinities no part can be taken.
    if rest == 0 || value == next { value } else { value + (next - value) * rest as f64 / 4.0 }
}

/// A bound that a ratio should keep.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Goal {
    AtLeast(f64),
    AtMost(f64),
}

impl Goal {
    fn allows(self, value: f64) -> bool {
        match self {
            Self::AtLeast(bound) => value >= bound,
            Self::AtMost(bound) => value <= bound,
        }
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtLeast(bound) => write!(formatter, "≥ {bound:.2}"),
            Self::AtMost(bound) => write!(formatter, "≤ {bound:.2}"),
        }
    }
}

/// What a figure says about a goal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Even the worse quartile meets the goal.
    Good,
    /// Even the better quartile misses it.
    Bad,
    /// The goal lies between the quartiles.
    Noise,
    TooFew,
}

impl fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Good => "good",
            Self::Bad => "bad",
            Self::Noise => "noise",
            Self::TooFew => "too few",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quartiles_are_interpolated() {
        let figure = Figure::of([4.0, 1.0, 3.0, 2.0]);
        assert_eq!((figure.lower, figure.median, figure.upper), (1.75, 2.5, 3.25));
        assert_eq!(Figure::of([7.0]).median, 7.0);
        assert_eq!(Figure::of([]).median, 0.0);
        let never = Figure::of([1.0, f64::INFINITY, f64::INFINITY]);
        assert_eq!((never.lower, never.median), (f64::INFINITY, f64::INFINITY));
    }

    #[test]
    fn a_goal_between_the_quartiles_is_noise() {
        let ratio = Figure { median: 0.97, lower: 0.93, upper: 1.01, repetitions: 7 };
        assert_eq!(ratio.judge(Goal::AtLeast(0.95)), Verdict::Noise);
        assert_eq!(ratio.judge(Goal::AtLeast(0.90)), Verdict::Good);
        assert_eq!(ratio.judge(Goal::AtLeast(1.02)), Verdict::Bad);
        assert_eq!(ratio.judge(Goal::AtMost(1.10)), Verdict::Good);
        let hasty = Figure { repetitions: 3, ..ratio };
        assert_eq!(hasty.judge(Goal::AtLeast(0.90)), Verdict::TooFew);
    }
}
