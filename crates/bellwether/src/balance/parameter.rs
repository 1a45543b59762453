//! The parameters of a rule as text: read, printed and described from one list.

use std::fmt::{Debug, Display};
use std::ops::RangeInclusive;
use std::time::Duration;

use super::slo;

/// More handlers than any machine has.
pub(super) const MOST: usize = 1_000_000;

/// A rule with a name and parameters.
pub(super) trait Named {
    const NAME: &'static str;
    /// One sentence.
    const ABOUT: &'static str;

    /// Its parameters, to be read and to be set.
    fn parameters(&mut self) -> Vec<Parameter<'_>>;

    /// What is wrong with them taken together.
    fn contradiction(&self) -> Option<String> {
        None
    }
}

/// One parameter of one rule.
pub(super) struct Parameter<'a> {
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    value: Value<'a>,
}

/// Where its value is, and which values it may have.
enum Value<'a> {
    Count(&'a mut usize, RangeInclusive<usize>),
    MaybeCount(&'a mut Option<usize>, RangeInclusive<usize>),
    Time(&'a mut Duration),
    MaybeTime(&'a mut Option<Duration>),
}

/// From the resolution of the server's clocks to a day.
const TIMES: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(86_400);

impl<'a> Parameter<'a> {
    pub(super) const fn count(
        name: &'static str,
        about: &'static str,
        range: RangeInclusive<usize>,
        at: &'a mut usize,
    ) -> Self {
        Self { name, about, value: Value::Count(at, range) }
    }

    /// A number that is derived from the others unless it is given.
    pub(super) const fn maybe_count(
        name: &'static str,
        about: &'static str,
        at: &'a mut Option<usize>,
    ) -> Self {
        Self { name, about, value: Value::MaybeCount(at, 0..=MOST) }
    }

    pub(super) const fn time(
        name: &'static str,
        about: &'static str,
        at: &'a mut Duration,
    ) -> Self {
        Self { name, about, value: Value::Time(at) }
    }

    /// A time that is measured unless it is given.
    pub(super) const fn maybe_time(
        name: &'static str,
        about: &'static str,
        at: &'a mut Option<Duration>,
    ) -> Self {
        Self { name, about, value: Value::MaybeTime(at) }
    }

    /// Sets it to what is written; the error says what may be written.
    pub(super) fn set(&mut self, text: &str) -> Result<(), String> {
        match &mut self.value {
            Value::Count(at, range) => **at = within(text.parse().ok(), range)?,
            Value::MaybeCount(at, range) => **at = Some(within(text.parse().ok(), range)?),
            Value::Time(at) => **at = time(text)?,
            Value::MaybeTime(at) => **at = Some(time(text)?),
        }
        Ok(())
    }

    /// Returns its value as it is written; `None`: it is derived or measured.
    pub(super) fn get(&self) -> Option<String> {
        match &self.value {
            Value::Count(at, _) => Some(at.to_string()),
            Value::MaybeCount(at, _) => at.map(|count| count.to_string()),
            Value::Time(at) => Some(format!("{at:?}")),
            Value::MaybeTime(at) => at.map(|time| format!("{time:?}")),
        }
    }
}

fn within<T: PartialOrd + Display>(
    value: Option<T>,
    range: &RangeInclusive<T>,
) -> Result<T, String> {
    let wrong = || format!("a whole number from {} to {}", range.start(), range.end());
    value.filter(|value| range.contains(value)).ok_or_else(wrong)
}

fn time(text: &str) -> Result<Duration, String> {
    let wrong = || String::from("a time from 1ms to 1440m, like 500ms, 10s or 2m");
    slo::time(text).filter(|time| TIMES.contains(time)).ok_or_else(wrong)
}

impl Debug for Parameter<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}={:?}", self.name, self.get())
    }
}
