//! For how long a handler is kept that is not wanted any more.

/// Kinds of gaps that are told apart, each half as long again as the one before (by a root of 2);
/// the shortest is a sixteenth of the break-even time, the longest 45 times it.
const KINDS: usize = 20;
/// Gaps of a rung that count: each new one takes a part of this from the others' weight.
const MEMORY: f32 = 32.0;
/// Up to this many handlers each has a rung of its own; from there on 16 rungs double the number.
const SINGLE: usize = 64;

/// Keeps handlers for as long as it paid, of late, to keep them.
///
/// Imagine the handlers as rungs of a ladder, of which the lowest are in use. How often a rung is
/// wanted again after which gap is known from the past; so is what each hold would have cost: the
/// gap if it is shorter, else the hold and a new handler. The cheapest hold is taken. As if one
/// gap had been seen that costs the same with any hold up to the break-even time, that time is the
/// hold where nothing is known: it never costs more than twice what the best would (ski rental).
#[derive(Clone, Debug, Default)]
pub(super) struct Hold {
    rungs: Vec<Rung>,
    /// Rungs that are wanted now.
    wanted: usize,
    /// Rungs that are kept, those wanted included.
    kept: usize,
}

#[derive(Clone, Copy, Debug, Default)]
struct Rung {
    /// The most handlers wanted on this rung since it is kept.
    handlers: usize,
    /// When it was wanted last, if it ever was.
    left: Option<f64>,
    /// How often it was wanted again after a gap of which kind, fading.
    gaps: [f32; KINDS],
}

/// What it costs to keep a handler too long or not long enough.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Stakes {
    /// For how long an idle handler costs as much as a new one and its start.
    pub(super) spawn: f64,
    /// For how long it costs as much as one late request.
    pub(super) late: f64,
}

impl Hold {
    /// Takes in the handlers wanted now, and returns those to keep.
    pub(super) fn push(&mut self, now: f64, handlers: usize, stakes: Stakes) -> usize {
        let wanted = rungs(handlers);
        if self.rungs.len() < wanted {
            self.rungs.resize(wanted, Rung::default());
        }
        for rung in self.rungs.iter_mut().take(wanted).skip(self.wanted) {
            rung.gap(now, stakes.spawn);
        }
        for rung in self.rungs.iter_mut().take(self.wanted).skip(wanted) {
            rung.left = Some(now);
        }
        self.release(now, wanted, stakes);
        if let Some(top) = wanted.checked_sub(1).and_then(|top| self.rungs.get_mut(top)) {
            let before = if wanted > self.kept { 0 } else { top.handlers };
            top.handlers = before.max(handlers);
        }
        (self.wanted, self.kept) = (wanted, self.kept.max(wanted));
        self.top().map_or(handlers, |top| top.handlers.max(handlers))
    }

    /// Returns when fewer handlers will be kept if no more are wanted than now.
    pub(super) fn end(&self, stakes: Stakes) -> Option<f64> {
        let top = self.top().filter(|_| self.kept > self.wanted)?;
        Some(top.left? + top.hold(stakes))
    }

    fn release(&mut self, now: f64, wanted: usize, stakes: Stakes) {
        // A microsecond early, lest who asks at the very end is told to ask at the very end.
        let over = |left: f64, hold: f64| now - left >= hold - 1e-6;
        let over = |top: &Rung| top.left.is_none_or(|left| over(left, top.hold(stakes)));
        while self.kept > wanted && self.top().is_none_or(over) {
            self.kept -= 1;
        }
    }

    fn top(&self) -> Option<&Rung> {
        self.rungs.get(self.kept.checked_sub(1)?)
    }
}

impl Rung {
    /// Remembers how long it was not wanted; short gaps are bridged by any hold.
    fn gap(&mut self, now: f64, unit: f64) {
        let Some(gap) = self.left.map(|left| (now - left) / unit) else { return };
        if gap <= length(0) {
            return;
        }
        let kind = (1..KINDS).find(|kind| gap <= length(*kind)).unwrap_or(KINDS - 1);
        for weight in &mut self.gaps {
            *weight *= 1.0 - 1.0 / MEMORY;
        }
        self.gaps[kind] += 1.0;
    }

