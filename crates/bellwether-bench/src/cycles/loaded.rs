//! Cycles by load: bursts that need the peak, and pauses in which it goes.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::{Options, Toll};
use crate::arrivals::{Arrival, Work};
use crate::elastic_server::{self, Rule};
use crate::open_loop;
use crate::site::{OurSite, Site as _};

const PATIENCE: Duration = Duration::from_secs(10);
/// What each request of a burst asks: long enough that all need a handler at once.
const WORK: Work = Work { cpu: Duration::ZERO, sleep: Duration::from_millis(50) };

/// What came of it.
pub(super) fn run(options: &Options) -> Result<Toll> {
    let (rule, notification) = (Rule::Hasty, bellwether::Notification::One);
    let server = elastic_server::Options { rule, min: 1, max: options.peak, notification };
    let site = OurSite::start(&server)?;
    let start = Instant::now();
    let run = open_loop::run(site.target(), &bursts(options), PATIENCE)?;
    Toll::new(options.cycles(), start.elapsed(), &run.records, &site.pool)
}

fn bursts(options: &Options) -> Vec<Arrival> {
    let period = Duration::from_millis(options.period);
    let burst = |cycle| (0..options.peak).map(move |_| Arrival { due: period * cycle, work: WORK });
    (0..options.cycles()).flat_map(burst).collect()
}
