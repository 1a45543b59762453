//! By how busy handlers were: uWSGI's cheaper algorithm `busyness`.

use std::time::Duration;

use super::pace::{self, Pace, Paced, Step};
use super::parameter::{MOST, Named, Parameter};
use super::reading::sane;
use super::{Balance, Decision, Reading};

/// Keeps handlers between `min` and `max` percent busy, as uWSGI's cheaper algorithm `busyness` does.
///
/// Every `overload` seconds: busier than `max`, it starts `step` handlers; less busy than `min`
/// for `multiplier` times in a row, it ends one, down to `cheaper`; it becomes slower at that when
/// it had to start one again soon after. Every second: with more than `alert` waiting requests, or
/// some for `nonzero` seconds, it starts `backlog-step` handlers at once. Source: uWSGI's
/// `plugins/cheaper_busyness/cheaper_busyness.c`, by Łukasz Mierzwa; uWSGI counts a request when it
/// is over, here the time that handlers were busy counts as it passes.
///
/// ```
/// use bellwether::balance::{Balance, Reading, UwsgiBusyness};
/// assert_eq!(UwsgiBusyness::default().decide(&Reading::default()).target, 1);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct UwsgiBusyness {
    /// The fewest handlers: `cheaper`, 1 unless set.
    pub cheaper: usize,
    /// Handlers at the start: `cheaper-initial`; `None`: as `cheaper`.
    pub initial: Option<usize>,
    /// Handlers to start at once: `cheaper-step`, 1 unless set.
    pub step: usize,
    /// Seconds from one look at the busyness to the next: `cheaper-overload`, 3 unless set.
    pub overload: usize,
    /// Percent busy above which there are too few: `cheaper-busyness-max`, 50 unless set.
    pub max: usize,
    /// Percent busy below which there are too many: `cheaper-busyness-min`, 25 unless set.
    pub min: usize,
    /// Looks before one ends: `cheaper-busyness-multiplier`, 10 unless set.
    pub multiplier: usize,
    /// More of them after a mistake: `cheaper-busyness-penalty`, 2 unless set.
    pub penalty: usize,
    /// Waiting requests that are too many: `cheaper-busyness-backlog-alert`, 33 unless set.
    pub alert: usize,
    /// Looks before one ends that was started for them: `cheaper-busyness-backlog-multiplier`, 3
    /// unless set.
    pub backlog_multiplier: usize,
    /// Handlers to start for them: `cheaper-busyness-backlog-step`, 1 unless set.
    pub backlog_step: usize,
    /// Seconds for which some may wait: `cheaper-busyness-backlog-nonzero`, 60 unless set.
    pub nonzero: usize,
    memory: Memory,
    pace: Pace,
}

/// What it remembers.
#[derive(Clone, Debug, PartialEq)]
struct Memory {
    /// How many handlers were busy, and since when.
    held: (Duration, f64),
    /// Handler-seconds since the last look.
    worked: f64,
    looked: Duration,
    /// How many looks there have to be before one ends; 0 before the first.
    multiplier: usize,
    next_end: Duration,
    last_end: Option<Duration>,
    ended_last: bool,
    between: usize,
    emergencies: usize,
    waiting_since: Option<Duration>,
}

impl Default for UwsgiBusyness {
    fn default() -> Self {
        Self {
            cheaper: 1,
            initial: None,
            step: 1,
            overload: 3,
            max: 50,
            min: 25,
            multiplier: 10,
            penalty: 2,
            alert: 33,
            backlog_multiplier: 3,
            backlog_step: 1,
            nonzero: 60,
            memory: Memory {
                held: (Duration::ZERO, 0.0),
                worked: 0.0,
                looked: Duration::ZERO,
                multiplier: 0,
                next_end: Duration::ZERO,
                last_end: None,
                ended_last: false,
                between: 0,
                emergencies: 0,
                waiting_since: None,
            },
            pace: Pace::every(Duration::from_secs(1)),
        }
    }
}

impl Balance for UwsgiBusyness {
    fn decide(&mut self, reading: &Reading) -> Decision {
        self.observe(reading);
        pace::decide(self, reading)
    }
}

