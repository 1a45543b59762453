//! What the machine can bear.

use std::fmt;
use std::time::Duration;

use super::knee::{Knee, Processors};
use super::{Balance, Decision, Limit, Reading};

/// Keeps what a rule wants within what the machine can bear.
///
/// While handlers wait for processors, no more of them than keep the processors busy, and a quarter
/// (before that shows, twice as many, and then twice those that are ready); no more than the free memory holds, where those that start have not taken theirs yet; no more
/// than there are while memory is short (somebody waits for it in more than 5 % of the time), and
/// none that is idle while everybody does (in more than 1 %). The resources never take the
/// last handler, nor one of the fewest allowed; nothing exceeds the most allowed.
///
/// ```
/// use bellwether::balance::{Balance, Budget, Fixed, Limit, Reading};
/// let mut reading = Reading::default();
/// reading.handlers = 3;
/// reading.resources.free_memory = Some(250 << 20);
/// reading.resources.handler_memory = Some(40 << 20);
/// let decision = Budget::new(Box::new(Fixed::new(50))).decide(&reading);
/// assert_eq!((decision.target, decision.limit), (9, Some(Limit::Memory)));
/// assert_eq!(decision.why, "fixed: 50 handlers; no more than 9: memory for 6 more is free");
/// ```
pub struct Budget {
    rule: Box<dyn Balance>,
    knee: Knee,
}

/// Percent of the time in which somebody waits for memory, from which on a pool does not grow.
const SHORT: f64 = 5.0;
/// Percent of the time in which everybody does, from which on idle handlers go.
const STALLED: f64 = 1.0;
/// How long to wait before looking again: the kernel averages over ten seconds.
const LOOK: Duration = Duration::from_secs(1);

/// The most handlers that something allows.
struct Ceiling {
    handlers: usize,
    limit: Limit,
    why: String,
}

impl Budget {
    /// Keeps this rule within bounds.
    #[must_use]
    pub const fn new(rule: Box<dyn Balance>) -> Self {
        Self { rule, knee: Knee::new() }
    }
}

impl Balance for Budget {
    fn decide(&mut self, reading: &Reading) -> Decision {
        let processors = self.knee.look(reading);
        let decision = careful(self.rule.decide(reading), processors, reading);
        let ceilings = [most(reading), busy(processors, reading), memory(reading), short(reading)];
        // Of equals the first: what the operator allows explains more than what is left.
        let lowest = ceilings.into_iter().flatten().min_by_key(|ceiling| ceiling.handlers);
        match lowest {
            Some(ceiling) if ceiling.handlers < decision.target => ceiling.bind(decision, reading),
            _ => Decision { target: reading.within(decision.target), ..decision },
        }
    }
}

/// Goes on slowly where it is not known yet whether the processors can bear more; no limit, for
/// handlers that become ready move it.
fn careful(decision: Decision, processors: Processors, reading: &Reading) -> Decision {
    let Processors::Careful(handlers) = processors else { return decision };
    let handlers = handlers.max(reading.min);
    if decision.target <= handlers {
        return decision;
    }
    let why = format!("{}; {handlers} for now: will the processors bear more?", decision.why);
    Decision { target: handlers, why, ..decision }
}

/// What the processors allow.
fn busy(processors: Processors, reading: &Reading) -> Option<Ceiling> {
    let Processors::Busy(handlers) = processors else { return None };
    Some(Ceiling::at(handlers, Limit::Processors, "the processors are busy".into(), reading))
}

/// What the operator allows.
fn most(reading: &Reading) -> Option<Ceiling> {
    Some(Ceiling { handlers: reading.max, limit: Limit::Max, why: "the most allowed".into() })
}

/// What fits into the free memory.
fn memory(reading: &Reading) -> Option<Ceiling> {
    let each = reading.resources.handler_memory.filter(|each| *each > 0)?;
    let more = usize::try_from(reading.resources.free_memory? / each).unwrap_or(usize::MAX);
    let handlers = reading.handlers.saturating_add(more).max(reading.alive());
    let why = format!("memory for {more} more is free");
    Some(Ceiling::at(handlers, Limit::Memory, why, reading))
}

/// What memory that is short allows.
fn short(reading: &Reading) -> Option<Ceiling> {
    let resources = &reading.resources;
    let (handlers, what) = if resources.memory_stall > STALLED {
        (reading.alive().saturating_sub(reading.idle()), "all wait")
    } else if resources.memory_pressure > SHORT {
        (reading.alive(), "some wait")
    } else {
        return None;
    };
    let percent = resources.memory_stall.max(resources.memory_pressure);
    let why = format!("{what} for memory, {percent:.0} % of the time");
    Some(Ceiling::at(handlers, Limit::Pressure, why, reading))
}

impl Ceiling {
    /// A ceiling by resources; never below one handler: a pool that serves nobody saves nothing.
    fn at(handlers: usize, limit: Limit, why: String, reading: &Reading) -> Self {
        Self { handlers: handlers.max(reading.min).max(1), limit, why }
    }

    fn bind(self, decision: Decision, reading: &Reading) -> Decision {
        let target = reading.within(self.handlers);
        let why = format!("{}; no more than {target}: {}", decision.why, self.why);
        // Resources come back without a word; the most allowed does not change.
        let look = Some(reading.now.saturating_add(LOOK)).filter(|_| self.limit != Limit::Max);
        let again = [decision.again, look].into_iter().flatten().min();
        Decision { target, why, limit: Some(self.limit), again }
    }
}

impl fmt::Debug for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Budget").field("knee", &self.knee).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
