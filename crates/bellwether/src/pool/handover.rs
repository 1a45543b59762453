//! A pool on its way to a successor in the same process: books, listeners and living handlers.

use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::time::Duration;

use rustix::process::Pid;
use serde::{Deserialize, Serialize};

use super::event::Source;
use super::life::State;
use super::recycle::Wear;
use super::respawn::jitter;
use super::rules::{Rules, Times};
use super::slot::{Occupant, Process, Slot};
use super::sums::Sums;
use super::template::Pattern;
use super::{Bounds, Phase, Plan, Pool};
use crate::address::Listener;
use crate::address::handover::ListenerState;
use crate::balance::Fixed;
use crate::error::{Doing, Error, Result};
use crate::handler::Deadlines;
use crate::journal::Cause;
use crate::scoreboard::bell::{Bell, BellFiles};
use crate::scoreboard::telemetry::{Snapshot, TelemetryView};
use crate::sys::poller::Interest;
use crate::sys::secret::Secret;
use crate::sys::{clock, descriptors};

/// A pool as its successor finds it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct PoolState {
    pub(crate) name: String,
    pub(crate) listeners: Vec<ListenerState>,
    generation: u64,
    newest: u64,
    tickets: u64,
    /// What the operator has set in place of the configuration.
    bounds: Option<Bounds>,
    gone: Sums,
    cut: u64,
    /// Whether it was drained: newcomers are refused.
    pub(crate) closed: bool,
    /// For a pool that the next configuration does not know.
    times: Times,
    deadlines: Deadlines,
    bell: [RawFd; 3],
    /// What its handlers share beyond the life of a program.
    #[serde(default)]
    pub(crate) secret: Option<Secret>,
    slots: Vec<SlotState>,
}

/// A living handler as its next spawner finds it.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct SlotState {
    number: usize,
    generation: u64,
    state: State,
    cause: Option<Cause>,
    unhurried: bool,
    until: Option<Duration>,
    ticket: u64,
    pid: i32,
    asked_at: Duration,
    ready_at: Option<Duration>,
    dismissed: bool,
    condemned: bool,
    channel: Option<RawFd>,
    page: RawFd,
    threads: usize,
}

impl PoolState {
    /// Returns every descriptor that it names.
    pub(crate) fn descriptors(&self) -> Vec<RawFd> {
        let listeners = self.listeners.iter().map(|it| it.fd);
        let slots = self.slots.iter().flat_map(|it| it.channel.into_iter().chain([it.page]));
        listeners.chain(self.bell).chain(slots).collect()
    }
}

impl Pool {
    /// Describes the pool for a successor; all its handlers have been born.
    pub(crate) fn state_of_affairs(&self) -> PoolState {
        PoolState {
            name: self.name.clone(),
            listeners: self.listeners.iter().chain(&self.spare).map(Listener::state).collect(),
            generation: self.serving_generation(),
            newest: self.newest,
            tickets: self.tickets,
            bounds: (self.bounds != self.configured).then_some(self.bounds),
            gone: self.gone.clone(),
            cut: self.cut,
            closed: self.phase == Phase::Closing,
            times: self.rules.times,
            deadlines: self.rules.deadlines,
            bell: self.bell_files.descriptors(),
            secret: self.secret.clone(),
            slots: self.slots.iter().filter_map(hand_over).collect(),
        }
    }

