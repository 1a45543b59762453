//! Recycling: a handler that has served long enough is replaced, one at a time, the new one first.
//!
//! Which one is decided by pure functions over what is known of each; marked with its cause, it
//! counts as one to be replaced, and the arithmetic of a roll does the rest.

use std::time::Duration;

use super::life::State;
use super::rules::Recycling;
use super::slot::Slot;
use super::{Phase, Pool, memory};
use crate::handler::refusal::OncePerSecond;
use crate::journal::{Cause, Entry, Kind};
use crate::proc::usage;

static RECYCLE_LINES: OncePerSecond = OncePerSecond::new();

/// By how much of itself a limit may be reduced, so that those born together do not go together.
const SPREAD: f64 = 0.1;
/// How long it takes from one measurement of memory to the next, of another handler.
const MEASURE: Duration = Duration::from_secs(1);
/// How long it takes from one look at what was used up to the next while nobody connects.
const MEASURE_ASLEEP: Duration = Duration::from_secs(10);
/// How long a machine that lacks memory has to recover before the next handler goes.
const RECOVERY: Duration = Duration::from_secs(10);

/// What a handler has used up beside what its telemetry tells.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wear {
    /// Drawn at birth, 0 to 1: the more, the sooner its limits are reached.
    luck: f64,
    /// Bytes when it was last measured.
    memory: Option<u64>,
}

impl Wear {
    pub(crate) const fn new(luck: f64) -> Self {
        Self { luck, memory: None }
    }
}

/// What a pool remembers between two looks at its handlers.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Recycler {
    /// Whose turn it is to be measured.
    turn: usize,
    measured_at: Option<Duration>,
    /// When a handler had to go because the machine lacked memory.
    relieved_at: Option<Duration>,
}

/// Why a handler is to be replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    Requests,
    Age,
    Memory,
    Pressure,
}

/// What a handler has used up, as far as it is known.
#[derive(Clone, Copy, Debug)]
struct Used {
    index: usize,
    luck: f64,
    requests: u64,
    age: Duration,
    memory: Option<u64>,
    is_idle: bool,
}

/// A handler that has reached a limit.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Worn {
    index: usize,
    rule: Rule,
    value: f64,
    limit: f64,
    is_idle: bool,
}

impl Rule {
    const fn name(self) -> &'static str {
        match self {
            Self::Requests => "max_requests",
            Self::Age => "max_age",
            Self::Memory => "max_memory",
            Self::Pressure => "memory_pressure",
        }
    }
}

impl Worn {
    fn reason(&self) -> String {
        const MEBIBYTE: f64 = 1024.0 * 1024.0;
        let Self { value, limit, .. } = self;
        match self.rule {
            Rule::Requests => format!("it has served {value} requests, {limit:.0} are enough"),
            Rule::Age => format!("it is {value:.1} s old, {limit:.1} s are enough"),
            Rule::Memory => {
                let (value, limit) = (value / MEBIBYTE, limit / MEBIBYTE);
                format!("it has {value:.1} MiB of memory, {limit:.1} MiB are enough")
            }
            Rule::Pressure => format!(
                "somebody waits for memory {value} % of the time, and of the idle handlers it has \
                 the most"
            ),
        }
    }

    fn is_for_memory(&self) -> bool {
        self.rule == Rule::Memory
    }

    fn excess(&self) -> f64 {
        self.value / self.limit
    }
}

/// Returns which limits a handler has reached.
fn worn(rules: Recycling, used: Used) -> impl Iterator<Item = Worn> {
    let count = |count: u64| count as f64;
    let limits = [
        (Rule::Requests, Some(count(used.requests)), rules.requests.map(count)),
        (Rule::Age, Some(used.age.as_secs_f64()), rules.age.map(|age| age.as_secs_f64())),
        (Rule::Memory, used.memory.map(count), rules.memory.map(count)),
    ];
    limits.into_iter().filter_map(move |(rule, value, limit)| {
        let (value, limit) = (value?, reduced(limit?, used.luck));
        let Used { index, is_idle, .. } = used;
        (value >= limit).then_some(Worn { index, rule, value, limit, is_idle })
    })
}

fn reduced(limit: f64, luck: f64) -> f64 {
    limit * (1.0 - SPREAD * luck)
}

