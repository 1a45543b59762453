//! One server through one schedule.

use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::Schedule;
use super::entrant::Entrant;
use crate::arrivals::Arrival;
use crate::census::{Census, Population};
use crate::journal::Entries;
use crate::neighbours::Neighbours;
use crate::open_loop::{self, LATE, Outcome, Record, Run, Waits, settled_after};

/// The objective of a pool that has been of the right size all the time.
const SHORT: Duration = Duration::from_millis(10);
/// How long the last answers are waited for.
const PATIENCE: Duration = Duration::from_secs(10);
/// After the start, for what a server still puts in order.
const SETTLING: Duration = Duration::from_millis(500);
/// What our journal calls the times from the doorbell to the order and to the fork, in µs.
const DOORBELL_TO_ORDER: &str = "ring_to_order_us";
pub(super) const DOORBELL_TO_FORK: &str = "ring_to_fork_us";

/// What one trial showed; times in ms but for `reaction`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    pub(super) requests: f64,
    pub(super) waits: Quantiles,
    /// Shares of the requests that waited longer than 50 and 10 ms, or got no answer.
    pub(super) late: f64,
    pub(super) late_short: f64,
    /// As the sum of the handlers that were there, and of the service that was asked for.
    pub(super) handler_seconds: f64,
    pub(super) asked_seconds: f64,
    pub(super) peak: f64,
    /// The handlers that are there at the end, when the load has long fallen; NaN when it has not.
    pub(super) kept: f64,
    /// Seconds from the step until the pool has settled; infinite when it does not.
    pub(super) reaction: f64,
    pub(super) unanswered: f64,
    pub(super) lost: f64,
    /// What the kernel says about the waits after the step; NaN for a server that does not tell.
    pub(super) told: Quantiles,
    /// From the doorbell to the order for a handler, and to its fork.
    pub(super) order: Quantiles,
    pub(super) doorbell: Quantiles,
    pub(super) generator_lateness: f64,
    /// The share of the processors that neither server nor client used.
    pub(super) elsewhere: f64,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Quantiles {
    pub(super) p50: f64,
    pub(super) p99: f64,
    pub(super) p999: f64,
    pub(super) max: f64,
}

impl Quantiles {
    fn of(waits: &Waits) -> Self {
        let [p50, p99, p999, max] = [0.5, 0.99, 0.999, 1.0].map(|part| waits.at(part));
        Self { p50, p99, p999, max }
    }
}

impl Sample {
    /// Starts the entrant, sends it the arrivals, and ends it.
    pub(super) fn take(
        entrant: Entrant,
        needed: usize,
        arrivals: &[Arrival],
        schedule: &Schedule,
    ) -> Result<Self> {
        let site = entrant.start(needed).with_context(|| format!("cannot start {entrant}"))?;
        thread::sleep(SETTLING);
        let census = Census::start(&*site);
        let before = Neighbours::look(site.root())?;
        let run = open_loop::run(site.target(), arrivals, PATIENCE)?;
        let elsewhere = Neighbours::look(site.root())?.share_since(&before)?;
        let population = census.finish()?;
        let entries = site.finish()?;
        Ok(Self { elsewhere, ..Self::new(&run, &population, entries.as_ref(), schedule) })
    }

    fn new(
        run: &Run,
        population: &Population,
        entries: Option<&Entries>,
        schedule: &Schedule,
    ) -> Self {
        let records = &run.records;
        // A quantile knows no unit: µs in, µs out.
        let time = |us: f64| Duration::from_secs_f64(us.max(0.0) / 1e3);
        let told_of = |input: &str| {
            let told = entries.map_or_else(Vec::new, |entries| entries.inputs(input));
            Quantiles::of(&Waits::of(told.into_iter().map(time)))
        };
        let share = |limit| count(records, |it| it.is_late(limit)) / records.len() as f64;
        let fall = records.partition_point(|record| record.due < schedule.fall());
        let settled = settled_after(schedule.step(), &records[..fall]);
        let has_fallen = schedule.fall() < schedule.end();
        Self {
            requests: records.len() as f64,
            waits: Quantiles::of(&waits(records)),
            late: share(LATE),
            late_short: share(SHORT),
            handler_seconds: population.handler_seconds(schedule.end()),
            asked_seconds: records.iter().map(|it| it.work.total().as_secs_f64()).sum(),
            peak: population.peak() as f64,
            kept: if has_fallen { population.last(schedule.end()) } else { f64::NAN },
            reaction: settled.map_or(f64::INFINITY, |settled| settled.as_secs_f64()),
            unanswered: count(records, |it| it.outcome == Outcome::Unanswered),
            lost: count(records, |it| !it.is_answered() && it.outcome != Outcome::Unanswered),
            told: Quantiles::of(&told(records, schedule.step())),
            order: told_of(DOORBELL_TO_ORDER),
            doorbell: told_of(DOORBELL_TO_FORK),
            generator_lateness: run.generator_lateness().as_secs_f64() * 1e3,
            elsewhere: f64::NAN,
        }
    }
}

fn count(records: &[Record], what: impl Fn(&Record) -> bool) -> f64 {
    records.iter().filter(|record| what(record)).count() as f64
}

/// The waits of all that were answered or given up; the latter waited at least so long.
fn waits(records: &[Record]) -> Waits {
    let waited = |it: &&Record| it.is_answered() || it.outcome == Outcome::Unanswered;
    Waits::of(records.iter().filter(waited).map(Record::wait))
}

fn told(records: &[Record], step: Duration) -> Waits {
    Waits::of(records.iter().filter(|record| record.due >= step).filter_map(|it| it.told.waited))
}
