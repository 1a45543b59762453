//! When requests come and what each asks for: a schedule that every server can be given.

use std::time::Duration;

/// What one request asks a handler to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Work {
    /// Processor time to burn.
    pub(crate) cpu: Duration,
    /// Time to sleep after that.
    pub(crate) sleep: Duration,
}

impl Work {
    /// How long it takes on a processor of its own.
    pub(crate) fn total(self) -> Duration {
        self.cpu + self.sleep
    }
}

/// One request to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Arrival {
    /// Since the start of the schedule.
    pub(crate) due: Duration,
    pub(crate) work: Work,
}

/// Requests at one rate for some time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Phase {
    /// Requests per second.
    pub(crate) rate: f64,
    pub(crate) length: Duration,
}

/// Draws a Poisson process whose rate follows `phases`; the same seed draws the same.
///
/// Exponential gaps of a process of rate 1 are stretched by the rate of the moment (time change of
/// an inhomogeneous Poisson process).
pub(crate) fn poisson(phases: &[Phase], work: Work, seed: u64) -> Vec<Arrival> {
    let mut chance = Chance(seed);
    let mut arrivals = Vec::new();
    let (mut begin, mut gap) = (0.0, chance.exponential());
    for phase in phases {
        let end = begin + phase.length.as_secs_f64();
        let mut now = begin;
        while now + gap / phase.rate < end {
            now += gap / phase.rate;
            arrivals.push(Arrival { due: Duration::from_secs_f64(now), work });
            gap = chance.exponential();
        }
        // What is left of the gap goes on at the next rate.
        gap -= (end - now) * phase.rate;
        begin = end;
    }
    arrivals
}

/// SplitMix64 (Steele, Lea, Flood 2014): small, and good enough to draw gaps.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        bits ^ (bits >> 31)
    }

    /// Exponentially distributed with mean 1; never infinite.
    fn exponential(&mut self) -> f64 {
        let uniform = ((self.next() >> 11) + 1) as f64 / (1_u64 << 53) as f64;
        -uniform.ln()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: [Phase; 2] = [
        Phase { rate: 20.0, length: Duration::from_secs(100) },
        Phase { rate: 200.0, length: Duration::from_secs(100) },
    ];

    #[test]
    fn the_same_seed_draws_the_same() {
        let draw = |seed| poisson(&STEP, Work::default(), seed);
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }

    #[test]
    fn arrivals_are_in_order_and_follow_the_rate() {
        let arrivals = poisson(&STEP, Work::default(), 7);
        assert!(arrivals.is_sorted_by_key(|arrival| arrival.due));
        let step = arrivals.partition_point(|arrival| arrival.due < STEP[0].length);
        // Five standard deviations of a Poisson count.
        assert!(step.abs_diff(2000) < 225, "{step} before the step");
        assert!((arrivals.len() - step).abs_diff(20_000) < 710, "{} in all", arrivals.len());
        assert!(arrivals.iter().all(|arrival| arrival.due < Duration::from_secs(200)));
    }

    #[test]
    fn the_gaps_vary_as_much_as_they_last() {
        let arrivals = poisson(&STEP[1..], Work::default(), 3);
        let gaps = arrivals.windows(2).map(|pair| (pair[1].due - pair[0].due).as_secs_f64());
        let (count, sum, squares) = gaps.fold((0.0, 0.0, 0.0), |(n, sum, squares), gap| {
            (n + 1.0, sum + gap, squares + gap * gap)
        });
        let mean: f64 = sum / count;
        let deviation = (squares / count - mean * mean).sqrt();
        assert!((0.95..1.05).contains(&(deviation / mean)), "{}", deviation / mean);
    }
}
