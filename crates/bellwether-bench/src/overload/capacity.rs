//! How many requests a second the processors can serve.

use std::time::Duration;

use anyhow::Result;

use super::Overload;
use crate::neighbours::Neighbours;
use crate::open_loop::run_closed;
use crate::site::{OurSite, Site as _};

/// Left out at the start.
const WARM_UP: Duration = Duration::from_secs(1);
const WINDOW: Duration = Duration::from_secs(5);

/// What the machine could do.
#[derive(Clone, Copy, Debug)]
pub(super) struct Capacity {
    /// Requests per second.
    pub(super) rate: f64,
    /// The share of the processors that neighbours took from it.
    pub(super) elsewhere: f64,
}

/// Requests per second of twice as many handlers as use up the processors, and as many clients who
/// ask again at once: some sleep by chance at the same time, and others work for them.
pub(super) fn measure(overload: &Overload) -> Result<Capacity> {
    let handlers = overload.knee() * 2;
    let site = OurSite::fixed(handlers)?;
    let end = WARM_UP + WINDOW;
    let before = Neighbours::look(site.root())?;
    let run = run_closed(site.target(), overload.work, handlers, |now| now < end)?;
    let elsewhere = Neighbours::look(site.root())?.share_since(&before)?;
    let inside = |moment: Duration| (WARM_UP..end).contains(&moment);
    let answered = run.records.iter().filter(|record| record.is_answered() && inside(record.ended));
    Ok(Capacity { rate: answered.count() as f64 / WINDOW.as_secs_f64(), elsewhere })
}
