//! What records say about waiting.

use std::time::Duration;

use super::record::Record;

/// Who waits longer is late: the default objective of our server.
pub(crate) const LATE: Duration = Duration::from_millis(50);
/// At most one in so many may be late in a pool of the right size.
const ALLOWED: usize = 100;
/// For so long it must hold before a pool counts as settled.
const PROOF: Duration = Duration::from_secs(1);

/// Waits in ms, from the shortest.
#[derive(Clone, Debug)]
pub(crate) struct Waits(Vec<f64>);

impl Waits {
    pub(crate) fn of(waits: impl IntoIterator<Item = Duration>) -> Self {
        let mut sorted: Vec<f64> = waits.into_iter().map(|wait| wait.as_secs_f64() * 1e3).collect();
        sorted.sort_by(f64::total_cmp);
        Self(sorted)
    }

    /// The least wait that the share `part` did not exceed; NaN of nothing.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates")]
    pub(crate) fn at(&self, part: f64) -> f64 {
        let rank = (self.0.len() as f64 * part).ceil() as usize;
        self.0.get(rank.max(1) - 1).copied().unwrap_or(f64::NAN)
    }
}

/// From `moment` until the first arrival after which, for a second, at most 1 % are late; `None`
/// when that never comes. The records are in the order in which they were due.
pub(crate) fn settled_after(moment: Duration, records: &[Record]) -> Option<Duration> {
    let after = &records[records.partition_point(|record| record.due < moment)..];
    let last = after.last()?.due;
    let mut late_before = vec![0];
    for record in after {
        late_before.push(late_before[late_before.len() - 1] + usize::from(record.is_late(LATE)));
    }
    let mut end = 0;
    for (begin, record) in after.iter().enumerate() {
        if record.due + PROOF > last {
            return None;
        }
        while after[end].due < record.due + PROOF {
            end += 1;
        }
        if (late_before[end] - late_before[begin]) * ALLOWED <= end - begin {
            // The first may be as it is by luck of the draw: nobody was late before it.
            let reaction = if begin == 0 { moment } else { record.due };
            return Some(reaction - moment);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arrivals::{Arrival, Work};
    use crate::open_loop::Outcome;

    #[test]
    fn a_quantile_is_one_of_the_waits() {
        let waits = Waits::of((1..=1000).rev().map(Duration::from_millis));
        let quantiles = [0.0, 0.5, 0.99, 0.999, 1.0].map(|part| waits.at(part));
        assert_eq!(quantiles, [1.0, 500.0, 990.0, 999.0, 1000.0]);
        assert!(Waits::of([]).at(0.5).is_nan());
    }

    /// One request every 10 ms for 10 s; those for which `late` holds wait 60 ms.
    fn records(late: impl Fn(u64) -> bool) -> Vec<Record> {
        let record = |number: u64| {
            let due = Duration::from_millis(number * 10);
            let record = Record::new(Arrival { due, work: Work::default() }, due);
            let wait = Duration::from_millis(if late(number) { 60 } else { 1 });
            record.ended(due + wait, Outcome::Answered)
        };
        (0..1000).map(record).collect()
    }

    #[test]
    fn a_pool_has_settled_when_a_second_is_good() {
        let check = |late: fn(u64) -> bool, expected: Option<u64>| {
            let settled = settled_after(Duration::from_secs(2), &records(late));
            assert_eq!(settled.map(|time| time.as_millis()), expected.map(u128::from));
        };
        check(|_| false, Some(0));
        check(|_| true, None);
        // Before the step is nobody's concern.
        check(|number| number < 200, Some(0));
        // One of a hundred may be late: the last one.
        check(|number| number < 300, Some(990));
        check(|number| number < 300 || number == 320, Some(1000));
        check(|number| number.is_multiple_of(20), None);
    }
}
