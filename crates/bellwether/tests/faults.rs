//! Faults of handlers, template, spawner and kernel, on real processes: what each may cost.
//!
//! One file a kind of fault, under faults/; what they share is in tracer.rs (faults of the kernel,
//! injected by strace), clients.rs, journal.rs and looks.rs.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "all of it is test code, but clippy sees that only in functions marked #[test]"
)]

mod kit;
mod pool;

#[path = "faults/boot.rs"]
mod boot;
#[path = "faults/clients.rs"]
mod clients;
#[path = "faults/crashes.rs"]
mod crashes;
#[path = "faults/first_process.rs"]
mod first_process;
#[path = "faults/forks.rs"]
mod forks;
#[path = "faults/journal.rs"]
mod journal;
#[path = "faults/looks.rs"]
mod looks;
#[path = "faults/orphans.rs"]
mod orphans;
#[path = "faults/refusals.rs"]
mod refusals;
#[path = "faults/stops.rs"]
mod stops;
#[path = "faults/sweep.rs"]
mod sweep;
#[path = "faults/tracer.rs"]
mod tracer;
