//! The settings of a server, and opening it.

use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

#[cfg(feature = "tokio")]
use super::asynchronous::Asynchronous;
use super::{Group, Server};
#[cfg(feature = "http")]
use super::{Limits, Proxies};
use crate::address::handover::ListenerState;
use crate::address::{Address, Defaults, Defer, Listener, inherit::Passed, open_all};
use crate::balance::{Rule, Slo};
use crate::buffer::Buffer;
use crate::error::{Doing, Error, Result};
use crate::notification::Notification;
use crate::pool::rules::Rules;
use crate::scoreboard::control::MAX_SLOTS;
use crate::scoreboard::telemetry::MAX_THREADS;
use crate::spawner::access::Access;
use crate::spawner::change::Way;
use crate::spawner::handover::or_go_back;
use crate::sys::descriptors;
#[cfg(feature = "tls")]
use crate::tls::Tls;

/// The settings of a server.
///
/// Every setting has a default that is right for most; only [`Builder::listen`] has none, except
/// under systemd, whose sockets are taken when no address is given.
///
/// ```no_run
/// use bellwether::{Notification, Server};
/// let server = Server::builder()
///     .listen("127.0.0.1:8080?backlog=1024")
///     .listen("unix:/run/shop.sock?mode=660")
///     .handlers(8)
///     .notification(Notification::Turn)
///     .name("shop")
///     .open()?;
/// # Ok::<(), bellwether::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Builder {
    pub(super) addresses: Vec<String>,
    pub(super) handlers: usize,
    pub(super) bounds: Option<(usize, usize)>,
    pub(super) rule: Rule,
    pub(super) slo: Slo,
    pub(super) threads: usize,
    pub(super) notification: Notification,
    pub(super) name: Option<String>,
    pub(super) defer_accept: Option<Defer>,
    pub(super) orphan_grace: Duration,
    pub(super) runtime_dir: Option<PathBuf>,
    pub(super) rules: Rules,
    pub(super) access: Access,
    pub(super) take_over: bool,
    pub(super) reload_way: Way,
    pub(super) configuration: Option<String>,
    pub(super) titles: bool,
    pub(super) lost_lines: Option<&'static AtomicU64>,
    pub(super) companion: Option<Vec<String>>,
    #[cfg(feature = "tokio")]
    pub(super) asynchronous: Asynchronous,
    #[cfg(feature = "http")]
    pub(super) http_limits: Limits,
    #[cfg(feature = "http")]
    pub(super) proxies: Option<Proxies>,
    #[cfg(feature = "tls")]
    pub(super) tls: Option<Tls>,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            addresses: Vec::new(),
            handlers: std::thread::available_parallelism().map_or(2, |n| n.get().max(2)),
            bounds: None,
            rule: Rule::default(),
            slo: Slo::default(),
            threads: 1,
            notification: Notification::default(),
            name: None,
            defer_accept: None,
            orphan_grace: Duration::from_secs(10),
            runtime_dir: None,
            rules: Rules::default(),
            access: Access::default(),
            take_over: false,
            reload_way: Way::Template,
            configuration: None,
            titles: false,
            lost_lines: None,
            companion: None,
            #[cfg(feature = "tokio")]
            asynchronous: Asynchronous::default(),
            #[cfg(feature = "http")]
            http_limits: Limits::default(),
            #[cfg(feature = "http")]
            proxies: None,
            #[cfg(feature = "tls")]
            tls: None,
        }
    }
}

impl Builder {
    /// Adds an address to listen on, in any form that [`Address`] reads.
    ///
    /// A wrong one is reported by [`Builder::open`].
    #[must_use]
    pub fn listen(mut self, address: impl ToString) -> Self {
        self.addresses.push(address.to_string());
        self
    }

    /// Sets the number of handler processes, 1 to 4096; default: one a processor, at least 2.
    #[must_use]
    pub const fn handlers(mut self, handlers: usize) -> Self {
        self.handlers = handlers;
        self
    }

    /// Sets the number of threads a handler, 1 to 1024; default 1.
    #[must_use]
    pub const fn threads(mut self, threads: usize) -> Self {
        self.threads = threads;
        self
    }

    /// Sets who wakes when a request arrives; default `some:2`.
    #[must_use]
    pub const fn notification(mut self, notification: Notification) -> Self {
        self.notification = notification;
        self
    }

    /// Names the server for `status` and its like; default: made from the first address.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Sets whether connections arrive with their first data only, where the address leaves it
    /// open; default off, because a server that speaks first would never start, and on for a builder
    /// that `http::serve` opens.
    #[must_use]
    pub const fn defer_accept(mut self, defer: Defer) -> Self {
        self.defer_accept = Some(defer);
        self
    }

