//! What guards a pool: hard deadlines, recycling, the budget for crashes; on real processes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "all of it is test code, but clippy sees that only in functions marked #[test]"
)]

mod kit;
mod pool;

#[path = "guards/crash_loops.rs"]
mod crash_loops;
#[path = "guards/entries.rs"]
mod entries;
#[path = "guards/overdue.rs"]
mod overdue;
#[path = "guards/recycling.rs"]
mod recycling;
