//! As many handlers as the requests of the next moments need.
//!
//! What is wanted is the demand that will be there when a handler ordered now is ready, and a
//! reserve for what nobody can foresee; the largest number wanted within the last while is held.

mod forecast;
mod hold;
mod price;
mod traffic;
mod waits;

use std::time::Duration;

use forecast::Forecast;
use hold::{Hold, Stakes};
use price::Price;
use traffic::Traffic;

use super::reading::whole;
use super::{Balance, Decision, Occasion, Reading, Slo};

/// Keeps as many handlers as the demand needs, and as few as the objective allows.
///
/// The demand is what is served and what waits. Unlike the share of busy handlers it does not
/// depend on how many handlers there are, so that the rule does not chase its own tail. From it
/// follow, with the time a handler takes to become ready, the handlers wanted; the largest
/// number wanted is held for as long as an idle handler costs less than a new one.
///
/// ```
/// use bellwether::balance::{Balance, Demand, Reading, Slo};
/// let mut rule = Demand::new(Slo::default());
/// let mut reading = Reading::default();
/// reading.depth = 3;
/// assert!(rule.decide(&reading).target >= 3);
/// ```
#[derive(Clone, Debug)]
pub struct Demand {
    slo: Slo,
    traffic: Traffic,
    price: Price,
    hold: Hold,
    /// The moment of the last decision.
    last: Option<Moment>,
}

/// What this rule uses of a reading: times in seconds, capacities in threads, all of them sane.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Moment {
    time: f64,
    is_tick: bool,
    busy: f64,
    depth: f64,
    accepted: u64,
    late: u64,
    /// Threads a handler has.
    threads: f64,
    /// Threads of the handlers that are ready.
    ready: f64,
    /// From the order for a handler until it is ready.
    spawn: f64,
    /// For how long an idle handler costs less than a new one.
    cost: f64,
}

/// Spawn times vary: such a multiple of the average is rarely exceeded.
const VARIES: f64 = 1.3;

/// The part of the allowed share to aim at where handlers are ready in time for most requests that
/// come before them: fewer late ones cost next to nothing there.
const FAST: f64 = 0.15;

/// The most threads any reading can make this rule want; counters may lie.
const MOST: f64 = 1e6;

impl Demand {
    /// Makes the rule for an objective; it learns all else from the readings.
    #[must_use]
    pub fn new(slo: Slo) -> Self {
        let (traffic, price, hold) = (Traffic::new(), Price::new(), Hold::default());
        Self { slo, traffic, price, hold, last: None }
    }

    /// Learns from the time between the last decision and now.
    fn learn(&mut self, now: &Moment) {
        let Some(last) = self.last.replace(*now) else { return };
        let news = self.traffic.observe(&last, now, self.wait());
        let passed = (now.time - last.time) / now.break_even();
        let allowed = self.slo.late() * if self.is_slow(now) { 1.0 } else { FAST };
        self.price.adapt(passed, news.came, news.late, allowed);
    }

    /// Whether a handler that is ordered when a request comes may be ready too late for it.
    fn is_slow(&self, now: &Moment) -> bool {
        VARIES * now.spawn > self.wait()
    }

    /// Returns the seconds a request may wait.
    fn wait(&self) -> f64 {
        self.slo.wait().as_secs_f64()
    }

    /// Returns the threads wanted, and what is at stake.
    fn want(&self, now: &Moment) -> (f64, Stakes) {
        let (price, slow) = (self.price.get() * now.break_even(), self.is_slow(now));
        let want = Forecast::new(now, &self.traffic, price, self.wait()).want(slow);
        // A handler that was dismissed too early makes nobody late where the next is ready in time.
        let stakes = Stakes { spawn: now.break_even(), late: if slow { price } else { 0.0 } };
        (want.min(MOST), stakes)
    }
}

impl Balance for Demand {
    fn decide(&mut self, reading: &Reading) -> Decision {
        let now = Moment::of(reading, self.last.as_ref());
        self.learn(&now);
        let (want, stakes) = self.want(&now);
        // Whatever the forecast says, who is there is served.
        let least = usize::from(now.demand() > 0.0);
        let wanted = whole(want / now.threads).max(least);
        let target = self.hold.push(now.time, wanted, stakes);
        let end = self.hold.end(stakes);
        let decision = Decision::new(target, why(&now, want, end));
        let pending = target > reading.min || now.demand() > 0.0;
        // What is wanted though nobody is there is forgotten little by little.
        let again = end.unwrap_or(now.time + stakes.spawn / 8.0);
        match Duration::try_from_secs_f64(again) {
            Ok(moment) if pending => decision.until(moment.max(reading.now)),
            _ => decision,
        }
    }
}

impl Moment {
    fn of(reading: &Reading, last: Option<&Self>) -> Self {
        let sane = |number: f64| if number.is_finite() { number.clamp(0.0, MOST) } else { 0.0 };
        let span = |time: Duration| time.as_secs_f64().clamp(1e-3, 3600.0);
        let threads = sane(reading.threads as f64).max(1.0);
        Self {
            // Never backwards, whatever the clock does.
            time: last.map_or(0.0, |last| last.time).max(reading.now.as_secs_f64()),
            is_tick: reading.occasion == Occasion::Tick,
            busy: sane(reading.busy),
            depth: sane(reading.depth.into()),
            accepted: reading.accepted,
            late: reading.late,
            threads,
            ready: sane(reading.handlers as f64 * threads),
            spawn: span(reading.spawn_time),
            cost: span(reading.spawn_cost),
        }
    }

    const fn demand(&self) -> f64 {
        self.busy + self.depth
    }

    /// For how long an idle handler costs as much as a new one and its start.
    const fn break_even(&self) -> f64 {
        self.cost + self.spawn
    }
}

/// Says what was decided in one line.
fn why(now: &Moment, want: f64, end: Option<f64>) -> String {
    let (busy, depth, spare) = (now.busy, now.depth, want - now.demand());
    let mut why = format!("demand: {busy:.1} busy + {depth} waiting");
    if spare >= 0.05 {
        why += &format!(", {spare:.1} spare for the {} a handler takes", time(now.spawn));
    }
    if let Some(end) = end {
        why += &format!("; held for {} more", time(end - now.time));
    }
    why
}

/// Writes a time as people do: 5 ms, 2.1 s, 180 s.
fn time(seconds: f64) -> String {
    if seconds < 0.9995 {
        format!("{:.0} ms", seconds * 1e3)
    } else if seconds < 10.0 {
        format!("{seconds:.1} s")
    } else {
        format!("{seconds:.0} s")
    }
}

#[cfg(test)]
mod tests;