    /// Returns the hold that would have been cheapest, in seconds.
    fn hold(&self, stakes: Stakes) -> f64 {
        let unit = stakes.spawn;
        // Beside the new handler, a request is late that it comes too late for.
        let miss = 1.0 + stakes.late / unit;
        let (mut bridged, mut missed) = (0.0, f64::from(self.gaps.iter().sum::<f32>()));
        let (mut best, mut least) = (length(0), f64::INFINITY);
        for kind in 0..KINDS {
            let (hold, weight) = (length(kind), f64::from(self.gaps[kind]));
            // On average, gaps of a kind are a little shorter than the longest of them.
            bridged += weight * hold * 0.85;
            missed -= weight;
            let cost = |hold: f64| bridged + missed * (hold + miss) + hold.max(miss);
            let next = length(kind + 1);
            // The break-even time itself lies somewhere between two kinds.
            for hold in [hold, if hold < miss && miss < next { miss } else { hold }] {
                if cost(hold) <= least {
                    (best, least) = (hold, cost(hold));
                }
            }
        }
        best * unit
    }
}

/// Returns the longest gap of a kind, in break-even times.
fn length(kind: usize) -> f64 {
    const LENGTHS: [f64; KINDS + 1] = lengths();
    LENGTHS[kind]
}

const fn lengths() -> [f64; KINDS + 1] {
    let mut lengths = [1.0 / 16.0; KINDS + 1];
    let mut kind = 1;
    while kind <= KINDS {
        lengths[kind] = lengths[kind - 1] * std::f64::consts::SQRT_2;
        kind += 1;
    }
    lengths
}

/// Returns on how many rungs so many handlers stand.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a small positive number
fn rungs(handlers: usize) -> usize {
    if handlers <= SINGLE {
        return handlers;
    }
    SINGLE + (16.0 * (handlers as f64 / SINGLE as f64).log2()) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAKES: Stakes = Stakes { spawn: 10.0, late: 0.0 };

    #[test]
    fn what_nothing_is_known_of_is_held_for_the_break_even_time() {
        let mut hold = Hold::default();
        let mut check = |now, handlers, expected| {
            assert_eq!(hold.push(now, handlers, STAKES), expected, "at {now}");
        };
        check(0.0, 5, 5);
        check(1.0, 3, 5);
        check(2.0, 1, 5);
        check(10.9, 1, 5);
        check(11.1, 1, 3);
        check(11.9, 1, 3);
        check(12.1, 1, 1);
        check(12.2, 7, 7);
    }

    #[test]
    fn a_late_request_is_worth_a_longer_hold() {
        let mut hold = Hold::default();
        let stakes = Stakes { late: 5.0, ..STAKES };
        hold.push(0.0, 2, stakes);
        hold.push(1.0, 0, stakes);
        assert_eq!(hold.end(stakes), Some(16.0));
    }

    #[test]
    fn gaps_that_come_again_are_bridged_if_that_pays() {
        let check = |gap: f64, kept: bool| {
            let mut hold = Hold::default();
            let mut now = 0.0;
            for _ in 0..10 {
                hold.push(now, 1, STAKES);
                hold.push(now + 1.0, 0, STAKES);
                now += 1.0 + gap;
            }
            hold.push(now, 1, STAKES);
            hold.push(now, 0, STAKES);
            let after = hold.push(now + gap.min(5.0), 0, STAKES);
            assert_eq!(after == 1, kept, "gaps of {gap} s");
        };
        check(1.0, true);
        check(5.0, true);
        check(8.0, true);
        check(60.0, false);
        check(600.0, false);
    }

    #[test]
    fn many_handlers_stand_on_few_rungs_and_none_is_forgotten() {
        assert_eq!((rungs(0), rungs(1), rungs(64), rungs(65), rungs(128)), (0, 1, 64, 64, 80));
        let mut hold = Hold::default();
        for handlers in [1, 66, 65, 1_000_000, 999_999] {
            assert!(hold.push(0.0, handlers, STAKES) >= handlers);
        }
        assert_eq!(hold.push(1.0, 3, STAKES), 1_000_000);
        assert_eq!(hold.push(12.0, 3, STAKES), 3);
        assert!(hold.rungs.len() < 300, "{}", hold.rungs.len());
    }
}
