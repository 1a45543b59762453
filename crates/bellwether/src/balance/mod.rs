//! How many handlers a pool should have now.
//!
//! A rule is a value that turns a [`Reading`] into a [`Decision`]. It does no input or output,
//! reads no clock (time is part of the reading) and knows no process, so that the server, a
//! simulator and the property tests run the very same code. Nothing here uses the rest of the
//! crate.
//!
//! Rules by name are in `rule.rs`, each rule in a file of its own. Those of servers that look at
//! their workers at a pace of their own keep it by `pace.rs`; those that end what idled remember
//! it by `recent.rs`. `Most` combines rules, `Budget` holds one to what the machine can bear, and
//! `Overload` says whom to send away when there cannot be more handlers.

mod average;
mod budget;
mod decision;
mod delayed_off;
mod demand;
mod fixed;
mod fpm_dynamic;
mod fpm_ondemand;
mod knative;
mod knee;
mod most;
mod overload;
mod pace;
mod parameter;
mod reading;
mod recent;
mod rule;
mod slo;
mod spare;
mod unit;
mod uwsgi_backlog;
mod uwsgi_busyness;
mod uwsgi_spare;
mod uwsgi_spare2;

pub use budget::Budget;
pub use decision::{Decision, Limit};
pub use delayed_off::DelayedOff;
pub use demand::Demand;
pub use fixed::Fixed;
pub use fpm_dynamic::FpmDynamic;
pub use fpm_ondemand::FpmOndemand;
pub use knative::Knative;
pub use most::Most;
pub(crate) use overload::BURST;
pub use overload::Overload;
pub use reading::{Occasion, Reading, Resources};
pub use rule::{Description, Rule};
pub use slo::Slo;
pub use spare::Spare;
pub use unit::Unit;
pub use uwsgi_backlog::UwsgiBacklog;
pub use uwsgi_busyness::UwsgiBusyness;
pub use uwsgi_spare::UwsgiSpare;
pub use uwsgi_spare2::UwsgiSpare2;

/// A rule that says how many handlers a pool should have.
pub trait Balance {
    /// Decides by this reading and what the rule remembers of earlier ones.
    fn decide(&mut self, reading: &Reading) -> Decision;
}

#[cfg(test)]
mod tests;
