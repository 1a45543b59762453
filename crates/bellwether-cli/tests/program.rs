//! The program as its users meet it: the real binary, real clients, and what is left afterwards.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "all of it is test code, but clippy sees that only in functions marked #[test]"
)]

#[path = "../../bellwether/tests/kit/mod.rs"]
mod kit;

#[path = "program/access_log.rs"]
mod access_log;
#[path = "program/app.rs"]
mod app;
#[path = "program/bad_input.rs"]
mod bad_input;
#[path = "program/cache.rs"]
mod cache;
#[path = "program/changes.rs"]
mod changes;
#[path = "program/clients.rs"]
mod clients;
#[path = "program/compress.rs"]
mod compress;
#[path = "program/config.rs"]
mod config;
#[path = "program/demo.rs"]
mod demo;
#[path = "program/files.rs"]
mod files;
#[path = "program/generate.rs"]
mod generate;
#[path = "program/help.rs"]
mod help;
#[path = "program/https.rs"]
mod https;
#[path = "program/limits.rs"]
mod limits;
#[path = "program/listing.rs"]
mod listing;
#[path = "program/load.rs"]
mod load;
#[path = "program/log.rs"]
mod log;
#[path = "program/log_forms.rs"]
mod log_forms;
#[path = "program/observe.rs"]
mod observe;
#[path = "program/passed.rs"]
mod passed;
#[path = "program/proxies.rs"]
mod proxies;
#[path = "program/simulate.rs"]
mod simulate;
#[path = "program/stage.rs"]
mod stage;
#[path = "program/start.rs"]
mod start;
#[path = "program/status.rs"]
mod status;
#[path = "program/stop.rs"]
mod stop;
#[path = "program/take_over.rs"]
mod take_over;
#[path = "program/taken.rs"]
mod taken;
#[path = "program/titles.rs"]
mod titles;
#[path = "program/top.rs"]
mod top;
#[path = "program/welcome.rs"]
mod welcome;
