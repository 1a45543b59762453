//! From how many handlers on more would only wait for the processors.

use std::time::Duration;

use super::Reading;
use super::reading::{sane, whole};

/// What the processors say to more handlers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Processors {
    /// Nothing.
    Free,
    /// So many for now; with those ready one will see.
    Careful(usize),
    /// No more than so many.
    Busy(usize),
}

/// The knee of a pool: with so many busy handlers all processors are used.
///
/// A thread that serves works `cpu` and waits for others (not for a processor) the rest of the time,
/// so that one processor keeps `(busy - run_delay) / cpu` threads busy. All three are measured and
/// the time in the run queue is taken out, so that the ratio does not depend on how many handlers
/// there are: a ceiling made of it does not move when it is obeyed, and cannot oscillate by itself.
/// A quarter more and one handler leave room for chance, and keep the run queues long enough at the
/// knee to be seen. Source: the operational bound `N* = C (D_cpu + D_io) / D_cpu` of P. Denning and
/// J. Buzen, "The operational analysis of queueing network models", 1978.
///
/// It binds only while handlers visibly wait for processors. A pool that does not, wants more for
/// another reason: its requests were of another kind before, or handlers that start used
/// the processors and served nothing; what was measured then would starve it beside idle
/// processors. Such a pool is let go on, but feels its way: beyond twice the knee it doubles when
/// the handlers that it has were seen at work, so that a queue of a thousand does not become a thousand handlers before anything could be seen.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Knee {
    last: Option<Sample>,
    /// What the ratio is made of, and what shows contention.
    slow: Sums,
    fast: Sums,
    /// When handlers were seen to wait for processors, if that was lately.
    contended: Option<Duration>,
    /// The number of handlers on its way to the knee, and the ceiling that follows it.
    held: Option<f64>,
    ceiling: Option<usize>,
    proven: Proven,
}

/// How many ready handlers there were while the processors were looked at.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Proven {
    handlers: usize,
    /// What is ready, and since when it is no more than that.
    ready: usize,
    since: Duration,
    /// When processor time was measured last.
    measured: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Sample {
    now: Duration,
    busy: f64,
    cpu: Duration,
    delay: Duration,
}

/// Sums that forget: with a constant rate, what adds up in the time constant.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Sums {
    constant: f64,
    busy: f64,
    cpu: f64,
    delay: f64,
}

/// For how long what was measured counts, and how slowly a pool comes down to it, in seconds.
const SLOW: f64 = 10.0;
/// How slowly it comes up to it, in seconds: requests wait meanwhile.
const RISE: f64 = 3.0;
/// How soon contention shows, in seconds: sooner than a pool can start many handlers, later than a
/// few unlucky requests.
const FAST: f64 = 0.25;
/// How long handlers work before it is known whether the processors bear them.
const PROOF: Duration = Duration::from_millis(50);
/// Of the time in which threads want a processor, the share that they wait for one, from which on
/// there is contention. At the knee and a quarter it is a fifth at least.
const CONTENTION: f64 = 0.1;
/// How long after it there still is: until the knee is measured again without it.
const CALM: Duration = Duration::from_secs(20);
/// Below so much of one processor the share is noise.
const LOAD: f64 = 0.2;
/// Processor time that makes a ratio, in seconds: a twentieth of one processor for [`SLOW`].
const ENOUGH: f64 = 0.5;

impl Knee {
    pub(super) const fn new() -> Self {
        Self {
            last: None,
            slow: Sums::over(SLOW),
            fast: Sums::over(FAST),
            contended: None,
            held: None,
            ceiling: None,
            proven: Proven::new(),
        }
    }

