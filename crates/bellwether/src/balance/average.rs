//! The average of a number that is held for some time and then is another.

use std::collections::VecDeque;
use std::time::Duration;

use super::reading::sane;

/// What a number was on average over the last so many whole seconds, as Knative counts it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Average {
    /// Of each second the number times how long it was held; the last second is not over.
    seconds: VecDeque<f64>,
    /// Until when they are counted, and what has held since.
    held: Option<(Duration, f64)>,
    /// How many whole seconds were seen.
    whole: u64,
}

const SECOND: Duration = Duration::from_secs(1);

impl Average {
    /// More than this is forgotten.
    pub(super) const LONGEST: Duration = Duration::from_secs(600);

    pub(super) const fn new() -> Self {
        Self { seconds: VecDeque::new(), held: None, whole: 0 }
    }

    /// Says that the number is another from now on.
    pub(super) fn hold(&mut self, now: Duration, number: f64) {
        let (mut from, held) = self.held.unwrap_or((now, 0.0));
        // What will be forgotten anyway need not be counted.
        from = from.max(now.saturating_sub(Self::LONGEST + SECOND));
        while from < now {
            let next = Duration::from_secs(from.as_secs().saturating_add(1));
            // At the end of time there is no next second.
            let until = if next > from { next.min(now) } else { now };
            self.add(held * (until - from).as_secs_f64());
            from = until;
            if until == next {
                self.end_second();
            }
        }
        self.held = Some((now, sane(number)));
    }

    fn add(&mut self, amount: f64) {
        match self.seconds.back_mut() {
            Some(second) => *second += amount,
            None => self.seconds.push_back(amount),
        }
    }

    fn end_second(&mut self) {
        self.whole += 1;
        self.seconds.push_back(0.0);
        if self.seconds.len() as u64 > Self::LONGEST.as_secs() + 1 {
            self.seconds.pop_front();
        }
    }

    /// Returns the average over the whole seconds of the window, of fewer if fewer were seen; the
    /// number itself before the first is over.
    pub(super) fn over(&self, window: Duration) -> f64 {
        let wanted = usize::try_from(window.as_secs().max(1).min(self.whole)).unwrap_or(usize::MAX);
        let seconds = self.seconds.iter().rev().skip(1).take(wanted);
        match seconds.len() {
            0 => self.held.map_or(0.0, |(_, number)| number),
            count => seconds.sum::<f64>() / count as f64,
        }
    }

    /// Whether the number was 0 for the whole window and in the second that is not over.
    pub(super) fn was_zero(&self, window: Duration) -> bool {
        let seconds = usize::try_from(window.as_secs()).unwrap_or(usize::MAX).saturating_add(1);
        self.seconds.iter().rev().take(seconds).all(|second| *second <= 0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_seconds_count_and_the_rest_does_not_yet() {
        let mut average = Average::new();
        let mut check = |ms: u64, number: f64, window: u64, expected: f64| {
            average.hold(Duration::from_millis(ms), number);
            let found = average.over(Duration::from_secs(window));
            assert!((found - expected).abs() < 1e-9, "at {ms} ms: {found}, not {expected}");
        };
        check(0, 4.0, 6, 4.0);
        check(500, 8.0, 6, 8.0);
        check(1000, 0.0, 6, 6.0);
        check(2500, 9.0, 6, 3.0);
        check(2500, 9.0, 1, 0.0);
        check(3000, 1.0, 2, 2.25);
        check(900_000, 0.0, 60, 1.0);
    }

    #[test]
    fn the_end_of_time_and_what_is_no_number_are_no_error() {
        let mut average = Average::new();
        for number in [f64::NAN, f64::INFINITY, -1.0, 2.0] {
            average.hold(Duration::ZERO, number);
            average.hold(Duration::MAX, number);
            assert!(average.over(Duration::MAX).is_finite());
        }
    }
}
