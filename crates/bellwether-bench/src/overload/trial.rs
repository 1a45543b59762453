//! One server through one overload.

use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::capacity::Capacity;
use super::{Entrant, Overload};
use crate::arrivals::poisson;
use crate::census::{Census, Population};
use crate::neighbours::Neighbours;
use crate::open_loop::{self, LATE, Outcome, Record, Run, Waits, settled_after};
use crate::site::{OurSite, Site as _};

/// Whoever is answered later has gone away.
const IN_TIME: Duration = Duration::from_secs(1);
/// How long the last answers are waited for.
const PATIENCE: Duration = Duration::from_secs(10);
/// After the start, for what a server still puts in order.
const SETTLING: Duration = Duration::from_millis(500);

/// What one trial showed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    pub(super) capacity: f64,
    /// What was answered in time of what the overload brought, as a share of what was possible.
    pub(super) goodput: f64,
    /// Responses of those in the overload that were answered, in ms.
    pub(super) p50: f64,
    pub(super) p99: f64,
    /// Share of those before the overload that waited too long.
    pub(super) late_before: f64,
    /// Shares of those in the overload that were sent away, and that nobody answered.
    pub(super) refused: f64,
    pub(super) lost: f64,
    pub(super) peak: f64,
    pub(super) handler_seconds: f64,
    /// Seconds after the overload until hardly anybody waits; infinite when that does not come.
    pub(super) recovery: f64,
    /// The share of the processors that the generator took.
    pub(super) generator: f64,
    /// How late the generator was at worst, in ms.
    pub(super) generator_lateness: f64,
    /// The share of the processors that neighbours took, now and from the capacity.
    pub(super) elsewhere: f64,
    pub(super) elsewhere_before: f64,
}

impl Sample {
    pub(super) fn take(
        entrant: Entrant,
        overload: &Overload,
        capacity: Capacity,
        seed: u64,
    ) -> Result<Self> {
        let options = entrant.options(overload.knee());
        let site = OurSite::start(&options).with_context(|| format!("cannot start {entrant}"))?;
        thread::sleep(SETTLING);
        let arrivals = poisson(&overload.phases(capacity.rate), overload.work, seed);
        let census = Census::start(&site);
        let before = Neighbours::look(site.root())?;
        let run = open_loop::run(site.target(), &arrivals, PATIENCE)?;
        let elsewhere = Neighbours::look(site.root())?.share_since(&before)?;
        Ok(Self { elsewhere, ..Self::new(&run, &census.finish()?, overload, capacity) })
    }

    fn new(run: &Run, population: &Population, overload: &Overload, capacity: Capacity) -> Self {
        let (begin, end) = (overload.begin(), overload.end());
        let at = |moment| run.records.partition_point(|record| record.due < moment);
        let (before, inside) = (&run.records[..at(begin)], &run.records[at(begin)..at(end)]);
        let in_time = |it: &Record| it.is_answered() && it.response() <= IN_TIME;
        let good = count(inside, in_time);
        let offered = inside.len() as f64;
        let possible = (capacity.rate * (end - begin).as_secs_f64()).min(offered);
        let responses = inside.iter().filter(|it| it.is_answered()).map(Record::response);
        let responses = Waits::of(responses);
        let answered_or_refused = |it: &Record| it.is_answered() || it.outcome == Outcome::Refused;
        let length = run.records.last().map_or(end, |record| record.due);
        let recovered = settled_after(end, &run.records);
        Self {
            capacity: capacity.rate,
            goodput: good / possible,
            p50: responses.at(0.5),
            p99: responses.at(0.99),
            late_before: count(before, |it| it.is_late(LATE)) / before.len() as f64,
            refused: count(inside, |it| it.outcome == Outcome::Refused) / offered,
            lost: count(inside, |it| !answered_or_refused(it)) / offered,
            peak: population.peak() as f64,
            handler_seconds: population.handler_seconds(length),
            recovery: recovered.map_or(f64::INFINITY, |time| time.as_secs_f64()),
            generator: run.cpu.div_duration_f64(length) / overload.processors as f64,
            generator_lateness: run.generator_lateness().as_secs_f64() * 1e3,
            elsewhere: f64::NAN,
            elsewhere_before: capacity.elsewhere,
        }
    }
}

fn count(records: &[Record], what: impl Fn(&Record) -> bool) -> f64 {
    records.iter().filter(|record| what(record)).count() as f64
}
