//! A handler for each request that finds nobody: the rule of php-fpm's `pm = ondemand`.

use std::cmp::Reverse;
use std::time::Duration;

use super::pace::Pace;
use super::parameter::{Named, Parameter};
use super::recent::Recent;
use super::{Balance, Decision, Occasion, Reading};

/// Starts a handler whenever requests come and none is idle, as php-fpm does with `pm = ondemand`.
///
/// Requests that come at once are one event and start one handler; those that start already do
/// not count. Once a second one handler ends if one was idle for longer than `idle`. Source:
/// `fpm_pctl_on_socket_accept` and `fpm_pctl_perform_idle_server_maintenance` in php-src's
/// `sapi/fpm/fpm/fpm_process_ctl.c`. php-fpm looks at the oldest handler only, so that it depends
/// on who gets the requests when it ends one; here one has idled for so long when so long at least
/// one was idle, whichever.
///
/// ```
/// use bellwether::balance::{Balance, FpmOndemand, Reading};
/// let mut reading = Reading::default();
/// let mut rule = FpmOndemand::default();
/// assert_eq!(rule.decide(&reading).target, 0);
/// reading.depth = 3;
/// assert_eq!(rule.decide(&reading).target, 1);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FpmOndemand {
    /// How long a handler may be idle: `pm.process_idle_timeout`, 10 s unless set.
    pub idle: Duration,
    /// Of the idle handlers, the fewest.
    fewest: Recent<Reverse<usize>>,
    /// Requests that ever came.
    came: u64,
    target: usize,
    pace: Pace,
}

/// php-fpm compares whole seconds: more than ten have passed after eleven.
const MORE: Duration = Duration::from_secs(1);

impl Default for FpmOndemand {
    fn default() -> Self {
        Self {
            idle: Duration::from_secs(10),
            fewest: Recent::new(),
            came: 0,
            target: 0,
            pace: Pace::every(Duration::from_secs(1)),
        }
    }
}

impl Balance for FpmOndemand {
    fn decide(&mut self, reading: &Reading) -> Decision {
        let (now, alive, span) = (reading.now, reading.alive(), self.idle.saturating_add(MORE));
        if self.fewest.is_empty() {
            // For how long they have idled is not known.
            self.fewest.push(now, span, Reverse(0));
            self.pace.begin(0, reading);
            self.target = alive;
        }
        let Reverse(fewest) = self.fewest.push(now, span, Reverse(reading.idle()));
        let due = self.pace.is_due(now);
        let mut why = format!("{} idle of {alive}", reading.idle());
        if self.is_event(reading) {
            self.target = alive.saturating_add(1).min(reading.max);
            why = format!("requests came and none of {alive} is idle: one more");
        } else if due && fewest > 0 && alive > reading.min {
            self.target = self.target.min(alive - 1);
            why = format!("{fewest} idle for more than {:?}: one less", self.idle);
        }
        let again = self.again(fewest, reading);
        self.pace.rest(again.is_none());
        let decision = Decision::new(self.target, format!("{}: {why}", Self::NAME));
        Decision { again, ..decision }
    }
}

impl FpmOndemand {
    /// Whether requests came that found nobody.
    fn is_event(&mut self, reading: &Reading) -> bool {
        let came = reading.accepted.saturating_add(reading.depth.into());
        let new = came > self.came || reading.occasion == Occasion::Doorbell;
        self.came = came;
        new && reading.depth > 0 && reading.idle() == 0
    }

    fn again(&self, fewest: usize, reading: &Reading) -> Option<Duration> {
        let can_end = reading.idle() > 0 && reading.alive() > reading.min;
        let idled = self.fewest.next_fall(self.idle.saturating_add(MORE));
        let moment = if fewest > 0 { self.pace.next() } else { idled };
        moment.filter(|_| can_end)
    }
}

impl Named for FpmOndemand {
    const NAME: &'static str = "fpm-ondemand";
    const ABOUT: &'static str =
        "One more when requests come and none is idle, as php-fpm's pm = ondemand.";

    fn parameters(&mut self) -> Vec<Parameter<'_>> {
        vec![Parameter::time("idle", "how long a handler may be idle", &mut self.idle)]
    }
}
