//! How many handlers a pool should have now.
//!
//! A rule is a value that turns a [`Reading`] into a [`Decision`]. It does no input or output,
//! reads no clock (time is part of the reading) and knows no process, so that the server, a
//! simulator and the property tests run the very same code. Nothing here uses the rest of the
//! crate.

mod budget;
mod decision;
mod fixed;
mod knee;
mod overload;
mod reading;
mod slo;

pub use budget::Budget;
pub use decision::{Decision, Limit};
pub use fixed::Fixed;
pub use overload::Overload;
pub use reading::{Occasion, Reading, Resources};
pub use slo::Slo;

/// A rule that says how many handlers a pool should have.
pub trait Balance {
    /// Decides by this reading and what the rule remembers of earlier ones.
    fn decide(&mut self, reading: &Reading) -> Decision;
}
