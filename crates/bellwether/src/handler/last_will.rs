//! How a handler ends when its spawner has died and what it has in hand does not end.
//!
//! Nobody is left who could end it then, and its threads may be anywhere: in the user's code, in a
//! loop, asleep. So it is a signal from the kernel that ends it, see [`parent`].

use std::io::Write;
use std::time::Duration;

use rustix::process::Pid;

use super::Departure;
use crate::scoreboard::telemetry::Telemetry;
use crate::sys::parent;

/// The longest line of last words.
const LONGEST: usize = 160;

/// Who must have died, and how much later a handler ends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LastWill {
    spawner: Pid,
    in_hand: Duration,
    limit: Duration,
}

impl LastWill {
    /// Called in the spawner: its handlers serve on for the orphan grace, and then have for what
    /// they have in hand as long as at any stop, or until the hard deadline of their last request.
    pub(crate) fn of(orphan_grace: Duration, stop_grace: Duration, hard: Option<Duration>) -> Self {
        let in_hand = hard.map_or(stop_grace, |hard| hard.min(stop_grace));
        let limit = orphan_grace.saturating_add(in_hand);
        Self { spawner: rustix::process::getpid(), in_hand, limit }
    }

    /// Returns whose handlers they are.
    pub(crate) const fn spawner(&self) -> Pid {
        self.spawner
    }

    /// Returns how long what a handler has in hand may take when the orphan grace is over.
    pub(crate) const fn in_hand(&self) -> Duration {
        self.in_hand
    }

    /// Makes this the will of the calling process, the handler in this slot.
    pub(crate) fn make(self, slot: usize, telemetry: Telemetry) {
        let last = move || {
            let mut line = [0; LONGEST];
            let _ = rustix::io::write(
                rustix::stdio::stderr(),
                words(&mut line, slot, telemetry.unfinished()),
            );
            Departure::Cut.code()
        };
        if let Err(error) = parent::end_after(self.spawner, self.limit, last) {
            tracing::warn!(slot, "the handler could outlive its spawner: {error}");
        }
    }
}

/// Writes the last words into memory that is there already.
fn words(line: &mut [u8; LONGEST], slot: usize, cut: u64) -> &[u8] {
    let connections = if cut == 1 { "connection is" } else { "connections are" };
    let mut rest = line.as_mut_slice();
    let _ = writeln!(
        rest,
        "bellwether: the handler in slot {slot} ends: its spawner is gone and its time is up; \
         {cut} {connections} cut"
    );
    let left = rest.len();
    &line[..LONGEST - left]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_hand_has_as_long_as_at_a_stop_but_not_beyond_its_hard_deadline() {
        let s = Duration::from_secs;
        for (hard, limit) in [(None, 40), (Some(60), 40), (Some(5), 15)] {
            assert_eq!(LastWill::of(s(10), s(30), hard.map(s)).limit, s(limit), "{hard:?}");
        }
    }

    #[test]
    fn last_words_fit_into_their_line() {
        let mut line = [0; LONGEST];
        let text = String::from_utf8_lossy(words(&mut line, 4095, u64::MAX)).into_owned();
        assert!(text.ends_with(" connections are cut\n"), "{text}");
        let text = String::from_utf8_lossy(words(&mut line, 0, 1)).into_owned();
        assert!(text.ends_with("; 1 connection is cut\n"), "{text}");
    }
}
