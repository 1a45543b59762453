//! The spawner: one process that keeps its pools, hears signals and commands, and changes without
//! loss.
//!
//! Its creed: it has one thread; it never blocks outside `epoll_wait` and never sleeps; it never
//! reads a client's byte and never runs the user's code; it believes nothing that a handler
//! writes. All that happens comes as an [`event::Event`] through one queue into one `match`. How a
//! change goes is decided by [`change::step`], a pure function, and carried out by [`changing`];
//! what clients ask for by [`wishes`].

pub(crate) mod access;
pub(crate) mod change;
mod changing;
mod clients;
pub(crate) mod command;
mod companion;
mod control;
mod event;
mod folder_watch;
pub(crate) mod handover;
mod manager;
mod rehearsal;
pub(crate) mod runtime_dir;
mod service;
mod stop;
mod succession;
mod title;
mod wishes;

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use access::Access;
use change::Way;
use changing::Change;
use companion::Companion;
use control::Control;
use event::{Event, Source};
use folder_watch::FolderWatch;
use handover::Baton;
pub(crate) use runtime_dir::RuntimeDir;
use service::Service;
use title::Title;
use wishes::Wish;

use crate::error::{Doing, Error, Result};
use crate::journal::{Entry, Journal, Kind};
use crate::pool::{Plan, Pool};
use crate::status::Status;
use crate::sys::poller::{Interest, Poller};
use crate::sys::signal::{self, Signals};
use crate::sys::{self, clock, process};

/// How soon a second order to stop is the first one again; nobody presses a key twice so fast.
const ECHO: Duration = Duration::from_millis(20);

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
    pools: Vec<Pool>,
    control: Control,
    folder_watch: FolderWatch,
    poller: Poller,
    signals: Signals,
    journal: Journal,
    change: Change,
    companion: Companion,
    wishes: Vec<Wish>,
    service: Service,
    started: Duration,
    /// Whether it goes on in the place of a predecessor in this process.
    succeeds: bool,
    upgrades: u64,
    /// Where this program was started from.
    program: PathBuf,
    announce: Duration,
    reload_way: Way,
    rehearsal_limit: Duration,
    configuration: Option<String>,
    /// Since when the server is to end as soon as its pools have.
    stopping: Option<Duration>,
    /// Until when what their programs have left behind is waited for, then.
    lingers: Option<Duration>,
    verdict: Option<Error>,
    /// What its line in ps(1) says, and whether something may have happened since.
    title: Option<Title>,
    title_is_behind: bool,
    /// Where the program counts the lines of its log that are lost.
    lost_lines: Option<&'static AtomicU64>,
}

/// Where a spawner lives: in a folder of its own, or in the place of a predecessor.
pub(crate) enum Place {
    Own(RuntimeDir),
    Taken(Box<Baton>),
}

/// What a spawner is told about itself.
pub(crate) struct Setting {
    pub(crate) name: String,
    pub(crate) access: Access,
    /// How long a stop is announced.
    pub(crate) announce: Duration,
    /// By which way a reload makes handlers anew.
    pub(crate) reload_way: Way,
    /// How long a new program may rehearse.
    pub(crate) rehearsal_limit: Duration,
    /// What the program read its settings from, to go on with it should it come back.
    pub(crate) configuration: Option<String>,
    /// Whether processes say in ps(1) what they are.
    pub(crate) titles: bool,
    /// Where the program counts the lines of its log that are lost.
    pub(crate) lost_lines: Option<&'static AtomicU64>,
    /// What this program is called with to run beside the pools.
    pub(crate) companion: Option<Vec<String>>,
}

impl Spawner {
    /// Takes over what it needs; no process is made yet.
    ///
    /// With a baton it goes on where a predecessor in this process was.
    pub(crate) fn new(setting: Setting, place: Place, plans: Vec<Plan>) -> Result<Self> {
        rustix::process::set_child_subreaper(Some(rustix::process::getpid()))
            .doing("become the parent of orphaned handlers (PR_SET_CHILD_SUBREAPER)")?;
        let folder = match place {
            Place::Taken(baton) => return Self::resume(setting, *baton, plans),
            Place::Own(folder) => folder,
        };
        let pools = plans.into_iter().map(Pool::new).collect::<Result<Vec<_>>>()?;
        let control = Control::open(folder, setting.access.clone())?;
        Self::with(setting, control, pools)
    }

