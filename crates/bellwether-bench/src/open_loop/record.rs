//! What came of one request.

use std::time::Duration;

use super::wire::Told;
use crate::arrivals::{Arrival, Work};

/// What came of one request; times since the start of the schedule.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record {
    pub(crate) due: Duration,
    /// When the generator got round to it.
    pub(crate) started: Duration,
    pub(crate) connected: Option<Duration>,
    pub(crate) first_byte: Option<Duration>,
    /// When it ended, or was given up.
    pub(crate) ended: Duration,
    pub(crate) work: Work,
    pub(crate) told: Told,
    pub(crate) outcome: Outcome,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// With what was asked for.
    Answered,
    /// With something else.
    Wrong,
    /// By a server that said that it has too much to do.
    Refused,
    /// Cut, or closed without a word.
    Reset,
    /// Given up when the run ended.
    Unanswered,
    /// The generator had no room for it.
    NotSent,
}

impl Record {
    pub(super) fn new(arrival: Arrival, now: Duration) -> Self {
        Self {
            due: arrival.due,
            started: now,
            connected: None,
            first_byte: None,
            ended: now,
            work: arrival.work,
            told: Told::default(),
            outcome: Outcome::NotSent,
        }
    }

    pub(super) fn ended(self, now: Duration, outcome: Outcome) -> Self {
        Self { ended: now, outcome, ..self }
    }

    pub(crate) fn is_answered(&self) -> bool {
        self.outcome == Outcome::Answered
    }

    /// From the moment it was due to its end.
    pub(crate) fn response(&self) -> Duration {
        self.ended.saturating_sub(self.due)
    }

    /// The response less the service; of one that was given up, what it had waited at least.
    pub(crate) fn wait(&self) -> Duration {
        let served = if self.is_answered() { self.told.served } else { Some(Duration::ZERO) };
        self.response().saturating_sub(served.unwrap_or_else(|| self.work.total()))
    }

    /// Whether it waited longer than `limit`, or got no answer.
    pub(crate) fn is_late(&self, limit: Duration) -> bool {
        !self.is_answered() || self.wait() > limit
    }
}
