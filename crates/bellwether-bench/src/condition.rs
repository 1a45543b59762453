//! On which processors server and client run.

use anyhow::{Context as _, Result};
use clap::ValueEnum;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Where server and client run. Their ratio is trustworthy to about 8 % in `U`, 20 % in `S`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Condition {
    /// Server and client share one processor: the total work per request
    U,
    /// Server and client share two processors: wake-ups cross between them
    S,
}

impl Condition {
    /// Pins this process; every server it starts inherits the choice.
    pub(crate) fn apply(self) -> Result<()> {
        let allowed = sched_getaffinity(None).context("cannot read the processor affinity")?;
        let mut chosen = CpuSet::new();
        (0..CpuSet::MAX_CPU)
            .filter(|&cpu| allowed.is_set(cpu))
            .take(self.most())
            .for_each(|cpu| chosen.set(cpu));
        sched_setaffinity(None, &chosen).context("cannot set the processor affinity")
    }

    /// On how many processors server and client run, once applied.
    pub(crate) fn count(self) -> usize {
        let here = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        self.most().min(here)
    }

    fn most(self) -> usize {
        match self {
            Self::U => 1,
            Self::S => 2,
        }
    }

    pub(crate) fn describe(self) -> &'static str {
        match self {
            Self::U => "U (server and client pinned on one processor)",
            Self::S => "S (server and client on the same two processors)",
        }
    }
}
