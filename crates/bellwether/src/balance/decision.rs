//! What a rule says.

use std::fmt;
use std::time::Duration;

/// How many handlers there should be, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Decision {
    /// The number of handlers wanted, those on their way included; the caller clamps it to the
    /// pool's limits.
    pub target: usize,
    /// The reason in words and numbers, for people.
    pub why: String,
    /// What keeps the number from being higher, if something does.
    pub limit: Option<Limit>,
    /// When the rule would decide otherwise though nothing happens; `None`: never.
    pub again: Option<Duration>,
}

/// What keeps a pool from growing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Limit {
    /// The most handlers that the operator allows.
    Max,
    /// More handlers would only wait for the processors.
    Processors,
    /// The memory that is left.
    Memory,
    /// Somebody waits for memory already.
    Pressure,
}

impl Decision {
    /// Makes a decision that nothing limits and that holds until something happens.
    #[must_use]
    pub const fn new(target: usize, why: String) -> Self {
        Self { target, why, limit: None, again: None }
    }

    /// Adds when to ask again though nothing happens.
    #[must_use]
    pub const fn until(mut self, moment: Duration) -> Self {
        self.again = Some(moment);
        self
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Max => "max",
            Self::Processors => "processors",
            Self::Memory => "memory",
            Self::Pressure => "memory pressure",
        })
    }
}