    fn with(setting: Setting, control: Control, pools: Vec<Pool>) -> Result<Self> {
        if setting.titles
            && let Err(error) = sys::title::begin()
        {
            tracing::debug!(%error, "ps shows arguments, not titles");
        }
        let companion = Companion::of(&setting.name, setting.companion);
        let spawner = Self {
            name: setting.name,
            pools,
            control,
            folder_watch: FolderWatch::new(),
            poller: Poller::new(64).doing("create an epoll")?,
            signals: Signals::open().doing("watch signals")?,
            journal: Journal::default(),
            change: Change::none(),
            companion,
            wishes: Vec::new(),
            service: Service::of_this_process(),
            started: clock::now(),
            succeeds: false,
            upgrades: 0,
            program: sys::exec::own_path(),
            announce: setting.announce,
            reload_way: setting.reload_way,
            rehearsal_limit: setting.rehearsal_limit,
            configuration: setting.configuration,
            stopping: None,
            lingers: None,
            verdict: None,
            title: None,
            title_is_behind: setting.titles,
            lost_lines: setting.lost_lines,
        };
        spawner.watch_all().doing("watch the descriptors of the spawner")?;
        Ok(spawner)
    }

    fn watch_all(&self) -> std::io::Result<()> {
        self.poller.add(&self.signals, Source::Signals.token(), Interest::Read)?;
        self.poller.add(&self.control.socket, Source::Control.token(), Interest::Read)?;
        for (i, pool) in self.pools.iter().enumerate() {
            self.poller.add(pool, Source::Pool(i).token(), Interest::Read)?;
        }
        Ok(())
    }

