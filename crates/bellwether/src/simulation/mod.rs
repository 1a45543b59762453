//! A simulator that runs the very balance rules of the server, on loads of which all is known.
//!
//! A [`Workload`] is a row of [`Request`]s, made up ([`synthetic`]) or read from a [`trace`]. A
//! [`Scenario`] says in what surroundings it is served: what a handler costs, how many threads it
//! has, how many processors there are. Running it with a rule gives an [`Outcome`], beside what
//! one who knows the future would have paid ([`clairvoyant`]). The model (`engine.rs`): requests
//! that find no free thread wait in one queue, first come, first served; handlers take a random
//! time to become ready; the rule is asked when the server would ask it; handlers that are too
//! many leave when they are idle, the highest slot first. It knows nothing of the crate but the
//! rules, so that what it finds out about them holds for the server.

pub mod clairvoyant;
mod crew;
mod engine;
mod outcome;
mod processors;
mod scenario;
pub mod synthetic;
pub mod trace;
pub mod tuning;
mod workload;

pub use outcome::{Outcome, Sample};
pub use scenario::{Cpu, Order, Regime, Scenario};
pub use workload::{Request, Workload};

/// The generator of all random numbers: the same on every machine.
pub(crate) type Random = rand_pcg::Pcg64Mcg;
