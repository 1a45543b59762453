//! Cycles by order: `scale` up, `scale` down, as fast as the server does it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, ensure};
use serde_json::json;

use super::Toll;
use crate::arrivals::Work;
use crate::elastic_server::{Options, Rule};
use crate::open_loop::run_closed;
use crate::pool::OurPool;
use crate::site::{OurSite, Site as _};

/// What each request asks: long enough to be under way when its handler is told to leave.
const WORK: Work = Work { cpu: Duration::ZERO, sleep: Duration::from_millis(1) };

pub(super) fn run(cycles: u32, peak: usize) -> Result<Toll> {
    let notification = bellwether::Notification::One;
    let site = OurSite::start(&Options { rule: Rule::Fixed, min: 1, max: peak, notification })?;
    let (start, over) = (Instant::now(), AtomicBool::new(false));
    let go_on = |_| !over.load(Ordering::Relaxed);
    let (records, scaled) = thread::scope(|scope| {
        let asking = scope.spawn(|| run_closed(site.target(), WORK, peak, go_on));
        let scaled = up_and_down(&site.pool, cycles, peak);
        over.store(true, Ordering::Relaxed);
        (asking.join(), scaled)
    });
    scaled?;
    let run = records.map_err(|_| anyhow!("the clients panicked"))??;
    Toll::new(cycles, start.elapsed(), &run.records, &site.pool)
}

fn up_and_down(pool: &OurPool, cycles: u32, peak: usize) -> Result<()> {
    for cycle in 1..=cycles {
        scale(pool, peak)?;
        scale(pool, 1)?;
        if cycle.is_multiple_of(1000) || cycle == cycles {
            eprintln!("cycle {cycle} of {cycles}");
        }
    }
    Ok(())
}

fn scale(pool: &OurPool, handlers: usize) -> Result<()> {
    let order = json!({ "verb": "scale", "handlers": handlers.to_string() });
    let answer = pool.command(&order)?;
    ensure!(answer["result"] == "done", "scale to {handlers}: {answer}");
    Ok(())
}
