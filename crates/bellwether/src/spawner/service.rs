//! The server as a service: what the service manager is told, and when.
//!
//! A phase is told when it begins, the status line when it has changed, but not more often than
//! once a second. Whoever waits for us is asked for more time as long as there is progress.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::time::Duration;

use super::Spawner;
use super::manager::Manager;
use crate::address::Listener;
use crate::journal::{Entry, Kind};
use crate::pool::Pool;
use crate::sys::clock;

/// Between two status lines of the same phase.
const PAUSE: Duration = Duration::from_secs(1);
/// A busy machine is late: so much longer than its times say nothing takes.
const MARGIN: Duration = Duration::from_secs(10);

/// What the service manager knows of us.
#[derive(Debug)]
pub(super) struct Service {
    manager: Manager,
    stage: Stage,
    /// Until then the status line stays as it is.
    quiet_until: Duration,
    /// Whether anything happened that the status line may not show yet.
    is_behind: bool,
    /// Whether a handler has become ready since more time was asked for.
    progressed: bool,
    /// The listeners in its custody, by name, as we call them; none: it has them from a predecessor.
    stored: BTreeMap<String, Vec<RawFd>>,
}

/// How far the server is, as a service manager sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Some pool has not had its minimum of handlers yet.
    Starting,
    Serving,
    /// A reload or an upgrade is going on.
    Changing,
    Stopping,
}

impl Service {
    /// Learns from the environment who has started us.
    ///
    /// To be called after the descriptors of the application were listed: it opens one.
    pub(super) fn of_this_process() -> Self {
        Self {
            manager: Manager::from_environment(),
            stage: Stage::Starting,
            quiet_until: Duration::ZERO,
            is_behind: false,
            progressed: false,
            stored: BTreeMap::new(),
        }
    }

    /// Goes on where a predecessor in this process was, in the middle of a change.
    pub(super) const fn resume(&mut self) {
        self.stage = Stage::Changing;
        self.manager.resume();
    }

    /// Returns when the manager must be told something though nothing happens.
    pub(super) fn due(&self) -> Option<Duration> {
        let status = self.is_behind.then_some(self.quiet_until);
        self.manager.next_ping().into_iter().chain(status).min()
    }

    /// Takes notice of what happened.
    pub(super) fn note(&mut self, entry: &Entry) {
        self.progressed |= entry.kind == Kind::Ready;
    }

    /// Gives what is served into custody, and ends the custody of what no pool has any more.
    fn keep(&mut self, served: &BTreeMap<String, Vec<&Listener>>) {
        let gone: Vec<_> = self.stored.keys().filter(|it| !served.contains_key(*it)).collect();
        gone.into_iter().for_each(|name| self.manager.unstore(name));
        self.stored.retain(|name, _| served.contains_key(name));
        for (name, listeners) in served {
            let numbers: Vec<_> = listeners.iter().map(|it| it.as_raw_fd()).collect();
            let known = self.stored.get(name);
            if known == Some(&numbers) {
                continue;
            }
            if known.is_some_and(|known| !known.is_empty()) {
                self.manager.unstore(name); // it had to be opened anew
            }
            let fds: Vec<_> = listeners.iter().map(|it| it.as_fd()).collect();
            self.manager.store(name, &fds);
            self.stored.insert(name.clone(), numbers);
        }
    }
}

/// What a listener of a pool is called in custody.
fn stored_name(pool: &Pool, listener: &Listener) -> String {
    format!("bellwether-{}-{}", pool.name(), listener.address().replace("://", "-"))
}

impl Spawner {
    /// Tells the service manager, all addresses being open, that the start begins.
    pub(super) fn enter_service(&mut self) {
        self.service.manager.forget_unclaimed();
        self.service.progressed = true;
        self.inform_manager();
    }

    /// Tells the service manager what has changed; called at every turn of the loop.
    pub(super) fn inform_manager(&mut self) {
        let now = clock::now();
        self.service.manager.ping(now);
        if !self.service.manager.is_there() {
            return;
        }
        self.keep_listeners();
        let stage = self.stage();
        let begins = stage != self.service.stage;
        self.service.is_behind = !begins && now < self.service.quiet_until;
        if !self.service.is_behind {
            self.service.quiet_until = now + PAUSE;
            self.service.stage = stage;
            self.tell_manager(begins);
        }
    }

    /// Brings the custody of our own listeners up to date.
    ///
    /// A change does not touch it before it is over: it may still fail, and go back to a program
    /// that knows nothing of new addresses. Nor does a stop: with systemd's
    /// `FileDescriptorStorePreserve=` it decides whether clients may queue until the next start.
    fn keep_listeners(&mut self) {
        if self.stopping.is_some() {
            return;
        }
        let mut served: BTreeMap<String, Vec<&Listener>> = BTreeMap::new();
        for pool in &self.pools {
            for listener in pool.opened().filter(|listener| !listener.is_inherited()) {
                served.entry(stored_name(pool, listener)).or_default().push(listener);
            }
        }
        if self.change.is_going_on() {
            for name in served.into_keys() {
                self.service.stored.entry(name).or_default();
            }
        } else {
            self.service.keep(&served);
        }
    }

    fn tell_manager(&mut self, begins: bool) {
        let status = self.in_short();
        let stop = self.pools.iter().map(Pool::longest_end).max().unwrap_or_default();
        let birth = self.pools.iter().map(Pool::longest_birth).max().unwrap_or_default();
        let Service { manager, stage, progressed, .. } = &mut self.service;
        let progressed = std::mem::take(progressed) || begins;
        match stage {
            Stage::Serving => manager.ready(&status),
            Stage::Stopping => {
                manager.stopping(&status);
                if begins {
                    manager.extend(self.announce.saturating_add(stop).saturating_add(MARGIN));
                }
            }
            Stage::Starting | Stage::Changing => {
                if begins {
                    manager.reloading();
                }
                manager.status(&status);
                if progressed {
                    manager.extend(birth.saturating_add(MARGIN));
                }
            }
        }
    }

    fn stage(&self) -> Stage {
        let changes = self.change.is_going_on();
        match self.service.stage {
            _ if self.stopping.is_some() => Stage::Stopping,
            Stage::Starting if changes || !self.pools.iter().all(Pool::has_its_minimum) => {
                Stage::Starting
            }
            Stage::Serving | Stage::Changing if changes => Stage::Changing,
            _ => Stage::Serving,
        }
    }

    /// Says in one line what the server does.
    fn in_short(&self) -> String {
        if let Some(error) = &self.verdict {
            return format!("ending: {error}");
        }
        let pools: Vec<_> = self.present().collect();
        let pools: Vec<_> = match pools.as_slice() {
            [pool] => vec![pool.in_short()],
            pools => pools.iter().map(|it| format!("{} {}", it.name(), it.in_short())).collect(),
        };
        let pools = pools.join(" | ");
        match self.service.stage {
            Stage::Starting => format!("starting: {pools}"),
            Stage::Serving => format!("serving: {pools}"),
            Stage::Changing => {
                format!("{}; {pools}", self.change.describe().unwrap_or_default())
            }
            Stage::Stopping => format!("stopping: {pools}"),
        }
    }
}
