//! What a late request is worth.

use super::Moment;

/// How fast the price follows: by this much in its logarithm for each late request.
const STEP: f64 = 0.005;

/// The price of a late request in seconds of an idle handler, as a part of what a handler costs.
///
/// It rises with each late request and falls with all others, so that it stands still only where
/// just the allowed share is late, however the requests come (Gibbs and Candès 2021).
#[derive(Clone, Copy, Debug)]
pub(super) struct Price {
    logarithm: f64,
    late: Option<u64>,
}

impl Price {
    pub(super) fn new() -> Self {
        Self { logarithm: 0.5_f64.ln(), late: None }
    }

    /// Learns from the requests that came and those of them that were late.
    pub(super) fn adapt(&mut self, now: &Moment, came: f64, allowed: f64) {
        let before = self.late.replace(now.late).unwrap_or(now.late);
        let late = now.late.saturating_sub(before) as f64;
        // Half of what is allowed: the other half is for what the price learns too late.
        let step = STEP * (late - 0.5 * allowed * came);
        self.logarithm = (self.logarithm + step).clamp(0.02_f64.ln(), 3.0_f64.ln());
    }

    /// Returns the price where a handler costs this much.
    pub(super) fn of(&self, cost: f64) -> f64 {
        self.logarithm.exp() * cost
    }
}
