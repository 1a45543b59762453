//! How many handlers somebody would choose who knows all arrivals.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use crate::arrivals::Arrival;
use crate::open_loop::LATE;

/// One request in so many may be late.
const ALLOWED: usize = 100;

/// The fewest handlers with which at most 1 % of the arrivals wait longer than 50 ms, served in the
/// order in which they come.
pub(super) fn fewest_handlers(arrivals: &[Arrival]) -> usize {
    let enough = |&handlers: &usize| late(arrivals, handlers) * ALLOWED <= arrivals.len();
    (1..=arrivals.len()).find(enough).unwrap_or(1)
}

/// How many arrivals wait too long for one of so many handlers.
fn late(arrivals: &[Arrival], handlers: usize) -> usize {
    // When each handler is free; the earliest is taken.
    let mut free: BinaryHeap<Reverse<Duration>> =
        (0..handlers).map(|_| Reverse(Duration::ZERO)).collect();
    let mut late = 0;
    for arrival in arrivals {
        let Some(Reverse(moment)) = free.pop() else { continue };
        let begin = moment.max(arrival.due);
        late += usize::from(begin - arrival.due > LATE);
        free.push(Reverse(begin + arrival.work.total()));
    }
    late
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arrivals::Work;

    #[test]
    fn the_oracle_knows_what_regular_arrivals_need() {
        let every = |gap: u64| {
            let work = Work { sleep: Duration::from_millis(100), ..Work::default() };
            let due = |number| Duration::from_millis(number * gap);
            (0..1000).map(|number| Arrival { due: due(number), work }).collect::<Vec<_>>()
        };
        for (gap, handlers) in [(200, 1), (100, 1), (50, 2), (10, 10), (9, 12)] {
            assert_eq!(fewest_handlers(&every(gap)), handlers, "one every {gap} ms");
        }
        assert_eq!(late(&every(10), 1), 999);
    }
}
