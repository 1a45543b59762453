//! When the spawner looks around: often while requests come, not at all while none do.

use std::time::Duration;

/// How often an awake spawner looks around.
///
/// Below the promised 250 ms, so that nothing waits longer than that beside an idle handler.
pub(crate) const TICK: Duration = Duration::from_millis(100);

/// After so many looks at which nothing had happened the spawner sleeps.
const STILL: u32 = 10;

/// Whether the spawner ticks.
///
/// Asleep, it has armed the listeners once (EPOLLONESHOT): the first request that is
/// still there when it looks wakes it, beside the handlers and without accepting; one that a
/// handler has taken by then needs nobody. Awake, it ticks until nothing has happened for a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Watch {
    Asleep,
    Awake {
        /// When to look next.
        next: Duration,
        /// Looks in a row at which nothing had happened.
        still: u32,
    },
}

impl Watch {
    /// Something happens: look around from now on.
    pub(crate) fn rouse(self, now: Duration) -> Self {
        match self {
            Self::Asleep => Self::Awake { next: now + TICK, still: 0 },
            Self::Awake { next, .. } => Self::Awake { next, still: 0 },
        }
    }

    /// After a look: goes on or falls asleep.
    pub(crate) fn looked(self, now: Duration, active: bool) -> Self {
        match self {
            Self::Awake { still, .. } if active || still + 1 < STILL => {
                Self::Awake { next: now + TICK, still: if active { 0 } else { still + 1 } }
            }
            _ => Self::Asleep,
        }
    }

    /// Looks at this moment at the latest, if it is awake.
    pub(crate) fn no_later_than(self, moment: Duration) -> Self {
        match self {
            Self::Asleep => Self::Asleep,
            Self::Awake { next, still } => Self::Awake { next: next.min(moment), still },
        }
    }

    /// Returns when to look next.
    pub(crate) const fn next(self) -> Option<Duration> {
        match self {
            Self::Asleep => None,
            Self::Awake { next, .. } => Some(next),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spawner_falls_asleep_a_second_after_the_last_request() {
        let mut now = Duration::from_secs(5);
        let mut watch = Watch::Asleep.rouse(now);
        let mut looks = 0;
        while let Some(next) = watch.next() {
            now = next;
            watch = watch.looked(now, looks < 3);
            looks += 1;
        }
        assert_eq!(looks, 3 + STILL);
        assert_eq!(now, Duration::from_secs(5) + TICK * (3 + STILL));
    }

    #[test]
    fn a_request_keeps_it_awake() {
        let now = Duration::from_secs(5);
        let drowsy = Watch::Awake { next: now, still: STILL - 1 };
        assert!(drowsy.rouse(now).looked(now, false).next().is_some());
        assert_eq!(drowsy.looked(now, false), Watch::Asleep);
    }
}