impl Paced for UwsgiBusyness {
    fn pace(&mut self) -> &mut Pace {
        &mut self.pace
    }

    fn begin(&self) -> usize {
        self.initial.unwrap_or(self.cheaper)
    }

    fn step(&mut self, reading: &Reading) -> Step {
        let elapsed = reading.now.saturating_sub(self.memory.looked);
        if elapsed >= self.window() {
            let possible = elapsed.as_secs_f64() * reading.alive().max(1) as f64;
            let percent = (100.0 * self.memory.worked / possible).min(100.0);
            (self.memory.looked, self.memory.worked) = (reading.now, 0.0);
            return self.look(percent, reading);
        }
        if self.is_alarmed(reading) {
            return self.emergency(reading);
        }
        self.watch(reading)
    }

    fn rests(&mut self, reading: &Reading) -> bool {
        let fewest = self.cheaper.max(reading.min).max(1);
        let quiet = self.memory.worked <= 0.0 && reading.busy <= 0.0 && reading.depth == 0;
        quiet && self.memory.waiting_since.is_none() && reading.alive() <= fewest
    }
}

impl UwsgiBusyness {
    /// Adds up for how long handlers were busy.
    fn observe(&mut self, reading: &Reading) {
        let now = reading.now;
        let memory = &mut self.memory;
        if memory.multiplier == 0 {
            memory.looked = now;
            memory.multiplier = self.multiplier.max(1);
            self.put_off(now);
        } else if self.pace.is_resting() {
            // Looks that it slept through would have changed nothing.
            let window = self.window();
            let missed = now.saturating_sub(self.memory.looked).as_nanos() / window.as_nanos();
            let missed = window.saturating_mul(u32::try_from(missed).unwrap_or(u32::MAX));
            self.memory.looked = self.memory.looked.saturating_add(missed);
        } else {
            let (since, busy) = memory.held;
            memory.worked += busy * now.saturating_sub(since).as_secs_f64();
        }
        self.memory.held = (now, sane(reading.busy) / reading.threads.max(1) as f64);
    }

    fn window(&self) -> Duration {
        Duration::from_secs(self.overload.max(1) as u64)
    }

    /// Puts off the end of the next handler.
    fn put_off(&mut self, now: Duration) {
        let urgent = self.memory.emergencies > 0;
        let looks = if urgent { self.backlog_multiplier } else { self.memory.multiplier };
        let looks = u32::try_from(looks).unwrap_or(u32::MAX);
        self.memory.next_end = now.saturating_add(self.window().saturating_mul(looks));
    }

    fn look(&mut self, percent: f64, reading: &Reading) -> Step {
        if percent > self.max as f64 {
            return self.grow(percent, reading);
        }
        if self.is_alarmed(reading) {
            return self.emergency(reading);
        }
        if reading.alive() <= 1 {
            return Step::Stay(format!("{percent:.0} % busy, one handler"));
        }
        if percent < self.min as f64 {
            return self.shrink(percent, reading);
        }
        self.memory.emergencies = self.memory.emergencies.saturating_sub(1);
        self.memory.between = self.memory.between.saturating_add(1);
        if self.memory.between >= 3 {
            self.put_off(reading.now);
        } else {
            self.memory.next_end = self.memory.next_end.saturating_add(self.window());
        }
        Step::Stay(format!("{percent:.0} % busy, from {} to {}: enough", self.min, self.max))
    }

    fn grow(&mut self, percent: f64, reading: &Reading) -> Step {
        self.memory.between = 0;
        let more = self.step.max(1).min(reading.room());
        if more > 0 {
            self.memory.ended_last = false;
            if self.was_hasty(reading.now) {
                self.memory.multiplier = self.memory.multiplier.saturating_add(self.penalty);
            } else {
                self.relent();
            }
            self.put_off(reading.now);
        }
        Step::Grow(more, format!("{percent:.0} % busy, more than {}: {more} more", self.max))
    }

    /// Whether the last one was ended too soon.
    fn was_hasty(&self, now: Duration) -> bool {
        self.memory.last_end.is_some_and(|end| {
            now.saturating_sub(end).as_secs() / self.window().as_secs()
                <= self.memory.multiplier as u64
        })
    }

