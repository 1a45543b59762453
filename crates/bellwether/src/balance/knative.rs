//! By the average number of requests: the rule of Knative's pod autoscaler.

use std::time::Duration;

use super::average::Average;
use super::pace::Pace;
use super::parameter::{MOST, Named, Parameter};
use super::reading::whole;
use super::{Balance, Decision, Reading};

/// Divides the average number of requests by what a handler should have, as Knative's KPA does.
///
/// Every two seconds: the requests that are served or wait, averaged over the window `stable`,
/// over `utilization` percent of a handler's threads. When the average over the last `panic`
/// percent of the window asks for `threshold` percent of the ready handlers it panics: the greater
/// of the two numbers counts, and it takes none back before the window has passed without another
/// panic. At one moment the number grows to `up` times the ready ones at most and shrinks to a
/// `down`th of them at least. From the last handler to none it waits for `grace` longer; from none
/// to one it waits for nothing. Source: `pkg/autoscaler/scaling/autoscaler.go` of Knative Serving;
/// the defaults are those of its `config-autoscaler`.
///
/// ```
/// use bellwether::balance::{Balance, Knative, Reading};
/// let mut reading = Reading::default();
/// reading.depth = 7;
/// assert_eq!(Knative::default().decide(&reading).target, 1);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Knative {
    /// Percent of a handler's threads: `container-concurrency-target-percentage`, 70 unless set.
    pub utilization: usize,
    /// The window: `stable-window`, 60 s unless set, at most 10 minutes.
    pub stable: Duration,
    /// Percent of the window: `panic-window-percentage`, 10 unless set.
    pub panic: usize,
    /// Percent of the ready handlers: `panic-threshold-percentage`, 200 unless set.
    pub threshold: usize,
    /// How many times the ready handlers at most: `max-scale-up-rate`, 1000 unless set.
    pub up: usize,
    /// Which part of them at least: `max-scale-down-rate`, 2 unless set.
    pub down: usize,
    /// For how long the last handler stays longer: `scale-to-zero-grace-period`, 30 s unless set.
    pub grace: Duration,
    seen: Average,
    /// When it panicked last.
    panicked: Option<Duration>,
    most: usize,
    /// Since when none is wanted.
    none_since: Option<Duration>,
    target: usize,
    why: String,
    pace: Pace,
}

/// `tickInterval`.
const TICK: Duration = Duration::from_secs(2);

impl Default for Knative {
    fn default() -> Self {
        Self {
            utilization: 70,
            stable: Duration::from_secs(60),
            panic: 10,
            threshold: 200,
            up: 1000,
            down: 2,
            grace: Duration::from_secs(30),
            seen: Average::new(),
            panicked: None,
            most: 0,
            none_since: None,
            target: 0,
            why: String::new(),
            pace: Pace::every(TICK),
        }
    }
}

impl Balance for Knative {
    fn decide(&mut self, reading: &Reading) -> Decision {
        let first = self.pace.next().is_none();
        self.seen.hold(reading.now, reading.demand());
        if first {
            self.begin(reading);
        } else if self.pace.is_due(reading.now) {
            self.scale(reading);
        }
        if reading.alive() == 0 && self.target == 0 && reading.demand() > 0.0 {
            // What Knative calls a poke by the activator.
            self.target = 1;
            self.why = String::from("a request and no handler: one");
        }
        let settled = self.panicked.is_none() && self.target <= reading.min;
        let rests = settled && reading.demand() <= 0.0 && self.seen.was_zero(self.stable);
        self.pace.rest(rests);
        let again = self.pace.next().filter(|_| !rests);
        let why = format!("{}: {}", Self::NAME, self.why);
        Decision { again, ..Decision::new(reading.within(self.target), why) }
    }
}

impl Knative {
    /// A pool that is there already is kept as it is for a while, as after a panic.
    fn begin(&mut self, reading: &Reading) {
        self.pace.begin(0, reading);
        self.target = reading.alive();
        self.why = format!("starts with {}", self.target);
        if reading.handlers > 1 {
            (self.panicked, self.most) = (Some(reading.now), reading.alive());
        }
    }

    fn scale(&mut self, reading: &Reading) {
        let now = reading.now;
        let ready = reading.handlers.max(1) as f64;
        let each = reading.threads.max(1) as f64 * self.utilization.max(1) as f64 / 100.0;
        let (stable, burst) = (self.average(100), self.average(self.panic));
        let panics = (burst / each).ceil() * 100.0 >= ready * self.threshold as f64;
        self.panic(panics, now);
        let wanted = if self.panicked.is_some() { stable.max(burst) } else { stable };
        let up = ready * self.up.max(1) as f64;
        let down = (ready / self.down.max(1) as f64).floor();
        let wanted = whole((wanted / each).ceil().max(down).min(up));
        self.most = if self.panicked.is_some() { self.most.max(wanted) } else { 0 };
        self.target = self.keep_last(wanted.max(self.most), reading);
        let how = if self.panicked.is_some() { ", in panic" } else { "" };
        self.why = format!(
            "{stable:.1} requests over {:?}, {burst:.1} lately{how}: {} of {each} each",
            self.stable, self.target
        );
    }

    fn average(&self, percent: usize) -> f64 {
        let percent = u32::try_from(percent.min(100)).unwrap_or(100);
        self.seen.over(self.stable.saturating_mul(percent) / 100)
    }

    fn panic(&mut self, panics: bool, now: Duration) {
        let is_over = |since: Duration| since.saturating_add(self.stable) < now;
        if panics {
            self.panicked = Some(now);
        } else if self.panicked.is_some_and(is_over) {
            self.panicked = None;
        }
    }

    /// Keeps the last handler for longer.
    fn keep_last(&mut self, wanted: usize, reading: &Reading) -> usize {
        if wanted > 0 || reading.alive() == 0 {
            self.none_since = None;
            return wanted;
        }
        let since = *self.none_since.get_or_insert(reading.now);
        usize::from(reading.now.saturating_sub(since) < self.grace)
    }
}

impl Named for Knative {
    const NAME: &'static str = "knative";
    const ABOUT: &'static str = "By the average number of requests, as Knative's pod autoscaler.";

    #[rustfmt::skip] // a table
    fn parameters(&mut self) -> Vec<Parameter<'_>> {
        vec![
            Parameter::count("utilization", "percent of a handler's threads", 1..=100, &mut self.utilization),
            Parameter::time("stable", "the window, at most 10m", &mut self.stable),
            Parameter::count("panic", "percent of the window", 1..=100, &mut self.panic),
            Parameter::count("threshold", "percent of the ready handlers", 110..=1000, &mut self.threshold),
            Parameter::count("up", "times the ready handlers at most", 1..=MOST, &mut self.up),
            Parameter::count("down", "a DOWNth of them at least", 1..=MOST, &mut self.down),
            Parameter::time("grace", "how much longer the last one stays", &mut self.grace),
        ]
    }

    fn contradiction(&self) -> Option<String> {
        let window = Average::LONGEST;
        (self.stable > window).then(|| format!("stable={:?} is more than {window:?}", self.stable))
    }
}
