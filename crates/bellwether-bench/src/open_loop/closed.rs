//! Clients that ask again as soon as they are answered: the most that a server can do.

use std::time::Duration;

use anyhow::Result;

use super::crowd::Crowd;
use super::{Run, Target, on_a_preferred_thread};
use crate::arrivals::{Arrival, Work};

/// How long the last answers are waited for.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often to look whether to go on when nobody is answered.
const PERIOD: Duration = Duration::from_millis(10);

/// Keeps `clients` requests going while `go_on` says so of the time since the start, then waits for
/// the last ones.
///
/// Each request is due when it is started.
pub(crate) fn run(
    target: &Target,
    work: Work,
    clients: usize,
    go_on: impl Fn(Duration) -> bool + Send,
) -> Result<Run> {
    on_a_preferred_thread(move || {
        let mut crowd = Crowd::new(target.clone())?;
        while go_on(crowd.now()) {
            for _ in crowd.len()..clients {
                crowd.begin(Arrival { due: crowd.now(), work })?;
            }
            crowd.wait(crowd.now() + PERIOD)?;
        }
        let end = crowd.now() + PATIENCE;
        while !crowd.is_empty() && crowd.now() < end {
            crowd.wait(end)?;
        }
        Ok(crowd.into_records())
    })
}
