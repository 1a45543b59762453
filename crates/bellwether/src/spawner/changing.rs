//! Carrying out a change: what [`change::step`] decides, in all pools together.

use std::fs::File;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Spawner;
use super::change::{self, Action, Event, State, Way};
use super::command::Answer;
use super::handover::{ChangeState, taken};
use super::rehearsal::Rehearsal;
use crate::error::Result;
use crate::journal::{Entry, Kind as Entries};
use crate::pool::{Phase, Pool, Step};
use crate::sys::clock;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Kind {
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

    const fn done(self) -> &'static str {
        match self {
            Self::Reload => "reloaded",
            Self::Upgrade => "upgraded",
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
    pub(super) kind: Kind,
    pub(super) since: Duration,
    /// Why it failed, until that has been told.
    problem: String,
    outcome: Option<Outcome>,
    /// The program that is to take over.
    pub(super) program: Option<File>,
    pub(super) rehearsal: Option<Rehearsal>,
    /// The configuration of the program from before.
    pub(super) old_configuration: Option<String>,
    pub(super) old_arguments: Vec<Vec<u8>>,
    /// The program from before; this process is the new one.
    pub(super) old_program: Option<File>,
}

impl Change {
    pub(super) const fn none() -> Self {
        Self::of(Kind::Reload, Duration::ZERO)
    }

    const fn of(kind: Kind, since: Duration) -> Self {
        Self {
            state: State::Idle,
            kind,
            since,
            problem: String::new(),
            outcome: None,
            program: None,
            rehearsal: None,
            old_configuration: None,
            old_arguments: Vec::new(),
            old_program: None,
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

    pub(super) fn due(&self) -> Option<Duration> {
        self.rehearsal.as_ref().map(|rehearsal| rehearsal.until)
    }
}

impl Spawner {
    /// Begins a change, or says why not.
    pub(super) fn begin_change(&mut self, kind: Kind, told_by: &str) -> Result<(), String> {
        let verb = kind.verb();
        let reason = if self.stopping.is_some() {
            Some("the server stops".to_owned())
        } else if self.pools.iter().any(Pool::may_change) {
            let announces = |pool: &&Pool| matches!(pool.phase(), Phase::Announcing { .. });
            let leaving = self.pools.iter().find(announces);
            let leaving = leaving.map(|pool| format!("pool `{}` is being drained", pool.name()));
            let changing = self.change.describe();
            changing.map(|now| format!("one change at a time: {now}")).or(leaving)
        } else {
            Some("there is nothing to change: every pool is drained or on its way".to_owned())
        };
        if let Some(reason) = reason {
            tracing::warn!("{verb} refused, told by {told_by}: {reason}");
            self.tell(Entry::new(Entries::Refusal, verb, format!("{told_by}: {reason}")));
            return Err(reason);
        }
        self.fulfil_wishes(); // who waits for the change before hears of that one
        self.change = Change::of(kind, clock::now());
        tracing::info!("{verb}, told by {told_by}");
        self.tell(Entry::new(Entries::Change, verb, format!("begins, told by {told_by}")));
        let way = if kind == Kind::Upgrade { Way::Program } else { self.reload_way };
        self.step_change(Event::Asked(way));
        (0..self.pools.len()).for_each(|pool| self.turn(pool));
        Ok(())
    }

    /// Gives a change up because the server stops.
    pub(super) fn abandon_change(&mut self) {
        self.step_change(Event::Stopped);
    }

    /// Looks how far the change is in the pools, as long as it goes further.
    pub(super) fn proceed_with_change(&mut self) {
        while let Some(event) = self.progress() {
            self.step_change(event);
            (0..self.pools.len()).for_each(|pool| self.turn(pool));
        }
    }

    /// Goes on in a program that has just replaced another in this process.
    pub(super) fn resume_change(&mut self, state: ChangeState) -> Result<()> {
        self.change = Change::of(state.kind, state.since);
        let old_program = taken(state.old_program)?;
        self.change.old_configuration = state.configuration;
        self.change.old_arguments = state.old_arguments;
        if let Some(problem) = state.problem {
            self.pools.iter_mut().for_each(Pool::drop_spares);
            let reason = format!("{problem}; the program from before serves on");
            self.conclude(Outcome::Failed(reason));
        } else {
            self.change.old_program = Some(old_program.into());
            self.change.state = State::Proving;
            let verb = self.change.kind.verb();
            self.tell(Entry::new(Entries::Change, verb, State::Proving.word()));
            self.prove();
        }
        Ok(())
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

    pub(super) fn step_change(&mut self, event: Event) {
        let replaced = self.change.old_program.is_some();
        let (next, action) = change::step(self.change.state, event, replaced);
        if next != self.change.state {
            self.change.state = next;
            if next != State::Idle {
                let verb = self.change.kind.verb();
                self.tell(Entry::new(Entries::Change, verb, next.word()));
            }
        }
        let held = matches!(next, State::Settling | State::Returning);
        self.pools.iter_mut().for_each(|pool| pool.hold(held));
        match action {
            Action::Nothing | Action::Refuse => {}
            Action::Rehearse => self.rehearse(),
            Action::Replace => self.replace(),
            Action::Return => self.return_to_old_program(),
            Action::Prove => self.prove(),
            Action::Spread => self.pools.iter_mut().for_each(Pool::spread),
            Action::RollBack => self.roll_back(),
            Action::Abandon => {
                if let Some(rehearsal) = &mut self.change.rehearsal {
                    rehearsal.kill();
                }
                self.conclude(Outcome::Failed("the server stops".into()));
            }
            Action::Finish => self.finish(),
        }
    }

    /// Tells the spawner why the change cannot go on.
    pub(super) fn change_failed(&mut self, problem: String) {
        self.change.problem = problem;
        self.step_change(Event::Failed);
    }

    fn roll_back(&mut self) {
        self.pools.iter_mut().for_each(Pool::roll_back);
        if self.change.state == State::Idle {
            let problem = std::mem::take(&mut self.change.problem);
            self.conclude(Outcome::Failed(format!("{problem}; nothing was changed")));
        }
    }

    fn finish(&mut self) {
        self.pools.iter_mut().for_each(Pool::settle);
        let told =
            self.pools.iter().filter(|pool| pool.may_change()).map(Pool::generation_in_words);
        let told = told.collect::<Vec<_>>().join("; ");
        self.upgrades += u64::from(self.change.kind == Kind::Upgrade);
        self.conclude(Outcome::Done(format!("{}: {told}", self.change.kind.done())));
    }

    pub(super) fn problem_of_change(&self) -> String {
        self.change.problem.clone()
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
        self.change.program = None;
        self.change.old_program = None;
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