    /// Goes on where a predecessor in this process was.
    pub(crate) fn resume(plan: Plan, state: PoolState) -> Result<Self> {
        let mut pool = Self::new(plan)?;
        let [page, rope, doorbell] = state.bell.map(taken);
        pool.bell_files = BellFiles::resume([page?, rope?, doorbell?]);
        pool.bell = Bell::of(&pool.bell_files).doing("map the bell page")?;
        pool.watch_doorbell()?;
        pool.pattern.generation = state.generation;
        (pool.newest, pool.tickets) = (state.newest, state.tickets);
        (pool.gone, pool.cut) = (state.gone, state.cut);
        if state.bounds.is_some() {
            pool.set_bounds(state.bounds)?;
        }
        pool.spare =
            state.listeners.into_iter().map(ListenerState::resume).collect::<Result<_>>()?;
        if state.closed {
            pool.phase = Phase::Closing;
        } else {
            // A predecessor may have closed the door of an address that goes on now.
            pool.listeners.iter().for_each(Listener::open_door);
        }
        pool.ever_ready = true;
        for slot in state.slots {
            pool.take_in(slot)?;
        }
        let crew = pool.count(|slot| slot.state == State::Serving);
        pool.balancing.take_over(crew, clock::now());
        Ok(pool)
    }

    /// Goes on with a pool that the configuration does not know any more, until the change is over.
    pub(crate) fn left_over(mut state: PoolState) -> Result<Self> {
        let listeners = std::mem::take(&mut state.listeners);
        let plan = Plan {
            name: state.name.clone(),
            listeners: listeners.into_iter().map(ListenerState::resume).collect::<Result<_>>()?,
            pattern: Pattern::unused(),
            rules: Rules { times: state.times, deadlines: state.deadlines, ..Rules::default() },
            bounds: Bounds { min: 0, max: state.slots.len().max(1) },
            balance: Box::new(Fixed::new(0)),
            load: Box::new(|| Err("the pool is not in the configuration any more".into())),
            secret: state.secret.clone(),
        };
        let mut pool = Self::resume(plan, state)?;
        pool.retire();
        Ok(pool)
    }

    fn take_in(&mut self, state: SlotState) -> Result<()> {
        let page = taken(state.page)?;
        let channel = state.channel.map(taken).transpose()?;
        if let Some(channel) = &channel {
            let interest = if state.ready_at.is_some() { Interest::HangUp } else { Interest::Read };
            let token = Source::Channel(self.slots.len()).token();
            self.poller.add(channel, token, interest).doing("watch a handler")?;
        }
        let mut slot = Slot::new();
        slot.number = state.number;
        slot.generation = state.generation;
        slot.state = state.state;
        slot.cause = state.cause;
        slot.unhurried = state.unhurried;
        slot.until = state.until;
        slot.occupant = Some(Occupant {
            ticket: state.ticket,
            asked_at: state.asked_at,
            rung_at: None,
            ready_at: state.ready_at,
            process: Pid::from_raw(state.pid).map(Process::of),
            channel,
            telemetry: TelemetryView::map(&page, state.threads).doing("map a telemetry page")?,
            page,
            seen: Snapshot::default(),
            foreign: self.pattern.program.is_some(),
            family: Vec::new(),
            last_words: None,
            dismissed: state.dismissed,
            condemned: state.condemned,
            term: None,
            used: None,
            wear: Wear::new(jitter()),
        });
        self.slots.push(slot);
        Ok(())
    }
}

fn hand_over(slot: &Slot) -> Option<SlotState> {
    let occupant = slot.occupant.as_ref()?;
    Some(SlotState {
        number: slot.number,
        generation: slot.generation,
        state: slot.state,
        // Whose recycling is not over is left to the change that goes on.
        cause: slot.cause.filter(|cause| *cause != Cause::Recycle || slot.state != State::Serving),
        unhurried: slot.unhurried,
        until: slot.until,
        ticket: occupant.ticket,
        pid: slot.pid()?.as_raw_pid(),
        asked_at: occupant.asked_at,
        ready_at: occupant.ready_at,
        dismissed: occupant.dismissed,
        condemned: occupant.condemned,
        channel: occupant.channel.as_ref().map(AsRawFd::as_raw_fd),
        page: occupant.page.as_raw_fd(),
        threads: occupant.telemetry.threads(),
    })
}

fn taken(fd: RawFd) -> Result<OwnedFd> {
    descriptors::duplicate(fd)
        .map_err(|_| Error::configure("handover", format!("descriptor {fd} was not handed over")))
}
