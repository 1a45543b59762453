//! The spawner: opens the address, keeps the handlers, decides their number.
//!
//! Its creed: it has one thread; it never blocks outside `epoll_wait` and never sleeps; it never
//! reads a client's byte and never runs the user's code; it believes nothing that a handler
//! writes, and signals nobody whom the kernel does not call its child.
//!
//! All that happens comes as an [`event::Event`] through one queue into one `match`. What a slot
//! goes through is decided by [`life::step`], a pure function; [`population`] carries it out with
//! [`birth`] and [`death`]; [`look`] looks after the buffer, [`report`] tells.

pub(crate) mod access;
mod birth;
pub mod command;
mod control;
mod death;
mod descriptors;
mod event;
#[allow(dead_code)] // taken before a kill
mod evidence;
mod fork;
pub mod journal;
mod life;
mod look;
#[allow(dead_code)] // asked by recycling
mod memory;
mod message;
mod population;
mod report;
mod respawn;
pub(crate) mod rules;
pub(crate) mod runtime_dir;
mod slot;
pub mod status;
pub(crate) mod template;
mod watch;

use std::time::Duration;

use control::{Command, Control, Heard};
use event::{Event, Source};
use respawn::Backoff;
use rules::Times;
pub(crate) use runtime_dir::RuntimeDir;
use slot::{Process, Slot};
use status::Totals;
use template::{Load, Pattern, Template};
use watch::Watch;

use crate::address::Listener;
use crate::balance::Balance;
use crate::error::{Doing, Error, Result};
use crate::scoreboard::bell::{Bell, BellFiles};
use crate::scoreboard::control::ControlPage;
use crate::sys::clock;
use crate::sys::poller::{Interest, Poller};
use crate::sys::signal::Signals;

/// What a pool is made of.
pub(crate) struct Pool {
    pub(crate) name: String,
    pub(crate) listeners: Vec<Listener>,
    pub(crate) folder: RuntimeDir,
    pub(crate) pattern: Pattern,
    pub(crate) times: Times,
    pub(crate) min: usize,
    pub(crate) max: usize,
    pub(crate) balance: Box<dyn Balance>,
}

/// How a server ended that was told to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stopped {
    /// Connections that were cut off because their time was up.
    pub cut: u64,
}

/// The state of the spawner.
pub(crate) struct Spawner {
    name: String,
    load: Load,
    pattern: Pattern,
    times: Times,
    min: usize,
    max: usize,
    balance: Box<dyn Balance>,
    why: String,
    want: usize,

    listeners: Vec<Listener>,
    control: Control,
    page: ControlPage,
    bell_files: BellFiles,
    bell: Bell,
    poller: Poller,
    signals: Signals,

    template: Option<Template>,
    slots: Vec<Slot>,
    tickets: u64,
    boot: Backoff,
    ever_ready: bool,
    /// The sums of handlers that are gone.
    gone: Totals,
    waits_gone: Vec<u64>,
    cut: u64,
    /// How many of the crashes have been told in the log.
    crashes_told: u64,

    started: Duration,
    watch: Watch,
    /// What waited in each buffer at the last look.
    stood: Vec<u32>,
    accepted_seen: u64,
    /// When a stop began.
    stopping: Option<Duration>,
    /// Whether everything is to end at once.
    doomed: bool,
    verdict: Option<Error>,
}

impl Spawner {
    /// Takes everything over that a pool needs; no process is made yet.
    pub(crate) fn new(pool: Pool, load: Load) -> Result<Self> {
        rustix::process::set_child_subreaper(Some(rustix::process::getpid()))
            .doing("become the parent of orphaned handlers (PR_SET_CHILD_SUBREAPER)")?;
        Process::of(rustix::process::getpid())
            .probe()
            .doing("hold processes by descriptor (pidfd_open and waitid, Linux 5.4)")?;
        let limits = descriptors::raise(pool.max, pool.listeners.len())?;
        let bell_files = BellFiles::new().doing("create the bell page")?;
        let spawner = Self {
            name: pool.name,
            load,
            pattern: Pattern { descriptors: limits, ..pool.pattern },
            times: pool.times,
            min: pool.min,
            max: pool.max,
            balance: pool.balance,
            why: String::new(),
            want: 0,
            listeners: pool.listeners,
            control: Control::open(pool.folder)?,
            page: ControlPage::new()
                .doing("create the control page (memfd with seals, Linux 5.1)")?,
            bell: Bell::of(&bell_files).doing("map the bell page")?,
            bell_files,
            poller: Poller::new(64).doing("create an epoll")?,
            signals: Signals::open().doing("watch signals")?,
            template: None,
            slots: (0..pool.max).map(|_| Slot::new()).collect(),
            tickets: 0,
            boot: Backoff::boot(),
            ever_ready: false,
            gone: Totals::default(),
            waits_gone: Vec::new(),
            cut: 0,
            crashes_told: 0,
            started: clock::now(),
            watch: Watch::Asleep,
            stood: Vec::new(),
            accepted_seen: 0,
            stopping: None,
            doomed: false,
            verdict: None,
        };
        spawner.watch_all().doing("watch the descriptors of the spawner")?;
        Ok(spawner)
    }

    fn watch_all(&self) -> std::io::Result<()> {
        self.poller.add(&self.signals, Source::Signals.token(), Interest::Read)?;
        self.poller.add(&self.control.socket, Source::Control.token(), Interest::Read)?;
        for (i, listener) in self.listeners.iter().enumerate() {
            self.poller.add(listener, Source::Listener(i).token(), Interest::ReadOnce)?;
        }
        Ok(())
    }

