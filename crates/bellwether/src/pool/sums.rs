//! What the handlers of a pool have done, the living and those that are gone.

use std::collections::BTreeMap;

use rustix::process::WaitStatus;
use serde::{Deserialize, Serialize};

use crate::journal::Cause;
use crate::scoreboard::histogram::Histogram;
use crate::scoreboard::telemetry::{Snapshot, WAIT_BUCKETS};
use crate::status::{ServiceTime, ServiceTimes, Totals, Waits};
use crate::sys::signal;

/// Sums over handlers; they outlive them, and the program of the spawner.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Sums {
    pub(super) totals: Totals,
    waits: Vec<u64>,
    served: Histogram,
    /// How many ended, by what ended them.
    #[serde(default)]
    pub(super) ended: BTreeMap<String, u64>,
}

impl Sums {
    /// Adds what one handler says; liars can make the sums wrong, but not overflow.
    pub(super) fn add(&mut self, seen: &Snapshot) {
        self.totals.add(seen);
        self.waits.resize(WAIT_BUCKETS, 0);
        for (sum, count) in self.waits.iter_mut().zip(seen.waits) {
            *sum = sum.saturating_add(count);
        }
        self.served.add(&seen.served);
    }

    /// Adds the last words of a handler: what it held when it died ended with it.
    pub(super) fn add_the_last(&mut self, seen: &Snapshot) {
        self.add(&Snapshot { aborted: seen.wins - seen.completed, ..seen.clone() });
        self.totals.exited += 1;
    }

    /// Notes what ended a handler.
    pub(super) fn note_end(&mut self, cause: Cause, status: WaitStatus) {
        *self.ended.entry(cause_of_end(cause, status)).or_default() += 1;
    }

    pub(super) fn waits(&self) -> Waits {
        let mut counts = self.waits.clone();
        counts.resize(WAIT_BUCKETS, 0);
        Waits { counts }
    }

    pub(super) fn service(&self) -> ServiceTimes {
        let classes = self.served.classes();
        let classes = classes.map(|(below_us, count)| ServiceTime { below_us, count });
        ServiceTimes { classes: classes.collect(), total_us: self.served.total_us }
    }
}

/// What ended a handler: the cause, where that was a signal or an exit status with which.
fn cause_of_end(cause: Cause, status: WaitStatus) -> String {
    match (cause, status.exit_status(), status.terminating_signal()) {
        (Cause::Signal, _, Some(number)) => format!("signal {}", signal::name(number)),
        (Cause::Exit, Some(code), _) => format!("exit {code}"),
        _ => cause.to_string(),
    }
}

impl Totals {
    /// Adds what one handler says, as [`Sums::add`] does.
    pub(super) fn add(&mut self, seen: &Snapshot) {
        let sums = [
            (&mut self.accepted, seen.wins),
            (&mut self.completed, seen.completed),
            (&mut self.aborted, seen.aborted),
            (&mut self.requests, seen.requests),
            (&mut self.wakeups, seen.wakeups),
            (&mut self.losses, seen.losses),
            (&mut self.late, seen.late),
            (&mut self.shed, seen.shed),
        ];
        for (sum, count) in sums {
            *sum = sum.saturating_add(count);
        }
    }
}
