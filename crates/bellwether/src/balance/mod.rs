//! How many handlers a pool should have now.
//!
//! A rule is a value that turns a [`Reading`] into a [`Decision`]. It does no input or output,
//! reads no clock (time is part of the reading) and knows no process, so that the server, a
//! simulator and the property tests run the very same code. Nothing here uses the rest of the
//! crate.

mod fixed;

use std::time::Duration;

pub use fixed::Fixed;

/// What a rule may know about a pool at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Reading {
    /// Time since an arbitrary fixed moment; never runs backwards.
    pub now: Duration,
    /// Handlers that are ready.
    pub handlers: usize,
    /// Handlers that were started and are not ready yet.
    pub starting: usize,
    /// Threads that serve a request, over all handlers.
    pub busy: usize,
    /// Threads a handler has.
    pub threads: usize,
    /// Requests that wait in the buffers.
    pub depth: u32,
    /// Requests accepted since the server started.
    pub accepted: u64,
    /// The fewest handlers allowed.
    pub min: usize,
    /// The most handlers allowed.
    pub max: usize,
}

/// How many handlers there should be, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Decision {
    /// The number of handlers wanted; the caller clamps it to the pool's limits.
    pub target: usize,
    /// The reason in words and numbers, for people.
    pub why: String,
}

impl Decision {
    /// Makes a decision.
    #[must_use]
    pub const fn new(target: usize, why: String) -> Self {
        Self { target, why }
    }
}

/// A rule that says how many handlers a pool should have.
pub trait Balance {
    /// Decides by this reading and what the rule remembers of earlier ones.
    fn decide(&mut self, reading: &Reading) -> Decision;
}
