//! Requests that are written by hand, byte for byte, and what becomes of each: tables from RFC 9110,
//! 9112 and 9113, and clients that use up their time.
//!
//! A line of a table is `name | what is sent | what comes back` (row.rs says how); conversation.rs
//! has it out with a real server. Where hyper is more lenient than the RFC, the line before says why
//! that does no harm. The files are one a topic.
#![cfg(feature = "http")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "all of it is test code, but clippy sees that only in functions marked #[test]"
)]

mod kit;

#[path = "raw/chunks.rs"]
mod chunks;
#[path = "raw/conversation.rs"]
mod conversation;
#[path = "raw/dialogue.rs"]
mod dialogue;
#[path = "raw/fields.rs"]
mod fields;
#[path = "raw/floods.rs"]
mod floods;
#[path = "raw/frames.rs"]
mod frames;
#[path = "raw/fronts.rs"]
mod fronts;
#[path = "raw/http_2.rs"]
mod http_2;
#[path = "raw/lengths.rs"]
mod lengths;
#[path = "raw/lines.rs"]
mod lines;
#[path = "raw/patience.rs"]
mod patience;
#[path = "raw/row.rs"]
mod row;
#[path = "raw/sizes.rs"]
mod sizes;
#[path = "raw/targets.rs"]
mod targets;