    fn relent(&mut self) {
        if self.memory.multiplier > self.multiplier.max(1) {
            self.memory.multiplier -= 1;
        }
    }

    fn shrink(&mut self, percent: f64, reading: &Reading) -> Step {
        self.memory.between = 0;
        let words = format!("{percent:.0} % busy, less than {}", self.min);
        if reading.alive() <= self.cheaper {
            return Step::Stay(format!("{words}, and no fewer than {}", self.cheaper));
        }
        if reading.now < self.memory.next_end {
            let wait = self.memory.next_end.saturating_sub(reading.now).as_secs();
            return Step::Stay(format!("{words}: one less in {wait} s"));
        }
        if self.memory.ended_last {
            self.relent();
        }
        self.put_off(reading.now);
        self.memory.last_end = Some(reading.now);
        self.memory.ended_last = true;
        self.memory.emergencies = self.memory.emergencies.saturating_sub(1);
        Step::Shrink(format!("{words}: one less"))
    }

    fn is_alarmed(&self, reading: &Reading) -> bool {
        reading.depth as usize > self.alert && reading.room() > 0
    }

    fn emergency(&mut self, reading: &Reading) -> Step {
        let more = self.backlog_step.max(1).min(reading.room());
        self.memory.multiplier = self.multiplier.max(1);
        self.memory.ended_last = false;
        self.memory.emergencies = self.memory.emergencies.saturating_add(more);
        self.put_off(reading.now);
        Step::Grow(more, format!("{} wait: {more} more at once", reading.depth))
    }

    /// Between two looks: whether some wait and wait.
    fn watch(&mut self, reading: &Reading) -> Step {
        let stay = Step::Stay(format!("{} wait, {} handlers", reading.depth, reading.alive()));
        if reading.depth == 0 {
            self.memory.waiting_since = None;
            return stay;
        }
        let since = *self.memory.waiting_since.get_or_insert(reading.now);
        let waited = reading.now.saturating_sub(since);
        if waited.as_secs() < self.nonzero as u64 || reading.room() == 0 {
            return stay;
        }
        self.memory.waiting_since = Some(reading.now);
        self.emergency(reading)
    }
}

impl Named for UwsgiBusyness {
    const NAME: &'static str = "uwsgi-busyness";
    const ABOUT: &'static str = "Handlers from MIN to MAX percent busy, as uWSGI's busyness.";

    #[rustfmt::skip] // a table
    fn parameters(&mut self) -> Vec<Parameter<'_>> {
        const SECONDS: std::ops::RangeInclusive<usize> = 1..=86_400;
        vec![
            Parameter::count("cheaper", "the fewest handlers", 1..=MOST, &mut self.cheaper),
            Parameter::maybe_count("initial", "handlers at the start, as cheaper unless set", &mut self.initial),
            Parameter::count("step", "handlers to start at once", 1..=MOST, &mut self.step),
            Parameter::count("overload", "seconds between two looks", SECONDS, &mut self.overload),
            Parameter::count("max", "percent busy, more is too much", 1..=100, &mut self.max),
            Parameter::count("min", "percent busy, less is too little", 0..=100, &mut self.min),
            Parameter::count("multiplier", "looks before one ends", 1..=10_000, &mut self.multiplier),
            Parameter::count("penalty", "more of them after a mistake", 0..=10_000, &mut self.penalty),
            Parameter::count("alert", "waiting requests that are too many", 0..=MOST, &mut self.alert),
            Parameter::count("backlog-multiplier", "looks before one of the alarm ends", 1..=10_000, &mut self.backlog_multiplier),
            Parameter::count("backlog-step", "handlers to start at an alarm", 1..=MOST, &mut self.backlog_step),
            Parameter::count("nonzero", "seconds for which some may wait", SECONDS, &mut self.nonzero),
        ]
    }

    fn contradiction(&self) -> Option<String> {
        (self.min > self.max).then(|| format!("min={} is more than max={}", self.min, self.max))
    }
}
