//! What people build on HTTP, on real processes with real clients: axum, WebSockets, server-sent
//! events, gRPC; and how the settings about connections and requests hold.
//!
//! One file a question, under services/; what they share is in stage.rs.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "all of it is test code, but clippy sees that only in functions marked #[test]"
)]

mod kit;

#[path = "services/axum.rs"]
mod axum;
#[path = "services/events.rs"]
mod events;
#[path = "services/grpc.rs"]
mod grpc;
#[path = "services/settings.rs"]
mod settings;
#[path = "services/stage.rs"]
mod stage;
#[path = "services/web_socket.rs"]
mod web_socket;
