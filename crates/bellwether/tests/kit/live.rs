//! How many handlers could serve, over time.

use std::time::{Duration, Instant};

use super::control::{self, Control};
use super::processes;
use super::run::Run;
use super::sampler::Sampler;

const PERIOD: Duration = Duration::from_millis(20);

/// Samples the handlers that the spawner says are ready and that `/proc` says are alive: the
/// spawner may not know yet of a death, and `/proc` does not know a handler from a template.
#[derive(Debug)]
pub struct LiveSeries {
    sampler: Sampler<usize>,
}

impl LiveSeries {
    /// Starts to sample.
    pub fn of(run: &Run) -> Self {
        let control = run.control();
        Self { sampler: Sampler::start(PERIOD, move || live(&control)) }
    }

    /// Ends the sampling: the longest time with fewer than `minimum` handlers, from the first such
    /// sample to the last one in a row.
    #[track_caller]
    pub fn longest_below(self, minimum: usize) -> Duration {
        let samples = self.sampler.finish();
        assert!(!samples.is_empty(), "the server never answered a sampling of its status");
        longest_below(&samples, minimum)
    }
}

fn live(control: &Control) -> Option<usize> {
    let ready = control::ready(&control.status().ok()?);
    Some(ready.into_iter().filter(|pid| processes::is_alive(*pid)).count())
}

/// The rule behind [`LiveSeries::longest_below`].
pub fn longest_below(samples: &[(Instant, usize)], minimum: usize) -> Duration {
    let valleys = samples.chunk_by(|left, right| (left.1 < minimum) == (right.1 < minimum));
    let depths = valleys.filter(|valley| valley[0].1 < minimum);
    depths.map(|valley| valley[valley.len() - 1].0 - valley[0].0).max().unwrap_or_default()
}
