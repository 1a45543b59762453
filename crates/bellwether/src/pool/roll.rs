//! How the new take the place of the old: pure arithmetic and a small state.
//!
//! A reload replaces all handlers of a generation, recycling replaces one; the numbers are the
//! same. Never drain first: the old leave as the new become ready.

use std::time::Duration;

use super::rules::ChangeRules;

/// A generation on its way to take the place of another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Roll {
    /// The generation that serves so far.
    pub(crate) from: u64,
    /// The one that is to serve.
    pub(crate) to: u64,
    pub(crate) step: Step,
}

/// How far a roll is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The first of the new must become ready and stay alive for a while.
    Proving {
        /// When it became ready.
        ready_at: Option<Duration>,
    },
    /// It did; the others wait for the word.
    Proven,
    /// The new take the place of the old.
    Spreading,
    /// The new serve alone.
    Spread,
    /// The new did not prove themselves; why.
    Failed(String),
}

impl Step {
    /// Tells whether the old serve as if nothing had happened.
    pub(crate) const fn keeps_the_old(&self) -> bool {
        matches!(self, Self::Proving { .. } | Self::Proven | Self::Failed(_))
    }
}

impl Roll {
    pub(crate) const fn new(from: u64, to: u64) -> Self {
        Self { from, to, step: Step::Proving { ready_at: None } }
    }

    /// Returns when the first of the new will have lived long enough.
    pub(crate) fn proven_at(&self, rules: &ChangeRules) -> Option<Duration> {
        match self.step {
            Step::Proving { ready_at } => ready_at.map(|at| at.saturating_add(rules.canary)),
            _ => None,
        }
    }
}

/// How many of the new and of the old there should be now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Aims {
    pub(crate) new: usize,
    pub(crate) old: usize,
}

/// Returns how many of the new and of the old there should be while `want` are wanted.
///
/// `ready` of the new serve already, beside `old` others. What serves never falls below `want` less
/// those that may be missing, as far as it had not before; the sum never exceeds `want` and the
/// surge.
pub(crate) fn aims(want: usize, ready: usize, old: usize, rules: &ChangeRules) -> Aims {
    let missing = rules.unavailable.of(want).min(want);
    // With neither surge nor gap nothing could ever move.
    let surge = rules.surge.of(want).max(usize::from(missing == 0));
    let old = (want - missing).saturating_sub(ready).min(old);
    Aims { new: want.min((want + surge).saturating_sub(old)), old }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::pool::rules::{Amount, Rules};

    fn rules(surge: usize, unavailable: usize) -> ChangeRules {
        let (surge, unavailable) = (Amount::Count(surge), Amount::Count(unavailable));
        ChangeRules { surge, unavailable, ..Rules::default().change }
    }

    #[test]
    fn one_by_one_without_a_gap() {
        let check = |ready, old_now, new, old| {
            let aims = aims(4, ready, old_now, &rules(1, 0));
            assert_eq!(aims, Aims { new, old }, "{ready} ready beside {old_now}");
        };
        check(0, 4, 1, 4);
        check(1, 4, 2, 3);
        check(3, 2, 4, 1);
        check(4, 1, 4, 0);
        check(0, 0, 4, 0);
    }

    proptest! {
        #[test]
        fn a_roll_ends_with_the_new_alone_and_keeps_its_limits(
            want in 0_usize..40,
            surge in 0_usize..9,
            unavailable in 0_usize..9,
            order in proptest::collection::vec(any::<bool>(), 200),
        ) {
            let rules = rules(surge, unavailable);
            let (mut starting, mut ready, mut old) = (0, 0, want);
            let least = want - unavailable.min(want);
            for ready_first in order {
                if ready_first && starting > 0 {
                    starting -= 1;
                    ready += 1;
                }
                let aims = aims(want, ready, old, &rules);
                old = old.min(aims.old);
                starting += aims.new.saturating_sub(starting + ready);
                prop_assert!(ready + old >= least, "{ready} + {old} serve");
                let surge = surge.max(usize::from(unavailable.min(want) == 0));
                prop_assert!(starting + ready + old <= want + surge);
            }
            // Whatever is still starting becomes ready at last.
            for _ in 0..=want {
                ready += starting;
                let aims = aims(want, ready, old, &rules);
                old = old.min(aims.old);
                starting = aims.new.saturating_sub(ready);
            }
            prop_assert_eq!((ready, starting, old), (want, 0, 0));
        }
    }
}