/// Chooses one: for memory the fattest, an idle one if there is any; else the one most over.
fn choose(worn: &[Worn]) -> Option<Worn> {
    let fattest = worn.iter().filter(|it| it.is_for_memory()).max_by(|one, other| {
        (one.is_idle.cmp(&other.is_idle)).then(one.value.total_cmp(&other.value))
    });
    let most_over = || worn.iter().max_by(|one, other| one.excess().total_cmp(&other.excess()));
    fattest.or_else(most_over).copied()
}

/// Chooses the fattest idle handler, of those that were measured.
fn fattest_idle(used: &[Used]) -> Option<usize> {
    let idle = used.iter().filter(|it| it.is_idle && it.memory.is_some());
    idle.max_by_key(|it| it.memory).map(|it| it.index)
}

impl Pool {
    /// Begins to replace a handler that has served long enough, if there is one.
    pub(super) fn recycle(&mut self, now: Duration) {
        if !self.rules.recycling.is_set() || self.phase != Phase::Serving {
            return;
        }
        let measured = self.measure(now);
        if self.roll.is_some() || self.verdict.is_some() || self.is_recycling() {
            return;
        }
        let used: Vec<Used> = self.used(now).collect();
        let worn: Vec<Worn> = used.iter().flat_map(|it| worn(self.rules.recycling, *it)).collect();
        let relief = || measured.then(|| self.relief(now, &used)).flatten();
        let Some(worn) = choose(&worn).or_else(relief) else { return };
        if worn.rule == Rule::Pressure {
            self.recycler.relieved_at = Some(now);
        }
        self.replace(&worn);
    }

    /// Tells whether a handler is being recycled: one at a time, until it is gone.
    fn is_recycling(&self) -> bool {
        self.slots.iter().any(|it| it.cause == Some(Cause::Recycle) && it.state.has_process())
    }

    fn used(&self, now: Duration) -> impl Iterator<Item = Used> {
        self.slots.iter().enumerate().filter_map(move |(index, slot)| {
            let occupant = slot.occupant.as_ref().filter(|_| slot.is_in_use())?;
            let (seen, Wear { luck, memory }) = (&occupant.seen, occupant.wear);
            // A handler that does not count its requests has one a connection.
            let requests = if seen.requests > 0 { seen.requests } else { seen.wins };
            let age = now.saturating_sub(occupant.ready_at?);
            Some(Used { index, luck, requests, age, memory, is_idle: seen.open == 0 })
        })
    }

    fn replace(&mut self, worn: &Worn) {
        let slot = &mut self.slots[worn.index];
        slot.cause = Some(Cause::Recycle);
        let reason = worn.reason();
        if RECYCLE_LINES.allows() {
            tracing::info!(slot = slot.number, "replacing a handler: {reason}");
        }
        let entry = Entry::new(Kind::Recycle, worn.rule.name(), reason);
        self.tell_of(worn.index, entry.with("value", worn.value).with("limit", worn.limit));
    }

    /// Lets those go on serving who were about to be replaced: a change replaces them anyhow.
    pub(super) fn call_off_recycling(&mut self) {
        for slot in self.slots.iter_mut().filter(|slot| slot.state == State::Serving) {
            slot.cause.take_if(|cause| *cause == Cause::Recycle);
        }
    }

    /// Measures the memory of the next handler, if it is time to; returns whether it was.
    fn measure(&mut self, now: Duration) -> bool {
        let due = self.recycler.measured_at.is_none_or(|at| at.saturating_add(MEASURE) <= now);
        if !self.rules.recycling.needs_memory() || !due {
            return false;
        }
        self.recycler.measured_at = Some(now);
        let turn = self.recycler.turn;
        let in_use = |index: &usize| self.slots[*index].is_in_use();
        let mut order = (turn..self.slots.len()).chain(0..turn.min(self.slots.len()));
        let Some(index) = order.find(in_use) else { return true };
        self.recycler.turn = index + 1;
        let memory = self.slots[index].pid().and_then(usage::pss);
        if let Some(occupant) = &mut self.slots[index].occupant {
            occupant.wear.memory = memory.or(occupant.wear.memory);
        }
        true
    }

    /// Names a handler to be recycled because the machine lacks memory.
    fn relief(&self, now: Duration, used: &[Used]) -> Option<Worn> {
        let limit = self.rules.recycling.memory_pressure?;
        if self.recycler.relieved_at.is_some_and(|at| now < at.saturating_add(RECOVERY)) {
            return None;
        }
        let index = fattest_idle(used)?;
        let value = memory::pressure().filter(|value| *value > limit)?;
        Some(Worn { index, rule: Rule::Pressure, value, limit, is_idle: true })
    }