    /// Runs the pool until it is told to stop, or cannot go on.
    pub(crate) fn run(mut self) -> Result<Stopped> {
        self.populate();
        while !self.is_over() {
            match self.wait() {
                Ok(events) => events.into_iter().for_each(|event| self.handle(event)),
                Err(error) => self.fail(error),
            }
            self.populate();
        }
        self.verdict.take().map_or(Ok(Stopped { cut: self.cut }), Err)
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Signal(number) => self.signalled(number),
            Event::ChildrenEnded => self.reap(),
            Event::TemplateSpoke => self.hear_template(),
            Event::Channel { slot, hung_up } => self.hear_handler(slot, hung_up),
            Event::Request => self.watch = self.watch.rouse(clock::now()),
            Event::Knock => self.admit_client(),
            Event::Client(number) => self.hear_client(number),
            Event::Expired(slot) => self.expired(slot),
            Event::TemplateLate => self.template_late(),
            Event::Look => self.look(),
        }
    }

    /// Waits for whatever comes first and returns it as events.
    fn wait(&mut self) -> Result<Vec<Event>> {
        let patience = self.deadline().map(|until| until.saturating_sub(clock::now()));
        let ready = self.poller.wait(patience).doing("wait for events")?;
        let mut events = Vec::with_capacity(ready.len());
        for one in ready {
            match Source::from_token(one.token) {
                Source::Signals => events.extend(self.pending_signals()),
                Source::Template => events.push(Event::TemplateSpoke),
                Source::Control => events.push(Event::Knock),
                Source::Listener(_) => events.push(Event::Request),
                Source::Channel(slot) => {
                    events.push(Event::Channel { slot, hung_up: one.hung_up });
                }
                Source::Client(number) => events.push(Event::Client(number)),
            }
        }
        self.add_expired(&mut events);
        Ok(events)
    }

    /// A slot's patience has run out, unless an event just before has changed that.
    fn expired(&mut self, slot: usize) {
        let until = self.slots.get(slot).and_then(|slot| slot.until);
        if until.is_some_and(|until| until <= clock::now()) {
            self.apply(slot, life::Event::Expired);
        }
    }

    fn pending_signals(&self) -> Vec<Event> {
        std::iter::from_fn(|| self.signals.next())
            .map(|signal| match signal {
                libc::SIGCHLD => Event::ChildrenEnded,
                other => Event::Signal(other),
            })
            .collect()
    }

    fn add_expired(&mut self, events: &mut Vec<Event>) {
        let now = clock::now();
        let late = |until: Option<Duration>| until.is_some_and(|until| until <= now);
        let expired = self.slots.iter().enumerate().filter(|(_, slot)| late(slot.until));
        events.extend(expired.map(|(i, _)| Event::Expired(i)));
        if late(self.template.as_ref().and_then(|template| template.until)) {
            events.push(Event::TemplateLate);
        }
        if late(self.watch.next()) {
            events.push(Event::Look);
        }
        self.control.dismiss_late(now);
        if late(self.control.shut_until) {
            self.control.shut_until = None;
            self.watch_control();
        }
    }

    /// The next moment at which something is due without anything happening.
    fn deadline(&self) -> Option<Duration> {
        let slots = self.slots.iter().filter_map(|slot| slot.until);
        let others = [
            self.watch.next(),
            self.control.deadline(),
            self.boot.pausing(clock::now()),
            self.template.as_ref().and_then(|template| template.until),
        ];
        slots.chain(others.into_iter().flatten()).min()
    }

    fn signalled(&mut self, signal: i32) {
        if matches!(signal, libc::SIGUSR1 | libc::SIGUSR2) {
            tracing::info!("{} has no meaning here and is ignored", slot::signal_name(signal));
            return;
        }
        if signal == libc::SIGQUIT || self.stopping.is_some() {
            tracing::warn!("ending at once, told by {}", slot::signal_name(signal));
            self.stop();
            self.doom();
        } else {
            self.stop();
        }
    }

    /// Something without which there is no going on has failed.
    fn fail(&mut self, error: Error) {
        tracing::error!(%error, "the server cannot go on");
        self.verdict.get_or_insert(error);
        self.stop();
        self.doom();
    }

    fn admit_client(&mut self) {
        if let Some((number, stream)) = self.control.admit(clock::now()) {
            let token = Source::Client(number).token();
            // A client that cannot be watched runs into its deadline.
            let _ = self.poller.add(stream, token, Interest::Read);
        }
        if self.control.shut_until.is_some() {
            self.watch_control();
        }
    }

    /// Hears who knocks, unless the door is shut.
    fn watch_control(&self) {
        let interest =
            if self.control.shut_until.is_some() { Interest::HangUp } else { Interest::Read };
        let _ = self.poller.change(&self.control.socket, Source::Control.token(), interest);
    }

    fn hear_client(&mut self, number: usize) {
        if let Heard::Command(Command::Status) = self.control.listen(number) {
            let status = self.report();
            let line = serde_json::to_string(&status).unwrap_or_default();
            self.control.answer(number, &line);
        }
        if let Some(stream) = self.control.waits_to_read(number) {
            let _ = self.poller.change(stream, Source::Client(number).token(), Interest::Write);
        }
    }
}
