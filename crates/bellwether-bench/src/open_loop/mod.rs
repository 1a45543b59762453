//! Requests that come by a schedule and wait for nobody: what the world does to a server.
//!
//! `wire` is how a request is put and its answer read (HTTP, FastCGI); `visit` one connection;
//! `crowd` all that are open, on one epoll; this file starts them when they are due, `closed` one
//! after another. `record` is what came of each, `waits` what that says about a server.
//!
//! The wait of a request is known in two ways. Of every server: from the moment it was due to its
//! end, less the service that the server says it took; what the client's own lateness, the connect
//! and the close take is in it. Of ours: what the kernel says about the accepted connection
//! (`TCP_INFO`), exact to one of its ticks.

mod closed;
mod crowd;
mod fastcgi;
mod record;
mod visit;
mod waits;
mod wire;

pub(crate) use closed::run as run_closed;
pub(crate) use record::{Outcome, Record};
pub(crate) use waits::{LATE, Waits, settled_after};
pub(crate) use wire::{Target, Wire, parse_request, reply};

use std::thread;
use std::time::Duration;

use anyhow::{Result, anyhow};
use rustix::process::{Resource, Rlimit, getrlimit, setpriority_process, setrlimit};
use rustix::time::{ClockId, clock_gettime};

use self::crowd::Crowd;
use crate::arrivals::Arrival;

/// The generator gets a processor before a server in overload does: as a client elsewhere would.
const NICENESS: i32 = -20;
/// Answers are looked for after so many starts, even when more are due.
const STARTS_AT_ONCE: usize = 64;

/// All that came of a schedule.
#[derive(Debug)]
pub(crate) struct Run {
    /// In the order in which they were due.
    pub(crate) records: Vec<Record>,
    /// What the generator itself cost.
    pub(crate) cpu: Duration,
}

impl Run {
    /// How late the generator was at worst: what it did to the figures.
    pub(crate) fn generator_lateness(&self) -> Duration {
        let lateness = |record: &Record| record.started.saturating_sub(record.due);
        self.records.iter().map(lateness).max().unwrap_or_default()
    }
}

/// Starts each arrival when it is due, then waits up to `patience` for the last answers.
pub(crate) fn run(target: &Target, arrivals: &[Arrival], patience: Duration) -> Result<Run> {
    on_a_preferred_thread(|| drive(target, arrivals, patience))
}

fn drive(target: &Target, arrivals: &[Arrival], patience: Duration) -> Result<Vec<Record>> {
    let mut crowd = Crowd::new(target.clone())?;
    let end = arrivals.last().map_or(Duration::ZERO, |last| last.due) + patience;
    let mut left = arrivals;
    while !(left.is_empty() && crowd.is_empty()) && crowd.now() < end {
        let due = left.iter().take(STARTS_AT_ONCE);
        let count = due.take_while(|arrival| arrival.due <= crowd.now()).count();
        let (starting, later) = left.split_at(count);
        for arrival in starting {
            crowd.begin(*arrival)?;
        }
        left = later;
        crowd.wait(left.first().map_or(end, |next| next.due))?;
    }
    Ok(crowd.into_records())
}

/// Runs a generator with more right to a processor than the servers, and counts what it takes.
fn on_a_preferred_thread(generate: impl FnOnce() -> Result<Vec<Record>> + Send) -> Result<Run> {
    raise_descriptor_limit();
    let body = || -> Result<Run> {
        // Linux changes the calling thread alone; refused to all but root.
        if setpriority_process(None, NICENESS).is_err() {
            eprintln!("not root: the generator waits for a processor like the server");
        }
        let mut records = generate()?;
        records.sort_by_key(|record| record.due);
        let cpu = clock_gettime(ClockId::ThreadCPUTime).try_into()?;
        Ok(Run { records, cpu })
    };
    let joined = thread::scope(|scope| scope.spawn(body).join());
    joined.map_err(|_| anyhow!("the generator panicked"))?
}

/// As many connections at once as the system lets us have.
fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    // What is refused shows as requests that were not sent.
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).ok();
}