    /// Returns how many handlers make sense now.
    ///
    /// A pool that is larger when contention shows comes down to the knee within some tens of
    /// seconds and not at once, and not while handlers start: what was made for a short burst is
    /// not to be unmade and made again, and switching between many threads takes processor time
    /// that a smaller pool gets back, so that the knee moves up when the pool comes down.
    pub(super) fn look(&mut self, reading: &Reading) -> Processors {
        let seconds = self.add(reading);
        self.judge(reading.now);
        let Some(measured) = self.measured(reading) else { return Processors::Free };
        if self.contended.is_none() {
            let proven = self.proven.handlers.max(whole(measured));
            return Processors::Careful(proven.saturating_mul(2));
        }
        let alive = reading.alive() as f64;
        let held = self.held.unwrap_or_else(|| measured.max(alive));
        let constant = if measured > held { RISE } else { SLOW };
        let held = held + (measured - held) * (1.0 - (-seconds / constant).exp());
        let held = if reading.starting > 0 { held.max(alive) } else { held };
        self.held = Some(held);
        Processors::Busy(self.follow(held))
    }

    /// Adds what was used since the last reading; returns how many seconds that is.
    fn add(&mut self, reading: &Reading) -> f64 {
        let (cpu, delay) = (reading.resources.processor_time, reading.resources.run_delay);
        self.proven
            .look(reading, self.last.is_some_and(|last| (last.cpu, last.delay) != (cpu, delay)));
        let sample = Sample { now: reading.now, busy: sane(reading.busy), cpu, delay };
        let last = self.last.replace(sample).unwrap_or(sample);
        let seconds = sample.now.saturating_sub(last.now).as_secs_f64();
        let cpu = cpu.saturating_sub(last.cpu).as_secs_f64();
        let delay = delay.saturating_sub(last.delay).as_secs_f64();
        for sums in [&mut self.slow, &mut self.fast] {
            sums.add(seconds, last.busy * seconds, cpu, delay);
        }
        seconds
    }

    fn judge(&mut self, now: Duration) {
        let loaded = self.fast.cpu + self.fast.delay >= LOAD * FAST;
        if loaded && self.fast.share() >= CONTENTION {
            self.contended = Some(now);
        } else if self.contended.is_some_and(|last| last.saturating_add(CALM) < now) {
            (self.contended, self.held, self.ceiling) = (None, None, None);
        }
    }

    fn measured(&self, reading: &Reading) -> Option<f64> {
        let processors = reading.resources.processors;
        let known = processors.is_finite() && processors > 0.0;
        if !known || self.slow.cpu < ENOUGH || self.slow.busy <= 0.0 {
            return None;
        }
        // A thread that serves cannot keep more than one processor busy; if the sums say so, it
        // was handlers that started.
        let ratio = ((self.slow.busy - self.slow.delay) / self.slow.cpu).max(1.0);
        let threads = reading.threads.max(1) as f64;
        Some((processors * ratio * 1.25 / threads).ceil() + 1.0)
    }

    /// Moves the ceiling when it was left by more than one and a twentieth: a measurement is never
    /// at rest, and each step up and down makes and ends a handler.
    fn follow(&mut self, held: f64) -> usize {
        let ceiling = self.ceiling.unwrap_or_else(|| whole(held));
        let play = 1 + ceiling / 20;
        let ceiling = if whole(held).abs_diff(ceiling) > play { whole(held) } else { ceiling };
        self.ceiling = Some(ceiling);
        ceiling
    }
}

impl Proven {
    const fn new() -> Self {
        Self { handlers: 0, ready: 0, since: Duration::ZERO, measured: Duration::ZERO }
    }

    fn look(&mut self, reading: &Reading, measured: bool) {
        if reading.handlers > self.ready {
            self.since = reading.now;
        }
        self.ready = reading.handlers;
        if measured {
            self.measured = reading.now;
        }
        let seen = self.measured >= self.since.saturating_add(PROOF);
        self.handlers = if seen { self.ready } else { self.handlers.min(self.ready) };
    }
}

impl Sums {
    const fn over(constant: f64) -> Self {
        Self { constant, busy: 0.0, cpu: 0.0, delay: 0.0 }
    }

    fn add(&mut self, seconds: f64, busy: f64, cpu: f64, delay: f64) {
        let kept = (-seconds / self.constant).exp();
        self.busy = self.busy * kept + busy;
        self.cpu = self.cpu * kept + cpu;
        self.delay = self.delay * kept + delay;
    }

    /// Of the time in which threads want a processor, the share that they wait for one.
    fn share(&self) -> f64 {
        self.delay / (self.cpu + self.delay).max(f64::MIN_POSITIVE)
    }
}
