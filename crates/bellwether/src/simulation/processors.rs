//! Processors that all who can run share evenly, with a price for being too many.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::Cpu;
use super::outcome::Moment;

/// Egalitarian processor sharing: whoever can run gets the same share of the processors.
///
/// As all progress at one pace, a job ends when the common progress has reached what it was when
/// the job began and its work: one clock for all, in a heap.
pub(super) struct Processors<J> {
    cpu: Cpu,
    now: f64,
    /// The work that somebody has done who was there from the beginning, in seconds.
    progress: f64,
    running: BinaryHeap<Reverse<(Moment, J)>>,
    used: f64,
    delayed: f64,
}

impl<J: Ord> Processors<J> {
    pub(super) const fn new(cpu: Cpu) -> Self {
        Self { cpu, now: 0.0, progress: 0.0, running: BinaryHeap::new(), used: 0.0, delayed: 0.0 }
    }

    pub(super) const fn cpu(&self) -> &Cpu {
        &self.cpu
    }

    /// Seconds of all processors that were used.
    pub(super) const fn used(&self) -> f64 {
        self.used
    }

    /// Seconds for which somebody could have run and did not.
    pub(super) const fn delayed(&self) -> f64 {
        self.delayed
    }

    /// The share of a processor that each gets.
    fn share(&self) -> f64 {
        (self.cpu.processors / self.running.len().max(1) as f64).min(1.0)
    }

    /// The work that each gets done in a second.
    fn pace(&self) -> f64 {
        let excess = (self.running.len() as f64 - self.cpu.processors).max(0.0);
        self.share() / (1.0 + self.cpu.overhead * excess)
    }

    /// Lets time pass.
    pub(super) fn advance(&mut self, now: f64) {
        let (passed, many) = (now - self.now, self.running.len() as f64);
        self.progress += passed * self.pace();
        self.used += passed * many * self.share();
        self.delayed += passed * many * (1.0 - self.share());
        self.now = now;
    }

    /// A job begins that needs so many seconds of a processor.
    pub(super) fn begin(&mut self, work: f64, job: J) {
        self.running.push(Reverse((Moment(self.progress + work), job)));
    }

    /// Returns when the next job will end, if nothing changes.
    pub(super) fn next_end(&self) -> f64 {
        let end = self.running.peek().map(|Reverse((Moment(end), _))| *end);
        end.map_or(f64::INFINITY, |end| self.now + (end - self.progress).max(0.0) / self.pace())
    }

    /// Ends the job that is the next to end.
    pub(super) fn end(&mut self) -> Option<J> {
        let Reverse((Moment(end), job)) = self.running.pop()?;
        // What was lost by rounding must not make it end twice.
        self.progress = self.progress.max(end);
        Some(job)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_jobs_on_one_processor_take_twice_as_long() {
        let cpu = Cpu { processors: 1.0, share: 1.0, overhead: 0.0, spawn: 0.0 };
        let mut processors = Processors::new(cpu);
        processors.begin(1.0, 'a');
        processors.begin(2.0, 'b');
        assert_eq!(processors.next_end(), 2.0);
        processors.advance(2.0);
        assert_eq!(processors.end(), Some('a'));
        assert_eq!(processors.next_end(), 3.0);
        processors.advance(3.0);
        assert_eq!(processors.end(), Some('b'));
        assert_eq!((processors.used(), processors.delayed()), (3.0, 2.0));
        assert_eq!(processors.next_end(), f64::INFINITY);
    }

    #[test]
    fn being_too_many_has_a_price() {
        let cpu = Cpu { processors: 2.0, share: 1.0, overhead: 0.5, spawn: 0.0 };
        let mut processors = Processors::new(cpu);
        (0..2).for_each(|job| processors.begin(1.0, job));
        assert_eq!(processors.next_end(), 1.0, "one each");
        (2..4).for_each(|job| processors.begin(1.0, job));
        assert_eq!(processors.next_end(), 4.0, "half of each, and half of that for two too many");
    }
}
