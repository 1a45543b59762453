//! Changes of a running server: what they cost its clients (nothing), how they fail, and what
//! happens when several things are asked for at once.
//!
//! One file a question, under changes/; what they share is in way.rs (the ways to change, and how
//! far one is), traffic.rs (clients that never stop asking) and crowd.rs (many that keep their connections).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "all of it is test code, but clippy sees that only in functions marked #[test]"
)]

mod kit;
mod pool;

#[path = "changes/broken.rs"]
mod broken;
#[path = "faults/clients.rs"]
#[allow(dead_code, reason = "shared with the tests of faults, each uses a part")]
mod clients;
#[cfg(feature = "http")]
#[path = "changes/crowd.rs"]
mod crowd;
#[cfg(feature = "http")]
#[path = "changes/kept.rs"]
mod kept;
#[path = "changes/leaks.rs"]
mod leaks;
#[path = "changes/listeners.rs"]
mod listeners;
#[path = "changes/loss.rs"]
mod loss;
#[path = "changes/orders.rs"]
mod orders;
#[path = "changes/overlaps.rs"]
mod overlaps;
#[path = "changes/stops.rs"]
mod stops;
#[path = "changes/switch.rs"]
mod switch;
#[path = "changes/traffic.rs"]
#[cfg_attr(not(feature = "http"), allow(dead_code, reason = "HTTP is a way to ask, too"))]
mod traffic;
#[path = "changes/way.rs"]
mod way;
