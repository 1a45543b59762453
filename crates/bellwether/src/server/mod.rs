//! From settings to a running server.
//!
//! A [`Builder`] holds the settings; opening it yields a [`Server`], whose `run…` methods make
//! the calling process the spawner of one pool.

mod builder;
mod settings;

pub use builder::Builder;

use std::os::fd::{AsRawFd, RawFd};

use crate::address::{Listener, unclaimed_numbers};
use crate::balance::Fixed;
use crate::error::{BoxError, Doing, Error, Result};
#[cfg(feature = "tokio")]
use crate::handler::{Connection, Shift, gate, gate::Terms};
use crate::handler::{Handler, race};
use crate::notification::Notification;
use crate::pool::template::{Body, Load, Pattern};
use crate::pool::{Bounds, Plan, Pool};
use crate::spawner::{RuntimeDir, Spawner, Stopped};
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
    /// each thread with its own clone. They end without running destructors or exit handlers, so
    /// whoever fills a buffered writer must flush it. SIGTERM, SIGINT and SIGHUP stop gracefully, a second one
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
    /// and returns what serves a connection (non-blocking: make it a [`Stream`](crate::Stream));
    /// what it spawns beyond its own future is not waited for. `limit` bounds the connections that one thread
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

    /// The open descriptors that are not ours: the application's, which its handlers keep.
    fn others_descriptors(&self) -> std::io::Result<Vec<RawFd>> {
        let mut open = descriptors::open_now()?;
        let lock = self.folder.as_raw_fd();
        let stored = unclaimed_numbers();
        open.retain(|fd| *fd != lock && !stored.contains(fd));
        open.retain(|fd| self.listeners.iter().all(|it| it.as_raw_fd() != *fd));
        Ok(open)
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
        let inherited = self.others_descriptors().doing("list /proc/self/fd")?;
        let Builder { handlers, threads, notification, orphan_grace, .. } = self.settings;
        let pattern = Pattern {
            generation: 1,
            threads,
            notification,
            orphan_grace,
            deadlines: self.settings.rules.deadlines,
            descriptors: rustix::process::getrlimit(rustix::process::Resource::Nofile),
            inherited,
        };
        let (min, max) = self.settings.bounds.unwrap_or((handlers, handlers));
        let announce = self.settings.rules.times.announce;
        let pool = Pool::new(Plan {
            name: self.name.clone(),
            listeners: self.listeners,
            pattern,
            rules: self.settings.rules,
            bounds: Bounds { min, max },
            balance: Box::new(Fixed::new(handlers)),
            load,
        })?;
        Spawner::new(self.name, self.folder, self.settings.access, announce, vec![pool])?.run()
    }
}
