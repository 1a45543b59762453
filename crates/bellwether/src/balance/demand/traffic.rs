//! What the requests of the last while tell: how many come, and how long one is served.

use std::collections::VecDeque;

use super::waits::Waits;
use super::{MOST, Moment};

/// Arrivals remembered to see a burst; one of each eighth of a spawn time is enough.
const REMEMBERED: usize = 64;

/// The rate at which requests come and the time it takes to serve one.
#[derive(Clone, Debug)]
pub(super) struct Traffic {
    /// Threads busy at the last tick: other occasions are no fair sample, they come when many are.
    busy: f64,
    /// Requests a second.
    rate: f64,
    /// Thread-seconds and requests served, both fading: their ratio is the service time (Little).
    served: (f64, f64),
    /// When and how many requests had come until then.
    come: VecDeque<(f64, f64)>,
    /// Requests that came, all in all.
    total: f64,
    waits: Waits,
    /// Late requests that were reported, and those that must have been late.
    late: (f64, f64),
}

/// What happened since the last moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct News {
    /// Requests that came.
    pub(super) came: f64,
    /// Requests that were late.
    pub(super) late: f64,
}

impl Traffic {
    pub(super) fn new() -> Self {
        Self {
            busy: 0.0,
            rate: 0.0,
            // 0.1 s with the weight of one request, until some were served.
            served: (0.1, 1.0),
            come: VecDeque::new(),
            total: 0.0,
            waits: Waits::default(),
            late: (0.0, 0.0),
        }
    }

    /// Takes in what happened between two moments, where requests may wait so long.
    pub(super) fn observe(&mut self, last: &Moment, now: &Moment, wait: f64) -> News {
        let taken = (now.accepted.saturating_sub(last.accepted) as f64).min(MOST);
        let came = (taken + now.depth - last.depth).max(0.0);
        let passed = now.time - last.time;
        self.total += came;
        self.serve(taken, passed);
        self.arrive(came, now, passed);
        if now.is_tick {
            self.busy = now.busy;
        }
        News { came, late: self.late(last, now, wait) }
    }

    /// Returns the late requests since the last moment: those that the pool knows of, or, where it
    /// knows of fewer, those that cannot but have been late.
    fn late(&mut self, last: &Moment, now: &Moment, wait: f64) -> f64 {
        let before = self.late.0.max(self.late.1);
        self.late.0 += (now.late.saturating_sub(last.late) as f64).min(MOST);
        self.late.1 += self.waits.observe(now.time, self.total, now.depth, wait);
        self.late.0.max(self.late.1) - before
    }

    fn serve(&mut self, taken: f64, passed: f64) {
        let fade = (-passed / (20.0 * self.service()).clamp(30.0, 600.0)).exp();
        let busy = self.busy * passed;
        self.served = (self.served.0 * fade + busy, self.served.1 * fade + taken);
    }

    fn arrive(&mut self, came: f64, now: &Moment, passed: f64) {
        if passed > 0.0 {
            let window = (2.0 * now.spawn).max(2.0 * self.service()).max(30.0 / self.rate.max(0.1));
            let fade = (-passed / window.clamp(0.2, 30.0)).exp();
            self.rate = self.rate * fade + came / passed * (1.0 - fade);
        }
        self.remember(now);
        self.jump(now);
    }

    fn remember(&mut self, now: &Moment) {
        let apart = (now.spawn / 8.0).max(0.01);
        if self.come.back().is_none_or(|(time, _)| now.time - time >= apart) {
            self.come.push_back((now.time, self.total));
        }
        if self.come.len() > REMEMBERED {
            self.come.pop_front();
        }
    }

    /// Believes a burst at once that chance does not explain.
    fn jump(&mut self, now: &Moment) {
        let mut window = (now.spawn / 2.0).max(0.05);
        for _ in 0..3 {
            let from = self.come.partition_point(|(time, _)| now.time - time > window);
            if let Some((since, before)) = from.checked_sub(1).and_then(|at| self.come.get(at)) {
                let (time, came) = (now.time - since, self.total - before);
                let usual = self.rate * time;
                if time > 0.0 && came > usual + 4.0 * usual.max(1.0).sqrt() + 3.0 {
                    self.rate = came / time;
                }
            }
            window *= 2.0;
        }
    }

    /// Returns the requests that come in a second.
    pub(super) const fn rate(&self) -> f64 {
        self.rate
    }

    /// Returns the seconds a request is served, 100 µs at least.
    pub(super) fn service(&self) -> f64 {
        let (time, requests) = self.served;
        (time / requests.max(1e-9)).clamp(1e-4, 3600.0)
    }
}
