//! The demand that will be there when a handler ordered now is ready.

use super::Moment;
use super::traffic::Traffic;

/// What a handler costs that is made for a backlog, in break-even times: it is kept afterwards.
const KEPT: f64 = 6.0;
/// The part of those who find no free thread that are late for it.
const MISSED: f64 = 0.3;

/// What is known now of the moment when a handler ordered now is ready.
#[derive(Clone, Copy, Debug)]
pub(super) struct Forecast {
    now: Moment,
    /// Requests that come in a second.
    rate: f64,
    /// Seconds a request is served.
    service: f64,
    /// Seconds of an idle handler that a late request is worth.
    price: f64,
    /// Seconds a request may wait.
    wait: f64,
}

impl Forecast {
    pub(super) fn new(now: &Moment, traffic: &Traffic, price: f64, wait: f64) -> Self {
        let (rate, service) = (traffic.rate(), traffic.service());
        Self { now: *now, rate, service, price, wait }
    }

    /// Returns the threads wanted, where handlers are slow: ready too late for who waits for them.
    ///
    /// A whole number is reached from half below it on (the continuity correction of the normal
    /// distribution for numbers of requests).
    pub(super) fn want(&self, slow: bool) -> f64 {
        let (demand, mean, ahead) = (self.now.demand(), self.rate * self.service, self.ahead());
        if !slow {
            return demand.max(ahead + self.reserve(mean, 1.0) - 0.5);
        }
        let base = ahead.min(mean.max(self.now.ready));
        let backlog = ahead - base;
        // A request may wait a little: as many more are served in the meantime.
        let patience = 1.0 + self.wait / self.service;
        let base = if base > mean { mean + (base - mean) / patience } else { base };
        base + self.drain(backlog) + self.reserve(mean, patience) - 0.5
    }

    /// Returns the threads that serve a backlog cheapest: the least of `cost * n + price * late`,
    /// where n threads more are made and kept for a while, and those that come until they have
    /// served it are late.
    fn drain(&self, backlog: f64) -> f64 {
        let late = self.rate * backlog * self.service;
        let cost = KEPT * self.now.break_even() + self.price;
        backlog.min((self.price * late / cost).sqrt())
    }

    /// Returns the threads kept for what comes by chance: a newsvendor's safety stock for the
    /// demand of a service that many wait for (M/G/∞), which the patience of requests spares.
    fn reserve(&self, mean: f64, patience: f64) -> f64 {
        let risk = MISSED * self.now.spawn.min(self.service) / self.price;
        let leaves = (-self.now.spawn / self.service).exp();
        let variance = (self.now.demand() * leaves + mean) * (1.0 - leaves);
        quantile(risk.min(0.5)) * (variance / patience).sqrt()
    }

    /// Returns the demand when a handler ordered now is ready, if none is.
    fn ahead(&self) -> f64 {
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
