//! The most of several rules.

use std::fmt;
use std::time::Duration;

use super::{Balance, Decision, Reading};

/// As many handlers as the most demanding of several rules wants.
///
/// The reason is that of the rule that decides, the first of those that want the same.
///
/// ```
/// use bellwether::balance::{Balance, Fixed, Most, Reading, Spare};
/// let mut most = Most::new(vec![Box::new(Fixed::new(2)), Box::new(Spare::default())]);
/// let decision = most.decide(&Reading::default());
/// assert_eq!(decision.target, 5);
/// assert_eq!(decision.why, "spare: starts with 5 (the most of 2 rules)");
/// ```
pub struct Most(Vec<Box<dyn Balance>>);

impl Most {
    /// Asks these rules; without any, the fewest handlers allowed are enough.
    #[must_use]
    pub fn new(rules: Vec<Box<dyn Balance>>) -> Self {
        Self(rules)
    }
}

impl Balance for Most {
    fn decide(&mut self, reading: &Reading) -> Decision {
        // All are asked, for they remember.
        let decisions: Vec<_> = self.0.iter_mut().map(|rule| rule.decide(reading)).collect();
        let again: Option<Duration> = decisions.iter().filter_map(|it| it.again).min();
        // Of equals `max_by_key` takes the last.
        let most = decisions.into_iter().rev().max_by_key(|decision| decision.target);
        let most = most.unwrap_or_else(|| Decision::new(reading.min, String::from("no rule")));
        let why = format!("{} (the most of {} rules)", most.why, self.0.len());
        Decision { why, again, ..most }
    }
}

impl fmt::Debug for Most {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Most({} rules)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Fixed, Limit};
    use super::*;

    /// Says always the same.
    struct Says(usize, &'static str, Option<u64>);

    impl Balance for Says {
        fn decide(&mut self, _: &Reading) -> Decision {
            let again = self.2.map(Duration::from_secs);
            Decision { again, limit: Some(Limit::Memory), ..Decision::new(self.0, self.1.into()) }
        }
    }

    #[test]
    fn the_greatest_number_decides_and_the_earliest_moment() {
        type Row = (usize, &'static str, Option<u64>);
        let check = |rows: &[Row], target: usize, why: &str, again: Option<u64>| {
            let rules = rows.iter().map(|row| Box::new(Says(row.0, row.1, row.2)) as Box<_>);
            let decision = Most::new(rules.collect()).decide(&Reading::default());
            assert_eq!((decision.target, decision.why.as_str()), (target, why));
            assert_eq!(decision.again, again.map(Duration::from_secs));
        };
        check(
            &[(3, "a", Some(9)), (5, "b", None), (4, "c", Some(7))],
            5,
            "b (the most of 3 rules)",
            Some(7),
        );
        check(&[(5, "a", None), (5, "b", None)], 5, "a (the most of 2 rules)", None);
        check(&[], 0, "no rule (the most of 0 rules)", None);
    }

    #[test]
    fn what_limits_the_rule_that_decides_is_said() {
        let mut most = Most::new(vec![Box::new(Fixed::new(1)), Box::new(Says(2, "a", None))]);
        assert_eq!(most.decide(&Reading::default()).limit, Some(Limit::Memory));
    }
}
