//! What a late request is worth.

/// The most by which one late request changes the logarithm of the price.
const STEP: f64 = 0.3;
/// The part of the allowed share that the price aims at; the rest is for what it learns too late.
const AIM: f64 = 0.55;
/// How many break-even times it takes the price to fall to 1/e where no request is late.
const MEMORY: f64 = 20.0;
/// The lowest and the highest price, in break-even times.
const RANGE: (f64, f64) = (0.0005, 6.0);
/// The price where nothing is known: it rises quickly where that is wrong.
const FIRST: f64 = 0.02;

/// The price of a late request, in break-even times: for how many of the times in which an idle
/// handler costs as much as a new one it is worth to keep one idle.
///
/// It rises with each late request and falls with all others, so that it stands still only where
/// just the share it aims at is late, however the requests come (Gibbs and Candès 2021).
#[derive(Clone, Copy, Debug)]
pub(super) struct Price {
    logarithm: f64,
    /// Requests that came, fading.
    recent: f64,
}

impl Price {
    pub(super) fn new() -> Self {
        Self { logarithm: FIRST.ln(), recent: 0.0 }
    }

    /// Learns from the requests that came and were late within so many break-even times, and from
    /// the share that may be late.
    pub(super) fn adapt(&mut self, passed: f64, came: f64, late: f64, allowed: f64) {
        self.recent = self.recent * (-passed / MEMORY).exp() + came;
        let aim = AIM * allowed;
        let step = (1.0 / (aim * self.recent).max(1e-9)).min(STEP);
        let (lowest, highest) = RANGE;
        let logarithm = self.logarithm + step * (late - aim * came);
        self.logarithm = logarithm.clamp(lowest.ln(), highest.ln());
    }

    /// Returns the price in break-even times.
    pub(super) fn get(&self) -> f64 {
        self.logarithm.exp()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_price_rises_with_late_requests_and_falls_without() {
        let mut price = Price::new();
        price.adapt(0.01, 100.0, 1.0, 0.01);
        let risen = price.get();
        assert!(risen > FIRST, "{risen}");
        price.adapt(0.01, 1000.0, 0.0, 0.01);
        assert!(price.get() < risen);
    }

    #[test]
    fn the_price_stays_within_its_range() {
        let check = |late: f64, expected: f64| {
            let mut price = Price::new();
            for _ in 0..200_000 {
                price.adapt(0.01, 10.0, late, 0.01);
            }
            assert!((price.get() / expected - 1.0).abs() < 1e-9, "{}", price.get());
        };
        check(10.0, RANGE.1);
        check(0.0, RANGE.0);
    }
}
