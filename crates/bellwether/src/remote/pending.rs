//! A command that is being done.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::talk::{Heard, Talk};
use crate::error::Result;
use crate::spawner::command::Answer;

/// A command that a server was told and may still be busy with.
///
/// A server goes on with it when this is dropped; only nobody hears what came of it.
#[derive(Debug)]
#[must_use = "whether it was done is told by `wait`"]
pub struct Pending(Talk);

/// What was done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "result", rename = "done")]
#[non_exhaustive]
pub struct Done {
    /// What was done, in words.
    pub what: String,
    /// Seconds that it took.
    pub took_s: f64,
    /// Connections that were cut for it.
    pub cut: u64,
}

impl Pending {
    pub(super) const fn new(talk: Talk) -> Self {
        Self(talk)
    }

    /// Waits until it is over, however long that takes.
    ///
    /// # Errors
    /// [`Error::Change`](crate::Error::Change) when it failed and nothing was changed,
    /// [`Error::Busy`](crate::Error::Busy) when the server does something else now,
    /// [`Error::Denied`](crate::Error::Denied) when we may not ask for it, and
    /// [`Error::System`](crate::Error::System) when the server did not understand, or ended
    /// without an answer.
    pub fn wait(mut self) -> Result<Done> {
        loop {
            if let Some(done) = self.hear(None)? {
                return Ok(done);
            }
        }
    }

    /// Waits for at most this time; `None` when it is not over by then.
    ///
    /// # Errors
    /// As for [`wait`](Self::wait).
    pub fn wait_for(&mut self, time: Duration) -> Result<Option<Done>> {
        self.hear(Some(time))
    }

    fn hear(&mut self, patience: Option<Duration>) -> Result<Option<Done>> {
        match self.0.hear(patience)? {
            Heard::Line(line) => match self.0.read(&line)? {
                Answer::Done { what, took_s, cut } => Ok(Some(Done { what, took_s, cut })),
                other => Err(self.0.refusal(other)),
            },
            Heard::Nothing => Ok(None),
            Heard::End => Err(self.0.ended()),
        }
    }
}

impl fmt::Display for Done {
    /// Writes one sentence: what, how long it took, and how many connections were cut.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, took_s, cut } = self;
        write!(f, "{what}, {took_s:.1} s; ")?;
        match cut {
            0 => f.write_str("nothing was cut"),
            1 => f.write_str("1 connection was cut"),
            _ => write!(f, "{cut} connections were cut"),
        }
    }
}
