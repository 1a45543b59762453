//! A server and what it serves with: a pool, ready to run.

use std::fmt;

use super::Server;
use crate::address::Listener;
use crate::balance::Budget;
use crate::error::{Error, Result};
use crate::handler::Manner;
use crate::pool::template::{Load, Pattern};
use crate::pool::{Bounds, Plan};
use crate::program::Ways;
use crate::spawner::Stopped;

/// Open addresses and a kind of handler for them.
///
/// Made by [`Server::with`] and its like; run alone by [`Pool::run`], beside others by
/// [`Group::run`](super::Group::run).
pub struct Pool {
    pub(super) server: Server,
    load: Load,
    manner: Manner,
    program: Option<Ways>,
}

impl Pool {
    pub(super) const fn new(server: Server, manner: Manner, load: Load) -> Self {
        Self { server, manner, load, program: None }
    }

    /// For handlers that are wardens of a program.
    pub(super) const fn of_program(server: Server, manner: Manner, ways: Ways, load: Load) -> Self {
        Self { server, manner, load, program: Some(ways) }
    }

    /// Serves until the process is told to stop.
    ///
    /// # Errors
    /// As [`Server::run`]; [`Error::Configure`] for a pool that was opened in a group.
    pub fn run(mut self) -> Result<Stopped> {
        match self.server.group.take() {
            Some(group) => group.run(vec![self]),
            None => {
                let problem = "it was opened in a group; run the group";
                Err(Error::configure(format!("pool {}", self.server.pool_name), problem))
            }
        }
    }

    pub(super) fn plan(self, inherited: Vec<i32>) -> Plan {
        let settings = self.server.settings;
        let mut listeners = self.server.listeners;
        listeners.iter_mut().for_each(Listener::claim_file);
        let shares = self.program.is_some_and(|ways| ways.shares_listeners());
        let settle = if shares { Listener::leave_alone } else { Listener::take_charge };
        listeners.iter_mut().for_each(settle);
        let (min, max) = settings.bounds.unwrap_or((settings.handlers, settings.handlers));
        Plan {
            name: self.server.pool_name,
            listeners,
            pattern: Pattern {
                generation: 1,
                threads: settings.threads,
                manner: self.manner,
                notification: settings.notification,
                orphan_grace: settings.orphan_grace,
                deadlines: settings.rules.deadlines,
                slo_wait: settings.slo.wait(),
                program: self.program,
                descriptors: rustix::process::getrlimit(rustix::process::Resource::Nofile),
                inherited,
            },
            rules: settings.rules,
            bounds: Bounds { min, max },
            balance: Box::new(Budget::new(settings.rule.build(settings.slo))),
            load: self.load,
            secret: self.server.secret,
        }
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("server", &self.server).finish_non_exhaustive()
    }
}
