//! The kit's own tests: each of its checks must fail when there is something to find.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "all of it is test code, but clippy sees that only in functions marked #[test]"
)]

mod kit;

#[path = "kit/itself/books.rs"]
mod books;
#[path = "kit/itself/clients.rs"]
mod clients;
#[path = "kit/itself/leftovers.rs"]
mod leftovers;
#[path = "kit/itself/looks.rs"]
mod looks;
#[path = "kit/itself/miniature.rs"]
mod miniature;
#[path = "kit/itself/runs.rs"]
mod runs;
#[path = "kit/itself/stage.rs"]
mod stage;
