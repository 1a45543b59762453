//! What runs in a handler process: wait, accept, serve, mark.
//!
//! The spawner gives each handler a [`post::Post`]: its seat, the listeners, its pages and a
//! channel to the spawner. Its threads race for connections ([`race`]): [`serial`] ones serve each
//! themselves, [`concurrent`] ones have a runtime for a [`room`], of which a [`gate`] says who
//! comes in. All read the answer of `accept` through [`refusal`], judge by its [`lateness`] whether
//! a connection is to be served, keep a [`deadline`] for each of their [`requests`] where there are
//! any, and end with a [`Departure`], which is the exit status. Without a spawner they have
//! [`patience`] for a while, and end by their [`last_will`]. A program has a [`warden`], and at
//! the worst a [`relay`].

mod at_once;
#[cfg(feature = "tokio")]
pub(crate) mod concurrent;
mod connection;
mod deadline;
#[cfg(feature = "tokio")]
mod gate;
#[cfg(feature = "tokio")]
mod guest;
pub(crate) mod last_will;
mod lateness;
#[cfg(feature = "http")]
mod parting;
mod patience;
pub(crate) mod post;
mod race;
pub(crate) mod refusal;
mod relay;
pub(crate) mod requests;
#[cfg(feature = "tokio")]
mod room;
pub(crate) mod serial;
mod share;
#[cfg(feature = "tokio")]
mod shift;
#[cfg(feature = "tokio")]
mod stream;
pub(crate) mod warden;

pub use connection::Connection;
pub use deadline::Deadline;
pub(crate) use deadline::Deadlines;
#[cfg(feature = "http")]
pub(crate) use parting::Parting;
pub use post::Seat;
#[cfg(feature = "tokio")]
pub(crate) use room::Terms;
#[cfg(feature = "tokio")]
pub use shift::Shift;
#[cfg(feature = "tokio")]
pub use stream::Stream;

use std::panic::{AssertUnwindSafe, catch_unwind};

use post::Post;

use crate::error::BoxError;

/// Something that serves connections, one at a time.
///
/// Every closure `FnMut(Connection) + Clone + Send` is one. Each thread of each handler process
/// has its own clone, made after the fork, so no two threads share anything that the handler
/// does not share on purpose. A panic costs the connection that was being served; the thread
/// goes on with a fresh clone.
///
/// ```
/// use std::io::Write;
/// use bellwether::{BoxError, Connection, Handler, Seat};
///
/// #[derive(Clone)]
/// struct Greeter(usize);
///
/// impl Handler for Greeter {
///     fn start(&mut self, seat: &Seat) -> Result<(), BoxError> {
///         self.0 = seat.slot(); // open what must not be shared over a fork here
///         Ok(())
///     }
///
///     fn handle(&mut self, mut connection: Connection) {
///         let _ = writeln!(connection, "hello from slot {}", self.0);
///     }
/// }
/// ```
pub trait Handler: Clone + Send {
    /// Prepares this clone in its own process and thread, before the handler counts as ready.
    ///
    /// # Errors
    /// An error ends the handler process; the spawner tries again with growing pauses.
    fn start(&mut self, seat: &Seat) -> Result<(), BoxError> {
        let _ = seat;
        Ok(())
    }

    /// Serves one connection; dropping it closes it.
    fn handle(&mut self, connection: Connection);

    /// Sends one connection away that has waited too long, while more come than can be served.
    ///
    /// Called in place of [`Handler::handle`] where that was allowed
    /// ([`Builder::shed`](crate::Builder::shed)). It should be quick, for meanwhile others wait; a
    /// deadline holds for it too. Without an implementation the connection is closed without a
    /// word.
    ///
    /// What the client has sent and nobody has read makes the kernel reset the connection when it
    /// is closed, and the client may lose the last words: read it first, or where the client
    /// speaks second, as in SMTP, speak at once.
    ///
    /// ```
    /// use std::io::Write;
    /// use bellwether::{Connection, Handler};
    ///
    /// #[derive(Clone)]
    /// struct Mail;
    ///
    /// impl Handler for Mail {
    ///     fn handle(&mut self, mut connection: Connection) {
    ///         let _ = connection.write_all(b"220 ready\r\n"); // and the rest of the talk
    ///     }
    ///
    ///     fn shed(&mut self, mut connection: Connection) {
    ///         let _ = connection.write_all(b"421 too busy, try again later\r\n");
    ///     }
    /// }
    /// ```
    fn shed(&mut self, connection: Connection) {
        drop(connection);
    }
}

