//! Entrants side by side, and what they did in each trial, repetition by repetition.

use std::time::Duration;

use anyhow::{Context as _, Result};

use super::entrant::Entrant;
use super::running::{Running, Sample};
use super::trial::{SHARE, Trial, least};
use crate::figure::Figure;
use crate::turns::order;

/// wrk takes whole seconds; all entrants are at their speed by then.
const WARM_UP: u64 = 1;
/// Long enough to tell a limit to some percent.
const CALIBRATION: Duration = Duration::from_millis(500);

/// Who could not take part, and why.
#[derive(Debug, Default)]
pub(super) struct Skipped(pub(super) Vec<String>);

impl Skipped {
    fn add(&mut self, entrant: Entrant, why: &str) {
        let line = format!("{entrant}: {why}");
        eprintln!("SKIPPED: {line}");
        self.0.push(line);
    }
}

/// One entrant's samples, trial by trial.
pub(super) struct Course {
    pub(super) entrant: Entrant,
    pub(super) samples: Vec<Vec<Sample>>,
}

/// All that is compared with one of ours, which is the first.
pub(super) struct Contest {
    pub(super) title: &'static str,
    pub(super) trials: Vec<Trial>,
    pub(super) courses: Vec<Course>,
}

impl Contest {
    /// With those who are here and answer; nobody without ours.
    pub(super) fn invite(
        title: &'static str,
        entrants: &[Entrant],
        trials: Vec<Trial>,
        skipped: &mut Skipped,
    ) -> Self {
        let mut courses: Vec<Course> = Vec::new();
        for &entrant in entrants {
            match missing(entrant, &trials) {
                Some(why) => skipped.add(entrant, &why),
                None => courses.push(Course { entrant, samples: vec![Vec::new(); trials.len()] }),
            }
        }
        if courses.first().is_none_or(|first| first.entrant != entrants[0]) {
            courses.clear();
        }
        Self { title, trials, courses }
    }

    /// Starts all, and measures each once in each trial.
    pub(super) fn repeat(&mut self, repetition: usize, seconds: u64) -> Result<()> {
        let start = |it: &Course| start(it.entrant, &self.trials);
        let servers = self.courses.iter().map(start).collect::<Result<Vec<_>>>()?;
        let warm_up = |server: &Running| server.run(&self.trials[0], 0.0, WARM_UP).map(drop);
        servers.iter().try_for_each(warm_up)?;
        for index in 0..self.trials.len() {
            let rate = bearable(self.trials[index], &servers)?;
            for turn in order(repetition, servers.len()) {
                let (trial, course) = (&self.trials[index], &mut self.courses[turn]);
                let sample = servers[turn].run(trial, rate, seconds);
                let sample = sample.with_context(|| format!("{}, {trial}", course.entrant))?;
                let (number, entrant) = (repetition + 1, course.entrant);
                eprintln!("repetition {number}, {trial}, {entrant}: {:.0}/s", sample.rate);
                course.samples[index].push(sample);
            }
        }
        Ok(())
    }
}

/// How many a second may come by the clock: so many that even the slowest has time to spare.
fn bearable(trial: Trial, servers: &[Running]) -> Result<f64> {
    if !matches!(trial, Trial::Open) {
        return Ok(0.0);
    }
    let all = servers.iter().map(|server| server.capacity(CALIBRATION));
    Ok(SHARE * least(&all.collect::<Result<Vec<_>>>()?))
}

impl Course {
    pub(super) fn figure(&self, trial: usize, quantity: fn(&Sample) -> f64) -> Figure {
        Figure::of(self.samples[trial].iter().map(quantity))
    }

    /// Ours divided by this, repetition by repetition.
    pub(super) fn ratio(&self, ours: &Self, trial: usize, of: fn(&Sample) -> f64) -> Figure {
        let pairs = ours.samples[trial].iter().zip(&self.samples[trial]);
        Figure::of(pairs.map(|(ours, this)| of(ours) / of(this)))
    }
}

fn start(entrant: Entrant, trials: &[Trial]) -> Result<Running> {
    Running::start(entrant, trials.iter().map(Trial::path))
}

/// Why it cannot take part: it is not here, or does not answer.
fn missing(entrant: Entrant, trials: &[Trial]) -> Option<String> {
    entrant.missing().or_else(|| {
        let failure = start(entrant, trials).err()?;
        Some(format!("{failure:#}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_that_of_one_repetition() {
        let course = |rates: [f64; 3]| {
            let sample =
                Sample { rate: 0.0, cpu: 0.0, p50: 0.0, p99: 0.0, failed: 0.0, elsewhere: 0.0 };
            let samples = rates.map(|rate| Sample { rate, ..sample });
            Course { entrant: Entrant::Serve, samples: vec![samples.into()] }
        };
        let (ours, theirs) = (course([10.0, 20.0, 90.0]), course([5.0, 10.0, 30.0]));
        assert_eq!(theirs.ratio(&ours, 0, |it| it.rate).median, 2.0);
        assert_eq!(theirs.figure(0, |it| it.rate).median, 10.0);
    }
}
