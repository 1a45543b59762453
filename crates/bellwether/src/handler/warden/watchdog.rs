//! A program that is to say again and again that it is alive, and is ended when it does not.

use std::time::Duration;

use rustix::process::Signal;

use super::parting::tell;
use super::{Stage, Warden, family};

/// A look that comes later than this was overslept: all of us were stopped, or the machine.
const LATE: Duration = Duration::from_millis(250);

/// How long a program may take to leave its memory (SIGABRT) before it is killed.
const LAST_MOMENT: Duration = Duration::from_secs(1);

/// When a program has said last that it is alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Watchdog {
    limit: Duration,
    heard: Duration,
    /// When it was looked last whether it is silent.
    looked: Duration,
}

impl Watchdog {
    pub(super) const fn new(limit: Duration) -> Self {
        Self { limit, heard: Duration::ZERO, looked: Duration::ZERO }
    }

    /// It has said so, or its time begins.
    pub(super) const fn hear(&mut self, now: Duration) {
        (self.heard, self.looked) = (now, now);
    }

    /// Returns how long it may still be silent.
    pub(super) fn patience(&self, now: Duration) -> Duration {
        self.heard.saturating_add(self.limit).saturating_sub(now)
    }

    /// Tells whether it has been silent for too long.
    ///
    /// Who oversleeps does not know what would have been said meanwhile, and begins anew.
    fn is_silent(&mut self, now: Duration) -> bool {
        let due = self.looked.saturating_add(self.patience(self.looked));
        if now > due.saturating_add(LATE) {
            self.hear(now);
        }
        self.looked = now;
        self.patience(now) == Duration::ZERO
    }
}

impl Warden<'_> {
    /// Ends a program that has been silent for too long.
    pub(super) fn mind_the_watchdog(&mut self, now: Duration) {
        if let Some(until) = self.aborted {
            if until <= now {
                tell(&family(), Signal::KILL);
            }
            return;
        }
        let watches = matches!(self.stage, Stage::Serving | Stage::Emptying);
        let Some(watchdog) = self.watchdog.as_mut().filter(|_| watches) else { return };
        if watchdog.is_silent(now) {
            let limit = watchdog.limit.as_secs_f64();
            self.abort(now, &format!("it did not say WATCHDOG=1 for {limit} s"));
        }
    }

    /// Ends a program that does not work, so that it leaves its memory for whoever looks into it.
    pub(super) fn abort(&mut self, now: Duration, why: &str) {
        if self.aborted.is_none() && matches!(self.stage, Stage::Serving | Stage::Emptying) {
            self.aborted = Some(now.saturating_add(LAST_MOMENT));
            self.hang_up(now, why);
            tell(&family(), Signal::ABORT);
        }
    }

    /// Lets the spawner see that this handler is about to end by itself, and why.
    pub(super) fn hang_up(&mut self, now: Duration, why: &str) {
        self.post.say_why_not(why);
        self.post.break_up();
        self.hears = false;
        self.orphaned.get_or_insert_with(|| now.saturating_add(self.post.orphan_limit));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn who_says_nothing_for_too_long_is_silent() {
        let check = |looks: &[u64], heard: &[u64], expected: Option<u64>| {
            let mut watchdog = Watchdog::new(ms(1000));
            watchdog.hear(ms(0));
            let silent = looks.iter().copied().find(|now| {
                heard.iter().filter(|at| *at == now).for_each(|at| watchdog.hear(ms(*at)));
                watchdog.is_silent(ms(*now))
            });
            assert_eq!(silent, expected, "looks at {looks:?}, heard at {heard:?}");
        };
        check(&[500, 999], &[], None);
        check(&[500, 1000], &[], Some(1000));
        check(&[1200], &[], Some(1200));
        check(&[600, 1000, 1600], &[600], Some(1600));
        // All of us were stopped: nobody knows what it would have said.
        check(&[500, 9000, 9999], &[], None);
        check(&[500, 9000, 10_000], &[], Some(10_000));
    }
}
