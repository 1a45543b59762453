//! The death of a spawner under load: nobody is refused, a successor has the same queue, and
//! without one nothing is left. And its name: one spawner has it, whoever removes its folder.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "all of it is test code, but clippy sees that only in functions marked #[test]"
)]

mod kit;
mod pool;

#[path = "faults/clients.rs"]
#[allow(dead_code)] // the faults use more of it
mod clients;
#[path = "orphans/crowd.rs"]
mod crowd;
#[path = "orphans/end.rs"]
mod end;
#[path = "orphans/name.rs"]
mod name;
#[path = "orphans/successor.rs"]
mod successor;
