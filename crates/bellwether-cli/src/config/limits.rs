//! How long clients of HTTP are waited for, and how much they may send.

use std::time::Duration;

use bellwether::http::Limits;
use bytesize::ByteSize;
use clap::Args;

use super::rules::{self, Problem};
use super::settings::PoolSettings;
use super::written::Written;

/// The keys of a pool about its clients, as flags.
#[derive(Clone, Debug, Args)]
pub(crate) struct LimitFlags {
    /// How long a connection is kept on which nothing is asked [default: 60s].
    #[arg(long, value_name = "TIME", help_heading = CLIENTS)]
    idle_timeout: Option<Written<Duration>>,

    /// How long the head of a request may take; then 408 [default: 30s].
    #[arg(long, value_name = "TIME", help_heading = CLIENTS)]
    head_timeout: Option<Written<Duration>>,

    /// How long the next piece of a body may take, and all of it longer by a second for each 500
    /// bytes; then 408 [default: 30s].
    ///
    /// Only while something waits for it: the files of a directory do not.
    #[arg(long, value_name = "TIME", help_heading = CLIENTS)]
    body_timeout: Option<Written<Duration>>,

    /// How long an answer waits for a client that takes nothing of it, and longer by a second for
    /// each 500 bytes that it took; then it is cut [default: 60s].
    #[arg(long, value_name = "TIME", help_heading = CLIENTS)]
    write_timeout: Option<Written<Duration>>,

    /// How long the path and query of a request may be; then 414 [default: 8KiB].
    #[arg(long, value_name = "SIZE", help_heading = CLIENTS)]
    max_target: Option<Written<ByteSize>>,

    /// How long the head of a request may be, 1KiB to 1MiB; then 431 [default: 32KiB].
    #[arg(long, value_name = "SIZE", help_heading = CLIENTS)]
    max_head: Option<Written<ByteSize>>,

    /// How long the body of a request may be; then 413 [default: 1GiB].
    #[arg(long, value_name = "SIZE", help_heading = CLIENTS)]
    max_body: Option<Written<ByteSize>>,
}

const CLIENTS: &str = "Clients (of HTTP)";

/// The least and the most that a head may be allowed, as the library has it.
const HEAD: (ByteSize, ByteSize) = (ByteSize::kib(1), ByteSize::mib(1));

impl LimitFlags {
    /// The settings that a file with the same settings would give.
    pub(crate) fn added_to(&self, pool: PoolSettings) -> PoolSettings {
        PoolSettings {
            idle_timeout: self.idle_timeout,
            head_timeout: self.head_timeout,
            body_timeout: self.body_timeout,
            write_timeout: self.write_timeout,
            max_target: self.max_target,
            max_head: self.max_head,
            max_body: self.max_body,
            ..pool
        }
    }
}

/// The library's limits for these settings.
pub(super) fn limits(pool: &PoolSettings) -> Limits {
    let usual = Limits::default();
    let time = |it: Option<Written<Duration>>, usual| it.map_or(usual, |it| it.0);
    let bytes = |it: Option<Written<ByteSize>>, usual: usize| {
        it.map_or(usual, |it| usize::try_from(it.0.0).unwrap_or(usize::MAX))
    };
    Limits {
        idle: time(pool.idle_timeout, usual.idle),
        head: time(pool.head_timeout, usual.head),
        body: time(pool.body_timeout, usual.body),
        write: time(pool.write_timeout, usual.write),
        target_bytes: bytes(pool.max_target, usual.target_bytes),
        head_bytes: bytes(pool.max_head, usual.head_bytes),
        body_bytes: pool.max_body.map_or(usual.body_bytes, |it| it.0.0),
    }
}

/// What is said about clients of HTTP, and whether it is possible.
pub(super) fn about_clients(pool: &PoolSettings) -> impl Iterator<Item = Problem> {
    let times = [
        ("idle-timeout", pool.idle_timeout),
        ("head-timeout", pool.head_timeout),
        ("body-timeout", pool.body_timeout),
        ("write-timeout", pool.write_timeout),
    ];
    let (least, most) = HEAD;
    let impossible = times.map(|(key, time)| rules::time_outside(key, time));
    let impossible = impossible.into_iter().chain([
        rules::outside("max-head", pool.max_head, least, most, rules::text),
        rules::below("max-target", pool.max_target, ByteSize::b(1)),
    ]);
    impossible.flatten().chain(seen_by_the_program(pool))
}

/// A program speaks with its clients itself.
fn seen_by_the_program(pool: &PoolSettings) -> impl Iterator<Item = Problem> {
    let is_program = !pool.command.is_empty();
    let given = [
        ("idle-timeout", pool.idle_timeout.is_some()),
        ("head-timeout", pool.head_timeout.is_some()),
        ("body-timeout", pool.body_timeout.is_some()),
        ("write-timeout", pool.write_timeout.is_some()),
        ("max-target", pool.max_target.is_some()),
        ("max-head", pool.max_head.is_some()),
        ("max-body", pool.max_body.is_some()),
    ];
    let given = given.into_iter().filter(move |(_, given)| is_program && *given);
    given.map(|(key, _)| Problem {
        keys: vec![(key, "heard by the program alone".into())],
        message: format!("{key}: the clients of a program are heard by it alone"),
        hint: "leave it out, and use the program's own limit".into(),
    })
}
