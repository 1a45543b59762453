//! As many handlers as the requests of the next moments need.
//!
//! What is wanted is the demand that will be there when a handler ordered now is ready, and a
//! reserve for what nobody can foresee; the largest number wanted within the last while is held.

mod forecast;
mod hold;
mod price;
mod traffic;

use std::time::Duration;

use forecast::Forecast;
use hold::Hold;
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
    /// Threads of the handlers that are ready.
    ready: f64,
    /// From the order for a handler until it is ready.
    spawn: f64,
    /// For how long an idle handler costs less than a new one.
    cost: f64,
}

/// The most threads any reading can make this rule want; counters may lie.
const MOST: f64 = 1e6;

impl Demand {
    /// Makes the rule for an objective; it learns all else from the readings.
    #[must_use]
    pub fn new(slo: Slo) -> Self {
        let (traffic, price, hold) = (Traffic::new(), Price::new(), Hold::default());
        Self { slo, traffic, price, hold }
    }
}

impl Balance for Demand {
    fn decide(&mut self, reading: &Reading) -> Decision {
        let now = Moment::of(reading);
        let came = self.traffic.observe(&now);
        self.price.adapt(&now, came, self.slo.late());
        let forecast = Forecast::new(&now, &self.traffic, self.price.of(now.cost), self.slo.wait());
        let window = now.cost + now.spawn + if forecast.slow { forecast.price } else { 0.0 };
        let want = forecast.want().clamp(now.demand().min(1.0), MOST);
        let held = self.hold.push(now.time, want, window);
        let target = whole(held / reading.threads.max(1) as f64);
        let end = self.hold.end(window).filter(|_| target > reading.min);
        let why = why(&now, &forecast, held, end);
        let decision = Decision::new(target, why);
        match end.and_then(|end| Duration::try_from_secs_f64(end).ok()) {
            Some(end) => decision.until(end),
            None => decision,
        }
    }
}

impl Moment {
    fn of(reading: &Reading) -> Self {
        let threads = reading.threads.max(1) as f64;
        let sane = |number: f64| if number.is_finite() { number.clamp(0.0, MOST) } else { 0.0 };
        Self {
            time: reading.now.as_secs_f64(),
            is_tick: reading.occasion == Occasion::Tick,
            busy: sane(reading.busy),
            depth: sane(reading.depth.into()),
            accepted: reading.accepted,
            late: reading.late,
            ready: sane(reading.handlers as f64 * threads),
            spawn: reading.spawn_time.as_secs_f64().clamp(1e-3, 3600.0),
            cost: reading.spawn_cost.as_secs_f64().clamp(1e-3, 3600.0),
        }
    }

    const fn demand(&self) -> f64 {
        self.busy + self.depth
    }
}

/// Says what was decided in one line.
fn why(now: &Moment, forecast: &Forecast, held: f64, end: Option<f64>) -> String {
    let (busy, depth, want) = (now.busy, now.depth, forecast.want());
    let mut why = format!("demand: {busy:.1} busy + {depth} waiting");
    let spare = want - now.demand();
    if spare >= 0.05 {
        why += &format!(", {spare:.1} spare for the {} a handler takes", time(now.spawn));
    }
    if let Some(end) = end.filter(|_| held > want) {
        why += &format!("; {held:.1} held for {} more", time(end - now.time));
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
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn reading(now: Duration, busy: f64, depth: u32) -> Reading {
        Reading { now, busy, depth, ..Reading::default() }
    }

    #[test]
    fn what_waits_where_nobody_is_alive_gets_a_handler_at_once() {
        for spawn_time in [SECOND / 200, SECOND / 10, SECOND * 2] {
            let waits = Reading { spawn_time, ..reading(SECOND, 0.0, 1) };
            assert!(Demand::new(Slo::default()).decide(&waits).target >= 1);
        }
    }

    #[test]
    fn nothing_to_do_for_the_hold_is_no_handler() {
        let mut rule = Demand::new(Slo::default());
        let busy = rule.decide(&reading(SECOND, 1.0, 0));
        assert_eq!(busy.target, 1);
        let end = busy.again.unwrap();
        assert_eq!(rule.decide(&reading(end, 0.0, 0)).target, 1);
        let idle = rule.decide(&reading(end * 3, 0.0, 0));
        assert_eq!((idle.target, idle.again), (0, None));
    }

    #[test]
    fn threads_share_handlers() {
        let mut rule = Demand::new(Slo::default());
        let busy = Reading { threads: 4, handlers: 2, ..reading(SECOND, 8.0, 1) };
        assert_eq!(rule.decide(&busy).target, 3);
    }

    #[test]
    fn it_says_why() {
        let mut rule = Demand::new(Slo::default());
        let why = rule.decide(&reading(SECOND, 3.2, 0)).why;
        assert_eq!(why, "demand: 3.2 busy + 0 waiting");
        let why = rule.decide(&reading(SECOND + SECOND / 2, 1.0, 0)).why;
        assert_eq!(why, "demand: 1.0 busy + 0 waiting; 3.2 held for 505 ms more");
    }
}