    /// Returns when to look although nothing may have happened by then.
    pub(super) fn recycling_round(&self, now: Duration) -> Option<Duration> {
        let rules = &self.rules.recycling;
        let aged = rules.age.map(|age| {
            let ready = self.slots.iter().filter(|slot| slot.is_in_use());
            let ready = ready.filter_map(|slot| slot.occupant.as_ref());
            let ends = ready.filter_map(|it| {
                Some(it.ready_at?.saturating_add(age.mul_f64(reduced(1.0, it.wear.luck))))
            });
            // Whoever is born later does not reach it before that.
            let others = now.saturating_add(age.mul_f64(reduced(1.0, 1.0)));
            ends.fold(others, Duration::min).max(now.saturating_add(MEASURE))
        });
        // Requests on connections that are open already wake nobody here.
        let must_ask = rules.needs_memory() || rules.requests.is_some();
        let asked = must_ask.then(|| now.saturating_add(MEASURE_ASLEEP));
        aged.into_iter().chain(asked).min()
    }
}

impl Slot {
    /// Tells whether a handler serves here whom nobody is to replace yet.
    fn is_in_use(&self) -> bool {
        self.state == State::Serving && self.cause.is_none() && self.pid().is_some()
    }
}

impl Recycling {
    fn is_set(&self) -> bool {
        self.requests.is_some() || self.age.is_some() || self.needs_memory()
    }

    const fn needs_memory(&self) -> bool {
        self.memory.is_some() || self.memory_pressure.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEW: Used =
        Used { index: 0, luck: 0.0, requests: 0, age: Duration::ZERO, memory: None, is_idle: true };

    fn rules() -> Recycling {
        let age = Some(Duration::from_secs(60));
        Recycling { requests: Some(100), age, memory: Some(1000), memory_pressure: None }
    }

    #[test]
    fn a_limit_is_reached_at_its_value_less_a_tenth_by_chance() {
        let check = |used: Used, expected: &[Rule]| {
            let rules: Vec<_> = worn(rules(), used).map(|worn| worn.rule).collect();
            assert_eq!(rules, expected, "{used:?}");
        };
        check(NEW, &[]);
        check(Used { requests: 99, ..NEW }, &[]);
        check(Used { requests: 100, ..NEW }, &[Rule::Requests]);
        check(Used { requests: 90, luck: 1.0, ..NEW }, &[Rule::Requests]);
        check(Used { requests: 89, luck: 1.0, ..NEW }, &[]);
        check(Used { age: Duration::from_secs(60), ..NEW }, &[Rule::Age]);
        check(Used { memory: Some(999), ..NEW }, &[]);
        check(Used { memory: Some(950), luck: 0.5, ..NEW }, &[Rule::Memory]);
        let all = Used { requests: 100, age: Duration::MAX, memory: Some(u64::MAX), ..NEW };
        check(all, &[Rule::Requests, Rule::Age, Rule::Memory]);
        assert_eq!(worn(Recycling::default(), all).count(), 0);
    }

    #[test]
    fn for_memory_the_fattest_idle_one_goes_first_else_the_one_most_over() {
        let used = [
            Used { index: 0, requests: 150, ..NEW },
            Used { index: 1, requests: 300, ..NEW },
            Used { index: 2, memory: Some(2000), ..NEW },
            Used { index: 3, memory: Some(3000), ..NEW },
            Used { index: 4, memory: Some(9000), is_idle: false, ..NEW },
        ];
        let check = |who: &[usize], expected| {
            let some: Vec<_> = who.iter().flat_map(|i| worn(rules(), used[*i])).collect();
            assert_eq!(choose(&some).map(|worn| worn.index), expected, "{who:?}");
        };
        check(&[], None);
        check(&[0, 1], Some(1));
        check(&[0, 1, 2, 3, 4], Some(3));
        check(&[0, 1, 4], Some(4));
    }

    #[test]
    fn under_pressure_only_an_idle_handler_that_was_measured_goes() {
        let used = [
            Used { index: 0, ..NEW },
            Used { index: 1, memory: Some(5), ..NEW },
            Used { index: 2, memory: Some(7), ..NEW },
            Used { index: 3, memory: Some(9), is_idle: false, ..NEW },
        ];
        assert_eq!(fattest_idle(&used), Some(2));
        assert_eq!(fattest_idle(&used[..1]), None);
    }
}