    /// Runs the pools until they are told to stop, or one cannot go on.
    pub(crate) fn run(mut self) -> Result<Stopped> {
        let (verb, upgrades) = if self.succeeds { ("goes on", 1.0) } else { ("starts", 0.0) };
        let reason = format!("{} {verb}, bellwether {}", self.name, env!("CARGO_PKG_VERSION"));
        self.tell(Entry::new(Kind::Start, "operator", reason).with("replaced", upgrades));
        // Whoever died while this process became another program is not told of again.
        self.reap();
        (0..self.pools.len()).for_each(|pool| self.turn(pool));
        self.enter_service();
        loop {
            self.proceed_with_change();
            self.fulfil_wishes();
            self.inform_manager();
            self.show_title();
            self.keep_companion();
            if self.is_over() {
                break;
            }
            match self.wait() {
                Ok(events) => events.into_iter().for_each(|event| self.handle(event)),
                Err(error) => self.fail(said(error)),
            }
        }
        self.say_goodbye();
        let cut = self.cut();
        self.verdict.take().map_or(Ok(Stopped { cut }), Err)
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Signal(number) => self.signalled(number),
            Event::ChildrenEnded => self.reap(),
            Event::Pool(pool) => self.turn(pool),
            Event::RehearsalSpoke => self.hear_rehearsal(),
            Event::FolderChanged => self.folder_changed(),
            Event::Knock => self.admit_client(),
            Event::Client { number, hung_up } => self.hear_client(number, hung_up),
        }
    }

    /// Waits for whatever comes first and returns it as events.
    fn wait(&mut self) -> Result<Vec<Event>> {
        let patience = self.due().map(|until| until.saturating_sub(clock::now()));
        let ready = self.poller.wait(patience).doing("wait for events")?;
        let mut events = Vec::with_capacity(ready.len());
        for one in ready {
            match Source::from_token(one.token) {
                Source::Signals => events.extend(self.pending_signals()),
                Source::Control => events.push(Event::Knock),
                Source::Pool(pool) => events.push(Event::Pool(pool)),
                Source::Rehearsal => events.push(Event::RehearsalSpoke),
                Source::Folder => events.push(Event::FolderChanged),
                Source::Client(number) => {
                    events.push(Event::Client { number, hung_up: one.hung_up });
                }
            }
        }
        self.add_due(&mut events);
        Ok(events)
    }

    fn pending_signals(&self) -> Vec<Event> {
        std::iter::from_fn(|| self.signals.next())
            .map(|signal| match signal {
                libc::SIGCHLD => Event::ChildrenEnded,
                other => Event::Signal(other),
            })
            .collect()
    }

    /// The next moment at which something is due without anything happening.
    fn due(&self) -> Option<Duration> {
        let pools = self.pools.iter().filter_map(Pool::due);
        let others = [
            self.control.deadline(),
            self.change.due(),
            self.companion.due(),
            self.service.due(),
            self.folder_watch.due,
            self.lingers,
        ];
        pools.chain(others.into_iter().flatten()).min()
    }

    fn add_due(&mut self, events: &mut Vec<Event>) {
        let now = clock::now();
        for (i, pool) in self.pools.iter().enumerate() {
            if pool.due().is_some_and(|due| due <= now) && !events.contains(&Event::Pool(i)) {
                events.push(Event::Pool(i));
            }
        }
        self.end_late_rehearsal();
        self.look_after_folder(now);
        self.control.dismiss_late(now);
        if self.control.shut_until.is_some_and(|until| until <= now) {
            self.control.shut_until = None;
            self.watch_control();
        }
    }

    /// Lets a pool react, and looks what came of it.
    fn turn(&mut self, index: usize) {
        let Some(pool) = self.pools.get_mut(index) else { return };
        let turned = pool.turn();
        let (told, verdict) = (pool.told(), pool.verdict());
        told.into_iter().for_each(|entry| self.tell(entry));
        if let Some(error) = turned.err().map(said).or(verdict) {
            self.fail(error);
        }
    }

    fn signalled(&mut self, signal: i32) {
        let name = signal::name(signal);
        match signal {
            libc::SIGHUP => drop(self.begin_change(changing::Kind::Reload, name)),
            libc::SIGUSR2 => drop(self.begin_change(changing::Kind::Upgrade, name)),
            libc::SIGUSR1 => {
                tracing::info!("{name}: a log in a file that was moved goes on in a new one")
            }
            libc::SIGQUIT => self.end_at_once(name),
            _ if self.is_echo() => {}
            _ if self.stopping.is_some() => self.end_at_once(name),
            _ => self.stop(name),
        }
    }

    /// Tells whether we were told to stop just now: who runs us under `timeout` or the like gets one
    /// Ctrl-C twice, from the terminal and from there.
    fn is_echo(&self) -> bool {
        self.stopping.is_some_and(|since| clock::now().saturating_sub(since) < ECHO)
    }

    /// Something without which there is no going on has failed.
    fn fail(&mut self, error: Error) {
        if self.verdict.is_none() {
            self.verdict = Some(error);
            self.doom("an error");
        }
    }

    /// Learns which children have ended, and how.
    fn reap(&mut self) {
        let mut bereaved = Vec::new();
        while let Some(pid) = process::ended() {
            // The birth of a process is told before its death can be seen; hear that first.
            if !self.pools.iter().any(|pool| pool.owns(pid)) {
                self.pools.iter_mut().for_each(Pool::hear_births);
            }
            let owner = self.pools.iter().position(|pool| pool.owns(pid));
            if let Some(index) = owner {
                self.pools[index].end_what_is_left_of(pid);
            }
            let Some(status) = process::reap(pid) else { break };
            match owner {
                Some(index) => {
                    self.pools[index].ended(pid, status);
                    bereaved.push(index);
                }
                None if self.rehearsal_ended(pid, status) => {}
                None if self.companion.ended(pid, status) => {}
                // An orphan of a handler that came to us as the sub-reaper, or as PID 1.
                None => {
                    let pid = pid.as_raw_pid();
                    tracing::debug!(pid, "a process that is no handler has ended");
                }
            }
        }
        self.end_strays();
        bereaved.dedup();
        bereaved.into_iter().for_each(|pool| self.turn(pool));
    }

    /// Writes an entry down and sends it to all who follow.
    fn tell(&mut self, entry: Entry) {
        self.service.note(&entry);
        self.title_is_behind = true;
        let entry = self.journal.write(entry).clone();
        tracing::trace!(kind = %entry.kind, rule = entry.rule, "{}", entry.reason);
        for number in self.control.followers() {
            self.control.put_more(number, &entry);
            self.watch_client(number);
        }
    }

    /// The pools, without those of which nothing is left.
    fn present(&self) -> impl Iterator<Item = &Pool> {
        self.pools.iter().filter(|pool| !pool.has_retired())
    }

    /// Describes the server at this moment.
    fn report(&mut self) -> Status {
        let present = self.pools.iter_mut().filter(|pool| !pool.has_retired());
        let pools: Vec<_> = present.map(Pool::report).collect();
        let states = ["serving", "announcing", "stopping"];
        let first = states.into_iter().find(|state| pools.iter().any(|pool| pool.state == *state));
        Status {
            name: self.name.clone(),
            version: env!("CARGO_PKG_VERSION").into(),
            pid: rustix::process::getpid().as_raw_pid(),
            state: first.unwrap_or("drained").into(),
            uptime_s: (clock::now().saturating_sub(self.started)).as_secs_f64(),
            control: self.folder_watch.problem.clone(),
            change: self.change.describe(),
            upgrades: self.upgrades,
            lost_lines: self.lost_lines.map_or(0, |it| it.load(Ordering::Relaxed)),
            pools,
        }
    }
}

/// Says what has failed that no pool has said.
fn said(error: Error) -> Error {
    // Of its own target: whoever runs us is told it, too, and may say it in other words.
    tracing::error!(target: "bellwether::verdict", %error, "the server cannot go on");
    error
}
