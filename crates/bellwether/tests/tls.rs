//! HTTP over TLS, on real processes: what clients of all kinds get, and what a reload does to them.
//!
//! One file a question, under tls/; what they share is in stage.rs (certificates and a server with
//! them) and client.rs (a client that knows which certificates to trust).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "all of it is test code, but clippy sees that only in functions marked #[test]"
)]

mod kit;

#[path = "tls/browsers.rs"]
mod browsers;
#[path = "tls/client.rs"]
mod client;
#[path = "tls/clients.rs"]
mod clients;
#[path = "tls/forks.rs"]
mod forks;
#[path = "tls/reloads.rs"]
mod reloads;
#[path = "tls/resumed.rs"]
mod resumed;
#[path = "tls/stage.rs"]
mod stage;
