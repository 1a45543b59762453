//! From settings to a running server.

use std::path::PathBuf;
use std::time::Duration;

use crate::address::{Address, Defaults, Defer, Listener, inherit::Passed, open_all};
use crate::balance::Fixed;
use crate::error::{BoxError, Doing, Error, Result};
#[cfg(feature = "tokio")]
use crate::handler::{Connection, Shift, gate, gate::Terms};
use crate::handler::{Handler, race};
use crate::notification::Notification;
use crate::scoreboard::control::MAX_SLOTS;
use crate::scoreboard::telemetry::MAX_THREADS;
use crate::spawner::template::{Body, Load, Pattern};
use crate::spawner::{Pool, RuntimeDir, Spawner, Stopped, Times, runtime_dir};
use crate::sys::{descriptors, process};

/// A server whose addresses are open and whose handlers do not exist yet.
///
/// ```no_run
/// use std::io::{Read, Write};
/// use bellwether::{Connection, Server};
///
/// fn main() -> Result<(), bellwether::Error> {
///     let server = Server::builder().listen("127.0.0.1:7777").handlers(4).open()?;
///     server.run(|mut connection: Connection| {
///         let mut request = [0; 1024];
///         while let Ok(length @ 1..) = connection.read(&mut request) {
///             let _ = connection.write_all(&request[..length]);
///         }
///     })?;
///     Ok(())
/// }
/// ```
#[derive(Debug)]
pub struct Server {
    settings: Builder,
    listeners: Vec<Listener>,
    name: String,
    folder: RuntimeDir,
    /// Descriptors that were open before ours: the application's, kept in handlers.
    inherited: Vec<i32>,
}

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
    addresses: Vec<String>,
    handlers: usize,
    threads: usize,
    notification: Notification,
    name: Option<String>,
    defer_accept: Defer,
    boot: Duration,
    grace: Duration,
    orphan_grace: Duration,
    runtime_dir: Option<PathBuf>,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            addresses: Vec::new(),
            handlers: std::thread::available_parallelism().map_or(2, |n| n.get().max(2)),
            threads: 1,
            notification: Notification::default(),
            name: None,
            defer_accept: Defer::Off,
            boot: Duration::from_secs(60),
            grace: Duration::from_secs(30),
            orphan_grace: Duration::from_secs(10),
            runtime_dir: None,
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
    /// open; default off, because a server that speaks first would never start.
    #[must_use]
    pub const fn defer_accept(mut self, defer: Defer) -> Self {
        self.defer_accept = defer;
        self
    }

    /// Sets how long a handler may take from its fork until it is ready; default 60 s.
    #[must_use]
    pub const fn boot_timeout(mut self, limit: Duration) -> Self {
        self.boot = limit;
        self
    }

    /// Sets how long a leaving handler may take to finish its requests before it is sent
    /// SIGTERM; default 30 s. SIGKILL follows 5 s later.
    #[must_use]
    pub const fn stop_grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// Sets how long handlers serve on when their spawner has died; default 10 s.
    #[must_use]
    pub const fn orphan_grace(mut self, grace: Duration) -> Self {
        self.orphan_grace = grace;
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
    /// # Errors
    /// Whatever is wrong with the settings, the addresses or the name. Nothing is left behind.
    pub fn open(self) -> Result<Server> {
        descriptors::fill_standard().doing("open /dev/null for a closed standard descriptor")?;
        check_range("handlers", self.handlers, MAX_SLOTS)?;
        check_range("threads", self.threads, MAX_THREADS)?;
        if let Notification::Some(0) = self.notification {
            return Err(Error::configure("notification", "some:0 would wake nobody; use some:1"));
        }
        let inherited =
            descriptors::open_now().doing("list the open descriptors in /proc/self/fd")?;
        let addresses = self.parsed_addresses()?;
        let defaults = Defaults { defer_accept: self.defer_accept };
        let listeners = open_all(&addresses, defaults)?;
        let (name, folder) = self.take_name(&listeners)?;
        Ok(Server { settings: self, listeners, name, folder, inherited })
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

    fn take_name(&self, listeners: &[Listener]) -> Result<(String, RuntimeDir)> {
        let name = self.name.clone().unwrap_or_else(|| default_name(listeners));
        let base = self.runtime_dir.clone().unwrap_or_else(runtime_dir::base);
        let folder = RuntimeDir::take(&base, &name)?;
        Ok((name, folder))
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

fn check_range(what: &str, value: usize, most: usize) -> Result<()> {
    if (1..=most).contains(&value) {
        return Ok(());
    }
    Err(Error::configure(what, format!("{value} is not possible; choose 1 to {most}")))
}

impl Server {
    /// Starts with the default settings.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Returns the open addresses.
    #[must_use]
    pub fn listeners(&self) -> &[Listener] {
        &self.listeners
    }

    /// Returns the number of handler processes that the server will keep.
    #[must_use]
    pub const fn handlers(&self) -> usize {
        self.settings.handlers
    }

    /// Returns the number of threads in each handler.
    #[must_use]
    pub const fn threads(&self) -> usize {
        self.settings.threads
    }

    /// Returns who wakes when a request arrives.
    #[must_use]
    pub const fn notification(&self) -> Notification {
        self.settings.notification
    }

    /// Returns the server's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Serves with a blocking handler until the process is told to stop.
    ///
    /// The calling process becomes the spawner; the handler runs in processes forked from it,
    /// each thread with its own clone. SIGTERM, SIGINT and SIGHUP stop gracefully, a second one
    /// or SIGQUIT at once.
    ///
    /// # Errors
    /// [`Error::Boot`] when no handler ever became ready; [`Error::System`] when the process has
    /// other threads (it could not fork safely) or the kernel lacks something that is needed.
    pub fn run<H: Handler + 'static>(self, handler: H) -> Result<Stopped> {
        self.run_loaded(move || Ok(handler.clone()))
    }

    /// Serves like [`Server::run`] with a handler that is loaded first.
    ///
    /// `load` runs in a process of its own, the template, from which all handlers are forked:
    /// what it loads is loaded once and shared copy-on-write. It must not start threads.
    ///
    /// # Errors
    /// As [`Server::run`]; an error of `load` is [`Error::Boot`].
    pub fn run_loaded<H, L>(self, load: L) -> Result<Stopped>
    where
        H: Handler + 'static,
        L: Fn() -> Result<H, BoxError> + 'static,
    {
        self.run_with(Box::new(move || {
            let handler = load()?;
            let body: Body = Box::new(move |post| race::live(&handler, &post));
            Ok(body)
        }))
    }

    /// Serves with an asynchronous handler until the process is told to stop.
    ///
    /// `start` runs in each thread of each handler process, on its own current-thread runtime,
    /// and returns what serves a connection; `limit` bounds the connections that one thread
    /// serves at once (the others wait in the buffer, or go to other handlers). A panic costs
    /// its connection.
    ///
    /// ```no_run
    /// use bellwether::{Connection, Server, Shift, Stream};
    /// use tokio::io::AsyncWriteExt;
    ///
    /// # fn main() -> Result<(), bellwether::Error> {
    /// let server = Server::builder().listen("127.0.0.1:7777").open()?;
    /// server.run_async(1000, |shift: Shift| async move {
    ///     let slot = shift.seat().slot();
    ///     Ok(move |connection: Connection| async move {
    ///         let Ok(mut stream) = Stream::try_from(connection) else { return };
    ///         let _ = stream.write_all(format!("slot {slot}\n").as_bytes()).await;
    ///     })
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Server::run`].
    #[cfg(feature = "tokio")]
    pub fn run_async<S, F, H, T>(self, limit: usize, start: S) -> Result<Stopped>
    where
        S: Fn(Shift) -> F + Clone + Sync + 'static,
        F: Future<Output = Result<H, BoxError>>,
        H: Fn(Connection) -> T + 'static,
        T: Future<Output = ()> + Send + 'static,
    {
        self.run_gated(Terms { limit: limit.max(1), connection_is_request: true }, start)
    }

    /// Serves behind gates, on these terms.
    #[cfg(feature = "tokio")]
    pub(crate) fn run_gated<S, F, H, T>(self, terms: Terms, start: S) -> Result<Stopped>
    where
        S: Fn(Shift) -> F + Clone + Sync + 'static,
        F: Future<Output = Result<H, BoxError>>,
        H: Fn(Connection) -> T + 'static,
        T: Future<Output = ()> + Send + 'static,
    {
        self.run_with(Box::new(move || {
            let start = start.clone();
            let body: Body =
                Box::new(move |post| gate::live(&start, &std::sync::Arc::new(post), terms));
            Ok(body)
        }))
    }

    /// Becomes the spawner of a pool whose handlers are loaded by `load`.
    pub(crate) fn run_with(self, load: Load) -> Result<Stopped> {
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
        let Builder { handlers, threads, notification, orphan_grace, .. } = self.settings;
        let pattern = Pattern {
            generation: 1,
            threads,
            notification,
            orphan_grace,
            descriptors: rustix::process::getrlimit(rustix::process::Resource::Nofile),
            inherited: self.inherited,
        };
        let times = Times {
            boot: self.settings.boot,
            grace: self.settings.grace,
            last: Duration::from_secs(5),
        };
        let pool = Pool {
            name: self.name,
            listeners: self.listeners,
            folder: self.folder,
            pattern,
            times,
            min: handlers,
            max: handlers,
            balance: Box::new(Fixed::new(handlers)),
        };
        Spawner::new(pool, load)?.run()
    }
}
