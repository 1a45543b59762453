//! The largest number wanted within the last while.

use std::collections::VecDeque;

/// How finely the while is divided: a number is held at most this part of it too long.
const PARTS: f64 = 128.0;

/// The maximum over a window that ends now.
///
/// Numbers fall from the front to the back: whatever is not larger than a later one never counts
/// again.
#[derive(Clone, Debug, Default)]
pub(super) struct Hold {
    wants: VecDeque<(f64, f64)>,
}

impl Hold {
    /// Takes in what is wanted now, and returns the largest number of the last `window` seconds.
    pub(super) fn push(&mut self, now: f64, want: f64, window: f64) -> f64 {
        while self.wants.front().is_some_and(|(time, _)| time + window < now) {
            self.wants.pop_front();
        }
        while self.wants.back().is_some_and(|(_, earlier)| *earlier <= want) {
            self.wants.pop_back();
        }
        // At most a few numbers in each part of the window, however often this is asked.
        match self.wants.iter().rev().nth(1) {
            Some((time, _)) if now - time < window / PARTS => {
                if let Some(back) = self.wants.back_mut() {
                    back.0 = now;
                }
            }
            _ => self.wants.push_back((now, want)),
        }
        self.wants.front().map_or(want, |(_, most)| *most)
    }

    /// Returns when the largest number is held no more.
    pub(super) fn end(&self, window: f64) -> Option<f64> {
        self.wants.front().map(|(time, _)| time + window)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_number_of_the_window_holds() {
        let mut hold = Hold::default();
        let mut check = |now, want, expected| assert_eq!(hold.push(now, want, 10.0), expected);
        check(0.0, 3.0, 3.0);
        check(1.0, 5.0, 5.0);
        check(2.0, 1.0, 5.0);
        check(11.0, 1.0, 5.0);
        check(11.1, 1.0, 1.0);
        check(11.2, 7.0, 7.0);
    }

    #[test]
    fn it_remembers_little_however_often_it_is_asked() {
        let mut hold = Hold::default();
        for step in 0..100_000 {
            let now = f64::from(step) * 0.002;
            hold.push(now, 1e6 - now, 60.0);
        }
        assert!(hold.wants.len() < 600, "{}", hold.wants.len());
    }
}
