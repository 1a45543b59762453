//! Carrying out a change: what [`change::step`] decides, in all pools together.

use std::time::Duration;

use super::Spawner;
use super::change::{self, Action, Event, State, Way};
use super::command::Answer;
use crate::journal::{Entry, Kind as Entries};
use crate::pool::{Pool, Step};
use crate::sys::clock;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// New handlers.
    Reload,
    /// A new spawner and new handlers.
    Upgrade,
}

impl Kind {
    const fn verb(self) -> &'static str {
        match self {
            Self::Reload => "reload",
            Self::Upgrade => "upgrade",
        }
    }
}

/// How a change ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Done(String),
    Failed(String),
}

impl Outcome {
    pub(super) fn answer(&self, took_s: f64) -> Answer {
        match self {
            Self::Done(what) => Answer::Done { what: what.clone(), took_s, cut: 0 },
            Self::Failed(reason) => Answer::Failed { reason: reason.clone() },
        }
    }
}

/// The change that is going on, if one is.
pub(super) struct Change {
    state: State,
    kind: Kind,
    since: Duration,
    /// Why it failed, until that has been told.
    problem: String,
    outcome: Option<Outcome>,
}

impl Change {
    pub(super) const fn none() -> Self {
        Self {
            state: State::Idle,
            kind: Kind::Reload,
            since: Duration::ZERO,
            problem: String::new(),
            outcome: None,
        }
    }

    pub(super) fn is_going_on(&self) -> bool {
        self.state != State::Idle
    }

    /// Says what is going on, if anything is.
    pub(super) fn describe(&self) -> Option<String> {
        self.is_going_on().then(|| format!("{}: {}", self.kind.verb(), self.state.word()))
    }

    /// Returns how the change ended, once.
    pub(super) const fn take_outcome(&mut self) -> Option<Outcome> {
        self.outcome.take()
    }

    pub(super) const fn due(&self) -> Option<Duration> {
        None
    }
}

impl Spawner {
    /// Begins a change, or says why not.
    pub(super) fn begin_change(&mut self, kind: Kind, told_by: &str) -> Result<(), String> {
        let verb = kind.verb();
        let reason = if self.stopping {
            Some("the server stops".to_owned())
        } else {
            self.change.describe().map(|now| format!("one change at a time: {now}"))
        };
        if let Some(reason) = reason {
            tracing::warn!("{verb} refused, told by {told_by}: {reason}");
            self.tell(Entry::new(Entries::Refusal, verb, format!("{told_by}: {reason}")));
            return Err(reason);
        }
        let (since, state, outcome) = (clock::now(), State::Idle, None);
        self.change = Change { state, kind, since, problem: String::new(), outcome };
        tracing::info!("{verb}, told by {told_by}");
        self.tell(Entry::new(Entries::Change, verb, format!("begins, told by {told_by}")));
        self.step_change(Event::Asked(Way::Template));
        Ok(())
    }

    /// Gives a change up because the server stops.
    pub(super) fn abandon_change(&mut self) {
        self.step_change(Event::Stopped);
    }

    /// Looks how far the change is in the pools.
    pub(super) fn proceed_with_change(&mut self) {
        let Some(event) = self.progress() else { return };
        self.step_change(event);
        (0..self.pools.len()).for_each(|pool| self.turn(pool));
    }

    fn progress(&mut self) -> Option<Event> {
        let pools = || self.pools.iter().filter(|pool| pool.step().is_some());
        match self.change.state {
            State::Proving | State::Spreading => {
                if let Some(problem) = self.pools.iter().find_map(problem_of) {
                    self.change.problem = problem;
                    return Some(Event::Failed);
                }
                let all = |step: &Step| pools().all(|pool| pool.step() == Some(step));
                match self.change.state {
                    State::Proving => all(&Step::Proven).then_some(Event::Proven),
                    _ => all(&Step::Spread).then_some(Event::Spread),
                }
            }
            State::Settling | State::Returning => {
                self.pools.iter().all(Pool::is_settled).then_some(Event::Settled)
            }
            State::Idle | State::Rehearsing => None,
        }
    }

    fn step_change(&mut self, event: Event) {
        let (next, action) = change::step(self.change.state, event, false);
        if next != self.change.state {
            self.change.state = next;
            if next != State::Idle {
                let verb = self.change.kind.verb();
                self.tell(Entry::new(Entries::Change, verb, next.word()));
            }
        }
        match action {
            Action::Nothing | Action::Refuse => {}
            Action::Rehearse | Action::Replace | Action::Return => {}
            Action::Prove => self.prove(),
            Action::Spread => self.pools.iter_mut().for_each(Pool::spread),
            Action::RollBack => {
                self.pools.iter_mut().for_each(Pool::roll_back);
                let problem = std::mem::take(&mut self.change.problem);
                self.conclude(Outcome::Failed(format!("{problem}; nothing was changed")));
            }
            Action::Abandon => self.conclude(Outcome::Failed("the server stops".into())),
            Action::Finish => {
                self.pools.iter_mut().for_each(Pool::settle);
                let told = self.pools.iter().map(Pool::generation_in_words);
                let told = told.collect::<Vec<_>>().join("; ");
                self.conclude(Outcome::Done(told));
            }
        }
    }

    fn prove(&mut self) {
        for pool in self.pools.iter_mut().filter(|pool| pool.may_change()) {
            pool.prove();
        }
    }

    fn conclude(&mut self, outcome: Outcome) {
        let verb = self.change.kind.verb();
        let took = clock::now().saturating_sub(self.change.since).as_secs_f64();
        let entry = match &outcome {
            Outcome::Done(what) => {
                tracing::info!(took_s = took, "{verb} done: {what}");
                Entry::new(Entries::Change, verb, format!("done: {what}"))
            }
            Outcome::Failed(reason) => {
                tracing::error!(took_s = took, "{verb} failed: {reason}");
                Entry::new(Entries::Change, verb, format!("failed: {reason}"))
            }
        };
        self.tell(entry.with("took_s", took));
        self.change.outcome = Some(outcome);
    }
}

/// Returns why the new generation of a pool has failed, if it has.
fn problem_of(pool: &Pool) -> Option<String> {
    match pool.step() {
        Some(Step::Failed(problem)) => Some(format!("pool `{}`: {problem}", pool.name())),
        _ => None,
    }
}
