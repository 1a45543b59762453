//! Our server for the open-loop suites: it sleeps and burns as each request asks.

use std::env;
use std::fs;
use std::hint::black_box;
use std::io::{Read as _, Write as _};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Error, Result};
use bellwether::{Builder, Connection, Notification, Server};
use clap::{Args, ValueEnum};
use rustix::process::{Signal, set_parent_process_death_signal};
use rustix::time::{ClockId, clock_gettime};

use crate::arrivals::Work;
use crate::open_loop::{parse_request, reply};
use crate::our_server::{NAME, RUNTIME};

/// How many handlers there are, and who decides.
#[derive(Args, Clone, Debug)]
pub(crate) struct Options {
    #[arg(long, value_enum)]
    pub(crate) rule: Rule,
    #[arg(long)]
    pub(crate) min: usize,
    #[arg(long)]
    pub(crate) max: usize,
    /// Packed on the lowest slots, so that the others can be spared
    #[arg(long, default_value = "one")]
    pub(crate) notification: Notification,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Rule {
    /// `min` handlers, until `scale` says otherwise
    Fixed,
    /// As many as the load needs
    Demand,
    /// One more when all are busy, one less after 20 ms of idleness: as many lives as possible
    Hasty,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    set_parent_process_death_signal(Some(Signal::TERM))?;
    let builder = Server::builder()
        .listen("tcp://127.0.0.1:0?backlog=4096")
        .threads(1)
        .notification(options.notification)
        .name(NAME);
    with_rule(builder, options)?.open()?.run(Worker)?;
    // For when the program that measures died; it may hold nothing by now.
    env::var_os(RUNTIME).map(fs::remove_dir);
    Ok(())
}

/// The one place where the rule is set.
fn with_rule(builder: Builder, options: &Options) -> Result<Builder> {
    let elastic = builder.bounds(options.min, options.max).shed(options.rule == Rule::Demand);
    Ok(match options.rule {
        Rule::Fixed => elastic.handlers(options.min),
        Rule::Demand => elastic,
        Rule::Hasty => elastic.balance("delayed-off:idle=20ms".parse().map_err(Error::msg)?),
    })
}

#[derive(Clone)]
struct Worker;

impl bellwether::Handler for Worker {
    fn handle(&mut self, connection: Connection) {
        serve(connection);
    }

    fn shed(&mut self, mut connection: Connection) {
        if hear(&mut connection).is_some() {
            let _ =
                connection.write_all(b"HTTP/1.0 503 Service Unavailable\r\nRetry-After: 1\r\n\r\n");
        }
    }
}

fn serve(mut connection: Connection) {
    // A client that left early is its own loss, and the client's records show it.
    let Some((number, work)) = hear(&mut connection) else { return };
    let served = perform(work);
    let reply = reply(number, served, connection.waited());
    connection.write_all(reply.as_bytes()).ok();
}

/// Reads until the empty line after the header.
fn hear(connection: &mut Connection) -> Option<(u64, Work)> {
    let (mut request, mut length) = ([0; 1024], 0);
    while !request[..length].ends_with(b"\r\n\r\n") {
        match connection.read(&mut request[length..]) {
            Ok(0) | Err(_) => return None,
            Ok(more) => length += more,
        }
    }
    parse_request(&request[..length])
}

fn perform(work: Work) -> Duration {
    let start = Instant::now();
    burn(work.cpu);
    if !work.sleep.is_zero() {
        thread::sleep(work.sleep);
    }
    start.elapsed()
}

/// Takes so much of a processor, however long it must wait for one.
fn burn(cpu: Duration) {
    let Some(end) = used().checked_add(cpu).filter(|_| !cpu.is_zero()) else { return };
    let mut value = 1_u64;
    while used() < end {
        // About 10 µs between two looks at the clock, which is a system call.
        for _ in 0..10_000 {
            value = black_box(value.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(7));
        }
    }
}

/// Processor time of this thread.
fn used() -> Duration {
    clock_gettime(ClockId::ThreadCPUTime).try_into().unwrap_or_default()
}
