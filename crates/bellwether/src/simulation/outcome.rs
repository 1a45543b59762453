//! What came of a simulation.

use std::cmp::Ordering;

use serde::Serialize;

use super::Regime;
use super::clairvoyant::Bill;

/// A time that can be put in order.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Moment(pub(super) f64);

impl Eq for Moment {}

impl PartialOrd for Moment {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Moment {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

/// What a rule has achieved with a workload, and at what cost.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Outcome {
    /// Requests that came.
    pub requests: u64,
    /// Those that waited longer than they may, were shed, or found the buffer full.
    pub late: u64,
    /// Those that were shed because they had waited too long, or found the buffer full.
    pub refused: u64,
    /// Those that were answered within a second after they came.
    pub good: u64,
    /// Seconds for which handlers were there, those in the making included.
    pub handler_seconds: f64,
    /// Seconds for which threads served.
    pub busy_seconds: f64,
    /// Handlers made.
    pub spawned: u64,
    /// The most handlers at once.
    pub peak: usize,
    /// Seconds from the beginning to the last arrival.
    pub duration: f64,
    /// The price of a handler, in seconds of an idle one.
    pub spawn_cost: f64,
    /// What one who knows the future would have paid.
    #[serde(skip)]
    pub clairvoyant: Bill,
    /// How often the rule was asked.
    pub decisions: u64,
    /// What there was over time.
    #[serde(skip)]
    pub samples: Vec<Sample>,
    /// When each request came, how long it waited and from its coming to its answer; in the order of
    /// acceptance. A refused one has waited for ever.
    #[serde(skip)]
    pub(super) served: Vec<Served>,
}

/// One request that was accepted or refused.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Served {
    pub(super) at: f64,
    pub(super) waited: f32,
    /// From its coming to its answer; not known while it is served.
    pub(super) response: f32,
}

/// The state of a pool at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Sample {
    /// Seconds since the beginning.
    pub at: f64,
    /// Requests that came per second, since the last sample.
    pub arrivals: f64,
    /// Threads that serve.
    pub busy: usize,
    /// Handlers that are ready or on their way.
    pub handlers: usize,
    /// Requests that wait.
    pub queue: usize,
}

impl Outcome {
    pub(super) fn new(regime: &Regime, duration: f64, clairvoyant: Bill) -> Self {
        Self { duration, clairvoyant, spawn_cost: regime.cost, ..Self::default() }
    }

    /// Returns the percentage of requests that were late.
    #[must_use]
    pub fn late_percent(&self) -> f64 {
        100.0 * self.late as f64 / (self.requests.max(1)) as f64
    }

    /// Returns what was paid (handler-seconds, and the price of every handler made), as a ratio to
    /// what one who knows the future would have paid.
    #[must_use]
    pub fn cost(&self) -> f64 {
        let paid = self.handler_seconds + self.spawn_cost * self.spawned as f64;
        paid / self.clairvoyant.total.max(1e-9)
    }

    /// Returns the handler-seconds as a ratio to those of one who knows the future.
    #[must_use]
    pub fn handlers_ratio(&self) -> f64 {
        self.handler_seconds / self.clairvoyant.handler_seconds.max(1e-9)
    }

    /// Returns the wait in milliseconds that the share `p` (0 to 1) of requests did not exceed.
    #[must_use]
    pub fn wait_ms(&self, p: f64) -> f64 {
        percentile(self.served.iter().map(|it| it.waited).collect(), p)
    }

    /// Returns the time from coming to answer in milliseconds that the share `p` (0 to 1) of the
    /// answered requests did not exceed.
    #[must_use]
    pub fn response_ms(&self, p: f64) -> f64 {
        let answered = self.served.iter().filter(|it| it.response.is_finite());
        percentile(answered.map(|it| it.response).collect(), p)
    }

    /// Returns the handlers made per hour.
    #[must_use]
    pub fn spawns_per_hour(&self) -> f64 {
        3600.0 * self.spawned as f64 / self.duration.max(1e-9)
    }

    /// Returns the percentage of requests answered within a second.
    #[must_use]
    pub fn goodput_percent(&self) -> f64 {
        100.0 * self.good as f64 / (self.requests.max(1)) as f64
    }

    /// Returns the seconds from `moment` until, for the first time, at most one percent of the
    /// requests of the next second are late; `None`: never.
    #[must_use]
    pub fn reaction(&self, moment: f64, wait: f64) -> Option<f64> {
        const STEP: f64 = 0.1;
        let mut since: Vec<_> = self.served.iter().filter(|it| it.at >= moment).collect();
        since.sort_by(|one, other| one.at.total_cmp(&other.at));
        let fine = |start: f64| {
            let from = since.partition_point(|it| it.at < start);
            let to = since.partition_point(|it| it.at < start + 1.0);
            let late = since[from..to].iter().filter(|it| f64::from(it.waited) > wait).count();
            late * 100 <= to - from
        };
        let steps = (self.duration - moment) / STEP;
        let starts = (0..).map(|k| STEP * f64::from(k)).take_while(|after| *after <= steps * STEP);
        starts.into_iter().find(|after| fine(moment + after))
    }
}

/// Returns milliseconds, of seconds.
fn percentile(mut seconds: Vec<f32>, p: f64) -> f64 {
    let Some(last) = seconds.len().checked_sub(1) else { return 0.0 };
    // Between 0 and the last index.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let index = (p.clamp(0.0, 1.0) * last as f64).round() as usize;
    let (_, value, _) = seconds.select_nth_unstable_by(index.min(last), f32::total_cmp);
    f64::from(*value) * 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn served(waits: &[(f64, f32)]) -> Outcome {
        let served =
            waits.iter().map(|&(at, waited)| Served { at, waited, response: waited + 1.0 });
        Outcome { served: served.collect(), duration: 10.0, requests: 4, ..Outcome::default() }
    }

    #[test]
    fn percentiles_are_of_the_sorted_waits() {
        let outcome = served(&[(0.0, 0.4), (1.0, 0.1), (2.0, 0.3), (3.0, 0.2)]);
        let check = |p, ms: f64| assert!((outcome.wait_ms(p) - ms).abs() < 0.01, "{p}");
        check(0.0, 100.0);
        check(0.5, 300.0);
        check(1.0, 400.0);
        assert_eq!(Outcome::default().wait_ms(0.99), 0.0);
    }

    #[test]
    fn the_reaction_ends_when_a_second_passes_in_time() {
        let late = |at: f64| (at, 0.2);
        let early = |at: f64| (at, 0.0);
        let outcome = served(&[early(1.0), late(2.0), late(3.5), early(4.0), early(5.0)]);
        let reaction = outcome.reaction(2.0, 0.05).unwrap();
        assert!((reaction - 0.1).abs() < 1e-6 || (1.5..1.7).contains(&reaction), "{reaction}");
        assert_eq!(served(&[late(9.9)]).reaction(9.9, 0.05), None);
    }
}
