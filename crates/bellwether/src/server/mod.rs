//! From settings to a running server.
//!
//! A [`Builder`] holds the settings; opening it yields a [`Server`], whose `run…` methods make
//! the calling process the spawner of one pool, and whose `with…` methods make a [`Pool`] of it,
//! of which a [`Group`] runs several.

#[cfg(feature = "tokio")]
mod asynchronous;
mod builder;
mod group;
#[cfg(feature = "http")]
mod limits;
#[cfg(feature = "http")]
mod network;
mod pool;
#[cfg(feature = "http")]
mod proxies;
mod settings;

pub use builder::Builder;
pub use group::Group;
#[cfg(feature = "http")]
pub use limits::{LEAST_RATE, Limits};
#[cfg(feature = "http")]
pub use network::Network;
pub use pool::Pool;
#[cfg(feature = "http")]
pub use proxies::{Proxies, ProxyHeaders};

use crate::address::Listener;
use crate::balance::Rule;
use crate::error::{BoxError, Error, Result};
#[cfg(feature = "tokio")]
use crate::handler::{Connection, Shift, Terms, concurrent};
use crate::handler::{Handler, Manner, serial, warden};
use crate::notification::Notification;
use crate::pool::template::Body;
use crate::program::Program;
use crate::spawner::Stopped;
use crate::sys::secret::Secret;
#[cfg(feature = "tls")]
use crate::tls::Tls;

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
    /// By which the server is asked and told.
    name: String,
    pool_name: String,
    succeeds: bool,
    /// What its handlers share beyond the life of a program.
    secret: Option<Secret>,
    /// The group of its own, unless it was opened in another.
    group: Option<Group>,
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

    /// Returns the number of handler processes that the server starts with, or will keep.
    #[must_use]
    pub const fn handlers(&self) -> usize {
        self.bounds().0
    }

    /// Returns the fewest and the most handler processes that there will be.
    #[must_use]
    pub const fn bounds(&self) -> (usize, usize) {
        match self.settings.bounds {
            Some(bounds) => bounds,
            None => (self.settings.handlers, self.settings.handlers),
        }
    }

    /// Returns the rule by which their number follows the load, where it does.
    #[must_use]
    pub const fn balance(&self) -> &Rule {
        &self.settings.rule
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

    /// Returns the server's name, by which it is asked and told; that of its group.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the name of the pool; that of the server where it is the only one.
    #[must_use]
    pub fn pool_name(&self) -> &str {
        &self.pool_name
    }

    /// Tells whether this process served before it became this program, and goes on serving.
    #[must_use]
    pub const fn is_successor(&self) -> bool {
        self.succeeds
    }

    /// Tells whether clients are to speak TLS.
    #[cfg(feature = "tls")]
    #[must_use]
    pub const fn is_secure(&self) -> bool {
        self.settings.tls.is_some()
    }

    /// Returns how long clients of HTTP are waited for, and how much they may send.
    #[cfg(feature = "http")]
    #[must_use]
    pub const fn http_limits(&self) -> &Limits {
        &self.settings.http_limits
    }

    /// Returns which proxies are before the server, if any.
    #[cfg(feature = "http")]
    #[must_use]
    pub const fn proxies(&self) -> Option<&Proxies> {
        self.settings.proxies.as_ref()
    }

    /// Hands over how TLS is spoken to whoever sees to it.
    #[cfg(feature = "tls")]
    pub(crate) fn without_tls(mut self) -> (Self, Option<Tls>) {
        let tls = self.settings.tls.take();
        self.secret = tls.as_ref().map(Tls::secret);
        (self, tls)
    }

    /// Serves with a blocking handler until the process is told to stop.
    ///
    /// The calling process becomes the spawner; the handler runs in processes forked from it,
    /// each thread with its own clone. They end without running destructors or exit handlers, so
    /// whoever fills a buffered writer must flush it. SIGTERM and SIGINT stop gracefully, a second one or
    /// SIGQUIT at once; SIGHUP reloads, SIGUSR2 upgrades.
    ///
    /// # Errors
    /// [`Error::Boot`](crate::Error::Boot) when no handler ever became ready;
    /// [`Error::System`](crate::Error::System) when the process has
    /// other threads (it could not fork safely) or the kernel lacks something that is needed.
    pub fn run<H: Handler + 'static>(self, handler: H) -> Result<Stopped> {
        self.with(handler).run()
    }

    /// Becomes a pool of blocking handlers, to be run beside others by [`Group::run`].
    #[must_use]
    pub fn with<H: Handler + 'static>(self, handler: H) -> Pool {
        self.with_loaded(move || Ok(handler.clone()))
    }

    /// Serves like [`Server::run`] with a handler that is loaded first.
    ///
    /// `load` runs in a process of its own, the template, from which all handlers are forked:
    /// what it loads is loaded once and shared copy-on-write. It must not start threads.
    ///
    /// # Errors
    /// As [`Server::run`]; an error of `load` is [`Error::Boot`](crate::Error::Boot).
    pub fn run_loaded<H, L>(self, load: L) -> Result<Stopped>
    where
        H: Handler + 'static,
        L: Fn() -> Result<H, BoxError> + 'static,
    {
        self.with_loaded(load).run()
    }

    /// Becomes a pool of handlers as of [`Server::run_loaded`].
    #[must_use]
    pub fn with_loaded<H, L>(self, load: L) -> Pool
    where
        H: Handler + 'static,
        L: Fn() -> Result<H, BoxError> + 'static,
    {
        Pool::new(
            self,
            Manner::Serial,
            Box::new(move || {
                let handler = load()?;
                let body: Body = Box::new(move |post| serial::live(&handler, &post));
                Ok(body)
            }),
        )
    }

    /// Becomes a pool of handlers each of which is a program, unchanged.
    ///
    /// ```no_run
    /// use bellwether::{Pass, Program, Server};
    ///
    /// let server = Server::builder().listen("127.0.0.1:8000").handlers(2).open()?;
    /// let program = Program::new("php-cgi").pass(Pass::StandardInput);
    /// server.with_program(program)?.run()?;
    /// # Ok::<(), bellwether::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Configure`] for descriptors that two things should have, or nobody can, for a path that
    /// cannot be asked for, and for a watchdog of no time.
    pub fn with_program(self, program: Program) -> Result<Pool> {
        let (ways, pool) = (program.ways, self.pool_name.clone());
        let checked = program.check(self.listeners.len());
        checked.map_err(|problem| Error::configure(program.name().into_owned(), problem))?;
        let load = move || {
            let (program, pool) = (program.clone(), pool.clone());
            let body: Body =
                Box::new(move |post| warden::live(&program, &pool, &std::sync::Arc::new(post)));
            Ok(body)
        };
        Ok(Pool::of_program(self, Manner::Serial, ways, Box::new(load)))
    }

    /// Serves with an asynchronous handler until the process is told to stop.
    ///
    /// `start` runs in each thread of each handler process, on a runtime of its own (current-thread,
    /// unless [`Builder::runtime_threads`] says more), and returns what serves a connection (non-blocking: make it a [`Stream`](crate::Stream));
    /// what it spawns beyond its own future is not waited for. `limit` bounds the connections that one thread
    /// serves at once (the others wait in the buffer, or go to other handlers). A panic costs
    /// its connection. Where [`Builder::shed`] is on, late connections are closed.
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
        self.with_async(limit, start).run()
    }

    /// Becomes a pool of handlers as of [`Server::run_async`].
    #[cfg(feature = "tokio")]
    #[must_use]
    pub fn with_async<S, F, H, T>(self, limit: usize, start: S) -> Pool
    where
        S: Fn(Shift) -> F + Clone + Sync + 'static,
        F: Future<Output = Result<H, BoxError>>,
        H: Fn(Connection) -> T + 'static,
        T: Future<Output = ()> + Send + 'static,
    {
        let terms = Terms {
            limit: limit.max(1),
            connection_is_request: true,
            sheds: false,
            labels: false,
            workers: self.settings.asynchronous.runtime_threads,
        };
        self.gated(terms, move || Ok(start.clone()))
    }

    /// The terms on which HTTP is served.
    #[cfg(feature = "http")]
    pub(crate) const fn terms_of_http(&self) -> Terms {
        let asynchronous = self.settings.asynchronous;
        Terms {
            limit: asynchronous.connections,
            connection_is_request: false,
            sheds: true,
            labels: asynchronous.label_requests,
            workers: asynchronous.runtime_threads,
        }
    }

    /// Becomes a pool of handlers behind gates, on these terms; `load` runs in the template.
    #[cfg(feature = "tokio")]
    pub(crate) fn gated<L, S, F, H, T>(self, terms: Terms, load: L) -> Pool
    where
        L: Fn() -> Result<S, BoxError> + 'static,
        S: Fn(Shift) -> F + Sync + 'static,
        F: Future<Output = Result<H, BoxError>>,
        H: Fn(Connection) -> T + 'static,
        T: Future<Output = ()> + Send + 'static,
    {
        let manner = Manner::Concurrent {
            partable: !terms.connection_is_request,
            room: terms.limit,
            workers: terms.workers,
        };
        Pool::new(
            self,
            manner,
            Box::new(move || {
                let start = load()?;
                let body: Body =
                    Box::new(move |post| concurrent::live(&start, &post.into(), terms));
                Ok(body)
            }),
        )
    }
}
