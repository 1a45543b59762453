//! The demand that will be there when a handler ordered now is ready.

use std::time::Duration;

use super::Moment;
use super::traffic::Traffic;

/// What is known now of the moment when a handler ordered now is ready.
#[derive(Clone, Copy, Debug)]
pub(super) struct Forecast {
    now: Moment,
    /// Requests that come in a second.
    rate: f64,
    /// Seconds a request is served.
    service: f64,
    /// Seconds of an idle handler that a late request is worth.
    pub(super) price: f64,
    /// Seconds a request may wait.
    wait: f64,
    /// Whether a handler that is ordered now comes too late for a request that comes now.
    pub(super) slow: bool,
}

impl Forecast {
    pub(super) fn new(now: &Moment, traffic: &Traffic, price: f64, wait: Duration) -> Self {
        let (rate, service) = (traffic.rate(), traffic.service());
        let wait = wait.as_secs_f64();
        Self { now: *now, rate, service, price, wait, slow: 1.3 * now.spawn > wait }
    }

    /// Returns the threads wanted.
    pub(super) fn want(&self) -> f64 {
        let (mean, ahead) = (self.rate * self.service, self.demand_ahead());
        let base = ahead.min(mean.max(self.now.ready));
        let backlog = ahead - base;
        if !self.slow {
            return base.max(mean.min(base)) + backlog;
        }
        // A request may wait a little: as many more are served in the meantime.
        let patience = 1.0 + self.wait / self.service;
        let base = if base > mean { mean + (base - mean) / patience } else { base };
        base + self.drain(backlog) + self.reserve(mean, patience)
    }

    /// Returns the threads that serve a backlog cheapest: the least of `cost * n + price * late`,
    /// where n threads more make `late` of those late that come while the backlog lasts.
    fn drain(&self, backlog: f64) -> f64 {
        let late = self.rate * backlog * self.service;
        backlog.min((0.3 * self.price * late / self.now.cost).sqrt())
    }

    /// Returns the threads kept for what comes by chance: the newsvendor's safety stock.
    fn reserve(&self, mean: f64, patience: f64) -> f64 {
        let risk = (self.now.spawn.min(self.service) / self.price).min(0.5);
        let leaves = (-self.now.spawn / self.service).exp();
        let variance = (self.now.demand() * leaves + mean) * (1.0 - leaves);
        quantile(risk) * (variance / patience).sqrt()
    }

    /// Returns the demand when a handler ordered now is ready, if none is.
    fn demand_ahead(&self) -> f64 {
        let (mean, ready, mut left) = (self.rate * self.service, self.now.ready, self.now.spawn);
        let mut demand = self.now.demand();
        if demand > ready {
            let growth = (mean - ready) / self.service;
            if growth * left >= ready - demand {
                return demand + growth * left;
            }
            left -= (ready - demand) / growth;
            demand = ready;
        }
        mean + (demand - mean) * (-left / self.service).exp()
    }
}

/// Returns how many standard deviations a normal number exceeds with this risk, 0 to 0.5
/// (Abramowitz and Stegun 26.2.23, off by 0.0005 at most).
fn quantile(risk: f64) -> f64 {
    let t = (-2.0 * risk.max(1e-9).ln()).sqrt();
    let above = 2.515_517 + t * (0.802_853 + t * 0.010_328);
    let below = 1.0 + t * (1.432_788 + t * (0.189_269 + t * 0.001_308));
    (t - above / below).max(0.0)
}
