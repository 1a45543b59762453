//! A line each time, where there is no terminal to draw on.

use std::thread;
use std::time::{Duration, Instant};

use bellwether::remote;
use bellwether::status::PoolStatus;

use super::model::Model;
use crate::ending::Ending;
use crate::output::print;
use crate::words::{age, count};

/// So many lines come between two heads.
const PAGE: usize = 20;

const HEAD: &str = "     UP POOL       HANDLERS BUSY WANT  BUFFER  CONN/S WAIT99MS GEN STATE\n";

/// Prints until nobody reads any more, or the server is gone.
pub(super) fn run(name: Option<&str>, interval: Duration) -> Result<(), Ending> {
    let mut model = Model::default();
    for line in 0_usize.. {
        let status = remote::status(name)?;
        model.see(status, Instant::now());
        if line.is_multiple_of(PAGE) {
            print(HEAD)?;
        }
        let up = model.status.as_ref().map_or(0.0, |status| status.uptime_s);
        let lines = model.pools().iter().map(|pool| row(up, pool, &model));
        print(&lines.collect::<String>())?;
        thread::sleep(interval);
    }
    Ok(())
}

fn row(up: f64, pool: &PoolStatus, model: &Model) -> String {
    let PoolStatus { name, handlers, want, generation, state, .. } = pool;
    let busy = handlers.iter().filter(|it| it.state == "busy").count();
    let now = |number: Option<u64>| number.map_or_else(|| "-".into(), count);
    let track = model.track(pool);
    let told = track.filter(|_| pool.serves.is_none());
    let depth = now(track.map(|track| track.depth.now()));
    let arrivals = now(told.map(|track| track.arrivals.now()));
    let wait = now(told.map(|track| track.wait.now()));
    let (up, number) = (age(up), handlers.len());
    format!(
        "{up:>7} {name:<10} {number:>8} {busy:>4} {want:>4} {depth:>7} {arrivals:>7} {wait:>8} \
         {generation:>3} {state}\n"
    )
}
