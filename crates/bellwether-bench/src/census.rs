//! How many handlers a server has, looked at 20 times a second from outside.

use std::sync::mpsc::{Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};

use crate::process;
use crate::site::Site;

const PERIOD: Duration = Duration::from_millis(50);

/// A count that goes on until it is asked for.
#[derive(Debug)]
pub(crate) struct Census {
    stop: Sender<()>,
    counting: JoinHandle<Vec<usize>>,
}

/// How many handlers there were, a number every 50 ms.
#[derive(Clone, Debug, Default)]
pub(crate) struct Population(Vec<usize>);

impl Census {
    pub(crate) fn start(site: &dyn Site) -> Self {
        let (root, others) = (site.root(), site.others());
        let (stop, stopped) = channel();
        let counting = thread::spawn(move || {
            let (start, mut counts) = (Instant::now(), Vec::new());
            loop {
                // A server that has gone has none.
                counts.push(process::children(root).unwrap_or(0).saturating_sub(others));
                let next = PERIOD * u32::try_from(counts.len()).unwrap_or(u32::MAX);
                if stopped.recv_timeout(next.saturating_sub(start.elapsed())) == Ok(()) {
                    return counts;
                }
            }
        });
        Self { stop, counting }
    }

    pub(crate) fn finish(self) -> Result<Population> {
        // A thread that is gone has panicked, which joining it tells.
        self.stop.send(()).ok();
        self.counting.join().map(Population).map_err(|_| anyhow!("the census panicked"))
    }
}

impl Population {
    /// The handler-seconds of the first `time`.
    pub(crate) fn handler_seconds(&self, time: Duration) -> f64 {
        self.until(time).iter().sum::<usize>() as f64 * PERIOD.as_secs_f64()
    }

    /// How many there were on average in the second before `moment`; NaN when nobody looked then.
    pub(crate) fn last(&self, moment: Duration) -> f64 {
        let second = self.handler_seconds(moment)
            - self.handler_seconds(moment.saturating_sub(Duration::from_secs(1)));
        if self.until(moment).is_empty() { f64::NAN } else { second }
    }

    pub(crate) fn peak(&self) -> usize {
        self.0.iter().copied().max().unwrap_or(0)
    }

    fn until(&self, time: Duration) -> &[usize] {
        let count = usize::try_from(time.as_millis() / PERIOD.as_millis()).unwrap_or(usize::MAX);
        &self.0[..count.min(self.0.len())]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handler_seconds_are_those_of_the_time_asked_for() {
        let population = Population(vec![2, 4, 4, 100]);
        let ms = Duration::from_millis;
        assert!((population.handler_seconds(ms(150)) - 0.5).abs() < 1e-9);
        assert!((population.handler_seconds(ms(10_000)) - 5.5).abs() < 1e-9);
        assert_eq!(population.peak(), 100);
        assert_eq!(Population::default().peak(), 0);
    }

    #[test]
    fn the_last_handlers_are_those_of_the_last_second() {
        let population = Population([[9; 20], [2; 20], [4; 20]].concat());
        let check = |seconds, expected: f64| {
            let last = population.last(Duration::from_secs(seconds));
            assert!((last - expected).abs() < 1e-9, "{last} in the second before {seconds}");
        };
        check(1, 9.0);
        check(2, 2.0);
        check(3, 4.0);
        assert!(Population::default().last(Duration::from_secs(1)).is_nan());
    }
}
