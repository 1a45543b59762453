//! Several pools under one name and one spawner.

use std::cell::RefCell;
use std::fmt;
use std::os::fd::{AsRawFd, RawFd};
use std::path::PathBuf;

use super::{Builder, Pool, Server};
use crate::address::unclaimed_numbers;
use crate::error::{Doing, Error, Result};
use crate::spawner::handover::{self, Baton, or_go_back};
use crate::spawner::{Place, RuntimeDir, Setting, Spawner, Stopped, runtime_dir};
use crate::sys::{descriptors, process};

/// A name, and the right to run pools under it.
///
/// A [`Server`] that is opened by its [`Builder`] has a group of its own; who wants several pools
/// in one server opens them in one group.
///
/// ```no_run
/// use bellwether::{Connection, Group, Server};
///
/// let group = Group::named("shop")?;
/// let web = group.open(Server::builder().name("web").listen(":8080"))?;
/// let admin = group.open(Server::builder().name("admin").listen("unix:/run/shop.sock"))?;
/// group.run(vec![
///     web.with(|connection: Connection| drop(connection)),
///     admin.with(|connection: Connection| drop(connection)),
/// ])?;
/// # Ok::<(), bellwether::Error>(())
/// ```
pub struct Group {
    name: String,
    place: RefCell<Place>,
}

impl Group {
    /// Takes a name: 1 to 48 letters, digits, `-`, `_` or `.`, not starting with `.`.
    ///
    /// In a process that has just become another program by an upgrade, the name is taken over.
    ///
    /// # Errors
    /// [`Error::Parse`] when it is no name, [`Error::Name`] when a running server has it.
    pub fn named(name: &str) -> Result<Self> {
        or_go_back(Self::of_predecessor()).and_then(|group| match group {
            Some(group) => {
                if group.name != name {
                    let old = &group.name;
                    tracing::warn!("the server keeps its name `{old}`; restart it to be `{name}`");
                }
                Ok(group)
            }
            None => Self::take(name, None),
        })
    }

    /// The group that this process ran before it became another program.
    pub(super) fn of_predecessor() -> Result<Option<Self>> {
        let baton = Baton::take_up()?;
        Ok(baton.map(|baton| Self {
            name: baton.name.clone(),
            place: RefCell::new(Place::Taken(Box::new(baton))),
        }))
    }

    pub(super) fn take(name: &str, base: Option<PathBuf>) -> Result<Self> {
        let folder = RuntimeDir::take(&base.unwrap_or_else(runtime_dir::base), name)?;
        Ok(Self { name: name.into(), place: RefCell::new(Place::Own(folder)) })
    }

    /// Returns the name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Opens the addresses of one more pool; no process is made yet.
    ///
    /// # Errors
    /// As [`Builder::open`]; [`Error::Configure`] when the builder has no name.
    pub fn open(&self, builder: Builder) -> Result<Server> {
        let name = builder
            .name
            .clone()
            .ok_or_else(|| Error::configure("name", "a pool of a group needs a name of its own"))?;
        or_go_back(self.open_named(name, builder))
    }

    pub(super) fn open_named(&self, name: String, settings: Builder) -> Result<Server> {
        #[cfg(feature = "tls")]
        let mut settings = settings;
        let mut none = Vec::new();
        let mut place = self.place.borrow_mut();
        let before = match &mut *place {
            Place::Taken(baton) => baton.pools.iter_mut().find(|pool| pool.name == name),
            Place::Own(_) => None,
        };
        #[cfg(feature = "tls")]
        if let (Some(tls), Some(pool)) = (&mut settings.tls, &before) {
            pool.secret.iter().for_each(|secret| tls.go_on_with(secret.clone()));
        }
        let listeners = match before {
            // What was drained has given its addresses up.
            Some(pool) if pool.closed => Vec::new(),
            Some(pool) => settings.listeners(&mut pool.listeners)?,
            None => settings.listeners(&mut none)?,
        };
        let succeeds = matches!(*place, Place::Taken(_));
        let (name, pool_name) = (self.name.clone(), name);
        Ok(Server { settings, listeners, name, pool_name, succeeds, secret: None, group: None })
    }

    /// Serves with all pools until the process is told to stop.
    ///
    /// What holds for the spawner and not for one pool (who may command it, how a stop is
    /// announced, how it reloads) is taken from the first.
    ///
    /// # Errors
    /// As [`Server::run`]; [`Error::Configure`] when there is no pool, or two have one name.
    pub fn run(self, pools: Vec<Pool>) -> Result<Stopped> {
        or_go_back(self.spawner(pools))?.run()
    }

    fn spawner(self, pools: Vec<Pool>) -> Result<Spawner> {
        self.check(&pools)?;
        let place = self.place.into_inner();
        if let Some(number) = handover::rehearsal().filter(|_| matches!(place, Place::Taken(_))) {
            drop(pools);
            handover::rehearsed(number)?;
            process::exit_now(0);
        }
        let inherited = others_descriptors(&place, &pools).doing("list /proc/self/fd")?;
        let settings = pools.first().map(|pool| pool.server.settings.clone()).unwrap_or_default();
        let setting = Setting {
            name: self.name,
            access: settings.access,
            announce: settings.rules.times.announce,
            reload_way: settings.reload_way,
            rehearsal_limit: settings.rules.times.boot,
            configuration: settings.configuration,
            titles: settings.titles,
            lost_lines: settings.lost_lines,
            companion: settings.companion,
        };
        let plans = pools.into_iter().map(|pool| pool.plan(inherited.clone())).collect();
        Spawner::new(setting, place, plans)
    }

    fn check(&self, pools: &[Pool]) -> Result<()> {
        if pools.is_empty() {
            return Err(Error::configure(&self.name, "there is no pool to run"));
        }
        for (i, pool) in pools.iter().enumerate() {
            let name = &pool.server.pool_name;
            if pools.iter().take(i).any(|other| other.server.pool_name == *name) {
                return Err(Error::configure(name, "two pools have this name; rename one"));
            }
            #[cfg(feature = "tls")]
            if pool.server.settings.tls.is_some() {
                let problem = "its handlers do not speak HTTP, which alone is spoken over TLS here";
                return Err(Error::configure(format!("tls of {name}"), problem));
            }
        }
        let threads = process::thread_names();
        if threads.len() > 1 {
            let names = threads.join(", ");
            return Err(Error::System {
                doing: "fork safely".into(),
                source: std::io::Error::other(format!(
                    "this process has {} threads ({names}); call run before starting any",
                    threads.len()
                )),
            });
        }
        Ok(())
    }
}

/// The open descriptors that are not ours: the application's, which its handlers keep.
fn others_descriptors(place: &Place, pools: &[Pool]) -> std::io::Result<Vec<RawFd>> {
    let mut open = descriptors::open_now()?;
    let mut ours: Vec<RawFd> = pools
        .iter()
        .flat_map(|pool| pool.server.listeners.iter().map(AsRawFd::as_raw_fd))
        .collect();
    match place {
        Place::Own(folder) => ours.push(folder.as_raw_fd()),
        Place::Taken(baton) => ours.extend(&baton.numbers),
    }
    ours.extend(unclaimed_numbers());
    open.retain(|fd| !ours.contains(fd));
    Ok(open)
}

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Group").field("name", &self.name).finish_non_exhaustive()
    }
}