impl<F: FnMut(Connection) + Clone + Send> Handler for F {
    fn handle(&mut self, connection: Connection) {
        self(connection);
    }
}

/// How handlers serve connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// A thread serves one connection at a time.
    Serial,
    /// A thread serves many connections at once.
    #[cfg_attr(not(feature = "tokio"), allow(dead_code))]
    Concurrent {
        /// Whether a connection may carry many requests, and a handler that leaves ends it between
        /// two of them, as HTTP can.
        partable: bool,
        /// How many connections a thread may hold.
        room: usize,
        /// How many threads serve what it holds.
        workers: usize,
    },
}

/// How a handler process ends by itself; its exit status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Departure {
    /// It was told to leave, or its spawner is gone, and all it had accepted is served.
    Done,
    /// It could not start.
    NotStarted,
    /// A listener does not accept any more; the spawner should look at it.
    Listener,
    /// Something of its own broke (its epoll, its pages).
    Broken,
    /// Something is short (EX_TEMPFAIL of sysexits.h): no new handlers for a while.
    SlowDown,
    /// Another in its place would be of no use (EX_CONFIG).
    Never,
    /// It has served long enough: another in its place, without a word about it.
    Recycle,
    /// Its spawner is gone, its time too; what it still had in hand was cut.
    Cut,
}

impl Departure {
    const ALL: [Self; 8] = [
        Self::Done,
        Self::NotStarted,
        Self::Listener,
        Self::Broken,
        Self::SlowDown,
        Self::Never,
        Self::Recycle,
        Self::Cut,
    ];

    /// Returns the exit status; the numbers are far from what programs commonly use.
    pub(crate) const fn code(self) -> i32 {
        match self {
            Self::Done => 0,
            Self::NotStarted => 120,
            Self::Listener => 121,
            Self::Broken => 122,
            Self::Cut => 123,
            Self::SlowDown => 75,
            Self::Never => 78,
            Self::Recycle => 79,
        }
    }

    /// Keeps the first departure that was not ordinary.
    const fn or(self, other: Self) -> Self {
        if matches!(self, Self::Done) { other } else { self }
    }

    /// Reads an exit status; `None` when it is not one of ours.
    pub(crate) fn from_code(code: i32) -> Option<Self> {
        Self::ALL.into_iter().find(|departure| departure.code() == code)
    }
}

/// Runs all threads of a handler until the last has ended; thread 0 is the calling one.
///
/// If one cannot go on, none does: a handler with a part of its threads would look whole.
fn together(post: &Post, live: impl Fn(usize) -> Departure + Sync) -> Departure {
    let guarded = |thread| {
        let departure = catch_unwind(AssertUnwindSafe(|| live(thread)));
        let departure = departure.unwrap_or_else(|panic| post.not_started(&words_of(&*panic)));
        if departure != Departure::Done {
            post.break_up();
        }
        departure
    };
    let guarded = &guarded;
    std::thread::scope(|scope| {
        let spawn = |thread| {
            let named = std::thread::Builder::new().name(format!("racer {thread}"));
            named.spawn_scoped(scope, move || guarded(thread))
        };
        let others: Vec<_> = (1..post.seat.threads).map(spawn).collect();
        let missing = others.iter().find_map(|other| other.as_ref().err());
        let first = match missing {
            None => guarded(0),
            Some(error) => post.not_started(&format!("it has no thread: {error}").into()),
        };
        others
            .into_iter()
            .flatten()
            .fold(first, |worst, other| worst.or(other.join().unwrap_or(Departure::Broken)))
    })
}

/// The words of a panic, as far as it has any.
fn words_of(panic: &(dyn std::any::Any + Send)) -> BoxError {
    let words = panic.downcast_ref::<&str>().copied();
    let words = words.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("it panicked: {}", words.unwrap_or("without words")).into()
}
