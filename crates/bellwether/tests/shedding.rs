//! Overload: who has waited too long is sent away, and nobody else is; on real processes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "all of it is test code, but clippy sees that only in functions marked #[test]"
)]

mod kit;
mod pool;

#[path = "guards/entries.rs"]
mod entries;

#[path = "shedding/blocking.rs"]
mod blocking;
#[cfg(feature = "tokio")]
#[path = "shedding/gates.rs"]
mod gates;
#[cfg(feature = "http")]
#[path = "shedding/http.rs"]
mod http;

#[cfg(feature = "tls")]
#[path = "tls/stage.rs"]
#[allow(dead_code, reason = "shared with the tests of TLS, each uses a part")]
mod stage;

use std::time::{Duration, Instant};

use serde_json::Value;

use entries::{first, of_kind, total};
use kit::{PATIENCE, Run, eventually};

/// Waits until handlers send the late away; returns the journal's word for it.
fn overload(run: &Run) -> Value {
    let entry = first(run, "overload");
    assert_eq!(entry["inputs"]["shed_above_ms"], 50.0, "{entry}");
    entry
}

fn wait_for(time: Duration) {
    let since = Instant::now();
    eventually(PATIENCE, "time to pass in the buffer", || (since.elapsed() > time).then_some(()));
}

/// Waits until the journal says that so many were sent away and that it is over.
fn end_of_overload(run: &Run, shed: u64) {
    let entry = eventually(PATIENCE, "the end of the overload", || {
        of_kind(run, "overload").into_iter().nth(1)
    });
    assert_eq!(entry["inputs"]["shed"], shed as f64, "{entry}");
}

/// Asserts how many have been sent away, and that those were accepted and not served.
fn assert_shed(run: &Run, shed: u64) {
    eventually(PATIENCE, "the books to close", || (total(run, "in_flight") == 0).then_some(()));
    assert_eq!(total(run, "shed"), shed);
    assert!((shed..=total(run, "accepted")).contains(&total(run, "late")));
    kit::assert_conserved(&run.status());
}