    /// Sets the folder in which servers keep their locks and control sockets.
    ///
    /// Default: `BELLWETHER_RUNTIME_DIR`, else `/run/bellwether` for root, else `bellwether` in
    /// `XDG_RUNTIME_DIR`, else `/tmp/bellwether-UID`.
    #[must_use]
    pub fn runtime_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.runtime_dir = Some(folder.into());
        self
    }

    /// Opens the addresses and takes the name; no process is made yet.
    ///
    /// In a process that has just become another program by an upgrade, addresses and name are
    /// taken over from the program before it.
    ///
    /// # Errors
    /// Whatever is wrong with the settings, the addresses or the name. Nothing is left behind.
    pub fn open(self) -> Result<Server> {
        or_go_back(self.open_alone())
    }

    /// Opens the addresses for a protocol in which the client speaks first.
    #[cfg(feature = "http")]
    pub(crate) fn open_deferred(mut self) -> Result<Server> {
        self.defer_accept.get_or_insert(Defer::ON);
        self.open()
    }

    fn open_alone(self) -> Result<Server> {
        if let Some(group) = Group::of_predecessor()? {
            let name = self.name.clone().unwrap_or_else(|| group.name().to_owned());
            let mut server = group.open_named(name, self)?;
            server.group = Some(group);
            return Ok(server);
        }
        let listeners = self.listeners(&mut Vec::new())?;
        let name = self.name.clone().unwrap_or_else(|| default_name(&listeners));
        let group = Group::take(&name, self.runtime_dir.clone())?;
        let (pool_name, group) = (name.clone(), Some(group));
        Ok(Server {
            settings: self,
            listeners,
            name,
            pool_name,
            succeeds: false,
            secret: None,
            group,
        })
    }

    /// Opens the addresses; those that a predecessor has left open are taken out of `kept`.
    pub(super) fn listeners(&self, kept: &mut Vec<ListenerState>) -> Result<Vec<Listener>> {
        descriptors::fill_standard().doing("open /dev/null for a closed standard descriptor")?;
        check_range("handlers", self.handlers, MAX_SLOTS)?;
        check_range("threads", self.threads, MAX_THREADS)?;
        #[cfg(feature = "tokio")]
        self.asynchronous.check()?;
        self.check_rules()?;
        if let Notification::Some(0) = self.notification {
            return Err(Error::configure("notification", "some:0 would wake nobody; use some:1"));
        }
        let addresses = self.parsed_addresses()?;
        let defer_accept = self.defer_accept.unwrap_or(Defer::Off);
        let defaults = Defaults { defer_accept, take_over: self.take_over };
        let listeners = open_all(&addresses, defaults, kept)?;
        listeners.iter().for_each(warn_of_clipping);
        #[cfg(feature = "tls")]
        self.tls.iter().for_each(Tls::warn);
        Ok(listeners)
    }

    fn parsed_addresses(&self) -> Result<Vec<Address>> {
        if !self.addresses.is_empty() {
            return self.addresses.iter().map(|text| text.parse()).collect();
        }
        if Passed::from_environment()?.is_empty() {
            return Err(Error::configure("listen", "no address is given; try 127.0.0.1:8080"));
        }
        Ok(vec!["systemd:".parse()?])
    }
}

/// Makes a name from the port or the last part of the path of the first address.
fn default_name(listeners: &[Listener]) -> String {
    let address = listeners.first().map_or("server", Listener::address);
    let last = address.rsplit([':', '/', '@']).find(|part| !part.is_empty()).unwrap_or("server");
    let plain = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' };
    let name: String = last.chars().map(plain).take(48).collect();
    name.trim_start_matches('.').to_owned()
}

/// The kernel shortens a backlog in silence; we do not.
fn warn_of_clipping(listener: &Listener) {
    let (Some(asked), Ok(buffer)) = (listener.backlog(), Buffer::of(listener)) else { return };
    if buffer.limit < asked {
        let granted = buffer.limit;
        tracing::warn!(
            "{listener}: a buffer of {asked} was asked for, the kernel grants {granted}; \
             try `sysctl net.core.somaxconn={asked}`"
        );
    }
}

pub(super) fn check_range(what: &str, value: usize, most: usize) -> Result<()> {
    if (1..=most).contains(&value) {
        return Ok(());
    }
    Err(Error::configure(what, format!("{value} is not possible; choose 1 to {most}")))
}
