//! What a program says about itself, written by its warden into the page of its handler.
//!
//! Of the words of a page these alone are used for a program; what it does is seen from outside.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::mark::Label;
use super::telemetry::{self, Telemetry, TelemetryView};
use crate::sys::clock;

/// More than a handler has in hand.
const BELIEVABLE: u64 = 1_000_000;

impl Telemetry {
    /// The program has so many requests in hand.
    pub(crate) fn has_in_hand(&self, count: u64) {
        self.page[telemetry::OPEN].store(count, Ordering::Release);
        let line = self.line(0);
        match count {
            0 => line.idle(),
            _ if line.is_busy() => {}
            _ => line.busy(clock::now()),
        }
    }

    /// The program asks for time until then (since boot).
    pub(crate) fn asks_for_time(&self, until: Duration) {
        let ns = u64::try_from(until.as_nanos()).unwrap_or(u64::MAX);
        self.page[telemetry::ASKS_UNTIL].store(ns, Ordering::Release);
    }

    /// The program says how it is, in words.
    pub(crate) fn says(&self, words: &str) {
        self.mark(0).name(&Label::of(words));
    }
}

impl TelemetryView {
    /// Returns how many requests a program has in hand, if it says so.
    pub(crate) fn said_in_hand(&self) -> Option<u64> {
        let said = self.view.get(telemetry::LINES + telemetry::STATE) != 0;
        said.then(|| self.view.get(telemetry::OPEN).min(BELIEVABLE))
    }

    /// Returns until when a program asks for time; zero when it does not.
    pub(crate) fn asked_until(&self) -> Duration {
        Duration::from_nanos(self.view.get(telemetry::ASKS_UNTIL))
    }

    /// Returns how a program says that it is: at most 63 characters, all of which can be shown.
    pub(crate) fn said(&self) -> Option<String> {
        Some(self.label(0)).filter(|words| !words.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_warden_writes_is_what_the_spawner_reads() {
        let fd = telemetry::file(1).unwrap();
        let view = TelemetryView::map(&fd, 1).unwrap();
        let telemetry = Telemetry::map(&fd, 1, Duration::from_nanos(1)).unwrap();
        assert_eq!((view.said_in_hand(), view.said()), (None, None));
        assert_eq!(view.asked_until(), Duration::ZERO);
        telemetry.has_in_hand(3);
        assert_eq!(view.said_in_hand(), Some(3));
        telemetry.has_in_hand(0);
        assert_eq!(view.said_in_hand(), Some(0));
        telemetry.has_in_hand(u64::MAX);
        assert_eq!(view.said_in_hand(), Some(BELIEVABLE));
        telemetry.asks_for_time(Duration::from_secs(7));
        assert_eq!(view.asked_until(), Duration::from_secs(7));
        telemetry.asks_for_time(Duration::MAX);
        assert_eq!(view.asked_until(), Duration::from_nanos(u64::MAX));
        telemetry.says("warming\x1b[2J up");
        assert_eq!(view.said().as_deref(), Some("warming?[2J up"));
        telemetry.says("");
        assert_eq!(view.said(), None);
    }
}
