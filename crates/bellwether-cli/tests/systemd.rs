//! The program under the real systemd, on a machine of its own: what units can rely on.
//!
//! Units are in systemd/units.rs, clients in systemd/clients.rs; one file a subject beside them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "all of it is test code, but clippy sees that only in functions marked #[test]"
)]

#[path = "../../bellwether/tests/kit/mod.rs"]
mod kit;

#[path = "systemd/activation.rs"]
mod activation;
#[path = "systemd/clients.rs"]
mod clients;
#[path = "systemd/custody.rs"]
mod custody;
#[path = "systemd/generated.rs"]
mod generated;
#[path = "systemd/units.rs"]
mod units;
