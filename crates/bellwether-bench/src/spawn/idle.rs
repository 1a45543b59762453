//! What a pool costs that has nothing to do.

use std::thread;
use std::time::Duration;

use anyhow::Result;

use crate::figure::Figure;
use crate::mode::Mode;
use crate::pool::{Count, OurPool, Pool as _, private_memory};
use crate::process;

/// After the start, for what a server still puts in order.
const SETTLING: Duration = Duration::from_secs(1);

pub(super) struct Idle {
    pub(super) handlers: usize,
    /// Private memory of a handler, in KiB.
    pub(super) handler_memory: Figure,
    /// Private memory of the spawner, in KiB.
    pub(super) spawner_memory: u64,
    /// Private memory of whoever is neither spawner nor handler (the template), in KiB.
    pub(super) other_memory: u64,
    /// Wake-ups of the spawner per second.
    pub(super) spawner_wakeups: f64,
    /// Wake-ups of all handlers together per second.
    pub(super) handler_wakeups: f64,
}

impl Idle {
    pub(super) fn measure(mode: Mode, handlers: usize, watch: Duration) -> Result<Self> {
        eprintln!("watching {handlers} idle handlers for {} s", watch.as_secs());
        let mut pool = OurPool::start(mode, handlers)?;
        let (spawner, counts) = (pool.spawner(), pool.counts()?);
        thread::sleep(SETTLING);
        let before = Wakeups::read(spawner, &counts)?;
        thread::sleep(watch);
        let after = Wakeups::read(spawner, &counts)?;
        let is_handler = |pid: &u32| counts.iter().any(|count| count.pid == *pid);
        let others =
            pool.processes()?.into_iter().filter(|pid| !is_handler(pid) && *pid != spawner);
        Ok(Self {
            handlers,
            handler_memory: private_memory(&counts)?,
            spawner_memory: process::private_memory(spawner)?,
            other_memory: others.map(process::private_memory).sum::<Result<_>>()?,
            spawner_wakeups: rate(before.spawner, after.spawner, watch),
            handler_wakeups: rate(before.handlers, after.handlers, watch),
        })
    }
}

struct Wakeups {
    spawner: u64,
    handlers: u64,
}

impl Wakeups {
    fn read(spawner: u32, handlers: &[Count]) -> Result<Self> {
        let of_handlers = handlers.iter().map(|count| process::wakeups(count.pid));
        Ok(Self { spawner: process::wakeups(spawner)?, handlers: of_handlers.sum::<Result<_>>()? })
    }
}

#[allow(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn rate(before: u64, after: u64, watch: Duration) -> f64 {
    after.saturating_sub(before) as f64 / watch.as_secs_f64()
}
