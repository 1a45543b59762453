//! Overload: more come than can be served, and there will be no more handlers. Then handlers are told
//! from which wait on a connection is sent away, so that the others are on time.

use std::time::Duration;

use super::{Phase, Pool};
use crate::address::Kind as Socket;
use crate::balance::{BURST, Overload};
use crate::journal::{Entry, Kind};

/// How long nothing must have stood in the buffer until the overload is told to be over.
const CALM: Duration = Duration::from_secs(5);

/// What a pool knows of its overload.
#[derive(Debug, Default)]
pub(super) struct Shedding {
    overload: Overload,
    /// When it was last overloaded, until that is told to be over.
    last: Option<Duration>,
    /// How many had been sent away when it was told to begin.
    before: u64,
}

/// What is to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum News {
    Begins,
    IsOver,
}

impl Shedding {
    fn note(&mut self, now: Duration, overloaded: bool) -> Option<News> {
        if overloaded {
            return self.last.replace(now).is_none().then_some(News::Begins);
        }
        self.last.take_if(|last| now.saturating_sub(*last) >= CALM).map(|_| News::IsOver)
    }
}

impl Pool {
    /// Tells the handlers from which wait on they send connections away, if that was allowed;
    /// returns whether an overload is not over yet.
    ///
    /// `depth` is what waits where the kernel tells how long.
    pub(super) fn shed_or_not(&mut self, now: Duration, depth: u32, ceiling_binds: bool) -> bool {
        if !self.rules.shed {
            return false;
        }
        let acceptable = self.pattern.slo_wait;
        let above = self.shedding.overload.shed_from(now, ceiling_binds, depth, acceptable);
        self.page.shed_above(above);
        match self.shedding.note(now, above == Some(acceptable)) {
            Some(News::Begins) => self.tell_of_overload(acceptable, depth),
            Some(News::IsOver) => self.tell_of_its_end(depth, above),
            None => {}
        }
        self.shedding.last.is_some()
    }

    /// Tells whether nobody can be added to those who serve.
    pub(super) fn is_as_large_as_can_be(&self) -> bool {
        let goes_on = self.phase != Phase::Closing && !self.held && !self.retiring;
        let is_limited = self.want >= self.most() || self.limit().is_some();
        // Whoever is still being made will soon take its part of what waits.
        goes_on && is_limited && self.serving() >= self.want
    }

    /// Returns how many wait at addresses whose waits are known: not at Unix sockets.
    pub(super) fn timed_depth(&self, depths: &[u32]) -> u32 {
        let each = self.listeners.iter().zip(depths);
        each.filter(|(listener, _)| listener.kind() == Socket::Tcp).map(|(_, depth)| depth).sum()
    }

    fn tell_of_overload(&mut self, acceptable: Duration, depth: u32) {
        let wait = acceptable.as_millis();
        let reason = format!(
            "the buffer was never empty for {} ms and there will be no more handlers: whoever has \
             waited longer than {wait} ms is sent away",
            acceptable.saturating_mul(BURST).as_millis()
        );
        self.shedding.before = self.totals().shed;
        tracing::warn!(pool = self.name, depth, "{reason}");
        self.tell(
            Entry::new(Kind::Overload, "shed", reason)
                .with("shed_above_ms", acceptable.as_secs_f64() * 1e3)
                .with("depth", depth.into()),
        );
    }

    /// `above`: from which wait on connections are sent away now, if any are.
    fn tell_of_its_end(&mut self, depth: u32, above: Option<Duration>) {
        let shed = self.totals().shed;
        let these = shed.saturating_sub(self.shedding.before);
        let reason =
            format!("nothing has stood in the buffer for {} s: it is over", CALM.as_secs());
        tracing::info!(pool = self.name, shed = these, "overload: {reason}");
        let entry = Entry::new(Kind::Overload, "shed", reason)
            .with("shed", these as f64)
            .with("depth", depth.into());
        self.tell(match above {
            Some(above) => entry.with("shed_above_ms", above.as_secs_f64() * 1e3),
            None => entry,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn an_overload_is_told_once_and_so_is_its_end() {
        let mut shedding = Shedding::default();
        let mut check = |now: u64, overloaded: bool, expected: Option<News>| {
            assert_eq!(shedding.note(ms(now), overloaded), expected, "at {now}");
        };
        check(1_000, false, None);
        check(1_100, true, Some(News::Begins));
        check(1_200, true, None);
        check(1_300, false, None);
        check(6_100, true, None);
        check(11_099, false, None);
        check(11_100, false, Some(News::IsOver));
        check(11_200, false, None);
        check(11_300, true, Some(News::Begins));
    }
}
