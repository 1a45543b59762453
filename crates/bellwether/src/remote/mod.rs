//! Asking a running server how it is, and telling it to change.
//!
//! `find` knows which servers run and how to reach one; `talk` says a command at its control
//! socket and hears lines; `pending` is a command that is being done, `events` what happens;
//! `closer` is what needs no answer: /proc tells it who asks.

mod closer;
mod events;
mod find;
mod pending;
mod talk;
#[cfg(test)]
mod tests;

pub use closer::doing;
pub use events::Events;
pub use find::names;
pub use pending::{Done, Pending};

use crate::error::Result;
use crate::spawner::command::{Command, Scale, Why};
use crate::spawner::runtime_dir::base;
use crate::status::Status;
use find::Server;
use talk::Talk;

/// Asks a running server how it is; without a name the only one that runs.
///
/// ```no_run
/// let status = bellwether::remote::status(Some("8080"))?;
/// println!("{} handlers, {} requests", status.pools[0].handlers.len(), status.pools[0].totals.requests);
/// # Ok::<(), bellwether::Error>(())
/// ```
///
/// # Errors
/// [`Error::NoServer`](crate::Error::NoServer) when none has the name, when there is none or
/// several to choose from, or when it does not answer within 5 seconds;
/// [`Error::Denied`](crate::Error::Denied) when it is another user's who has not let us in.
pub fn status(name: Option<&str>) -> Result<Status> {
    let talk = begin(name, &Command::Status {})?;
    let spawner = talk.spawner();
    let mut status: Status = talk.answer()?;
    // Numbers of processes mean the same here as there only in the same namespace.
    if spawner == Some(status.pid) {
        closer::look(&mut status);
    }
    Ok(status)
}

/// Asks why each pool has as many handlers as it has, and what happened last.
///
/// # Errors
/// As for [`status`].
pub fn why(name: Option<&str>) -> Result<Why> {
    begin(name, &Command::Why {})?.answer()
}

/// Asks for what happened, the oldest first, and with `follow` for what happens from now on.
///
/// ```no_run
/// for entry in bellwether::remote::events(None, true)? {
///     let entry = entry?;
///     println!("{}: {}", entry.kind, entry.reason);
/// }
/// # Ok::<(), bellwether::Error>(())
/// ```
///
/// # Errors
/// As for [`status`].
pub fn events(name: Option<&str>, follow: bool) -> Result<Events> {
    Ok(Events::new(begin(name, &Command::Events { follow })?, follow))
}

/// Changes how many handlers a pool has; done when that many are ready.
///
/// The pool need not be named where there is one.
///
/// # Errors
/// As for [`status`]; what came of it is told by [`Pending::wait`].
pub fn scale(name: Option<&str>, pool: Option<&str>, handlers: Scale) -> Result<Pending> {
    let (pool, handlers) = (pool.map(Into::into), handlers.to_string());
    order(name, &Command::Scale { pool, handlers })
}

/// Puts a new generation of handlers in the place of the present one; done when the old one has
/// been told to leave.
///
/// ```no_run
/// let done = bellwether::remote::reload(None)?.wait()?;
/// println!("{done}"); // reloaded: generation 3, 4 handlers, 1.2 s; nothing was cut
/// # Ok::<(), bellwether::Error>(())
/// ```
///
/// # Errors
/// As for [`status`]; what came of it is told by [`Pending::wait`].
pub fn reload(name: Option<&str>) -> Result<Pending> {
    order(name, &Command::Reload {})
}

/// Puts the present version of the program in the place of the one that runs, and a new
/// generation of handlers with it.
///
/// # Errors
/// As for [`status`]; what came of it is told by [`Pending::wait`].
pub fn upgrade(name: Option<&str>) -> Result<Pending> {
    order(name, &Command::Upgrade {})
}

/// Lets a pool, or without one all of them, finish what they have and take nothing new; the
/// server stays.
///
/// # Errors
/// As for [`status`]; what came of it is told by [`Pending::wait`].
pub fn drain(name: Option<&str>, pool: Option<&str>) -> Result<Pending> {
    order(name, &Command::Drain { pool: pool.map(Into::into) })
}

/// Ends a server when its requests are finished, or with `now` at once.
///
/// # Errors
/// As for [`status`]; what came of it is told by [`Pending::wait`].
pub fn stop(name: Option<&str>, now: bool) -> Result<Pending> {
    order(name, &Command::Stop { now })
}

fn order(name: Option<&str>, command: &Command) -> Result<Pending> {
    Ok(Pending::new(begin(name, command)?))
}

fn begin(name: Option<&str>, command: &Command) -> Result<Talk> {
    Talk::begin(&Server::find(&base(), name)?, command)
}
