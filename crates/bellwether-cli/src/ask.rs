//! `bellwether scale`, `reload`, `upgrade`, `drain`, `stop`: a running server is told to change,
//! and the program ends when it has.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use bellwether::Error;
use bellwether::remote::{self, Done, Pending};

use crate::cli::ask::{Ask, Target};
use crate::ending::{CUT, Ending};
use crate::events;
use crate::output::{print, unprinted};
use crate::refusal;
use crate::why;
use crate::words::clean;

/// How long a person waits without being told for what.
const SILENCE: Duration = Duration::from_secs(2);

/// Asks or tells, and prints what comes of it.
pub(crate) fn run(ask: &Ask) -> Result<(), Ending> {
    refusal::in_json(ask.target().json, answer(ask))
}

fn answer(ask: &Ask) -> Result<(), Ending> {
    match ask {
        Ask::Scale(order) => {
            let pool = order.pool.as_deref();
            let pending = remote::scale(name(&order.target), pool, order.handlers)?;
            finish(&order.target, pending, "for the handlers to be ready")
        }
        Ask::Reload(target) => {
            let what = "for the new handlers to be ready and the old ones to leave";
            finish(target, remote::reload(name(target))?, what)
        }
        Ask::Upgrade(target) => {
            let what = "for the new program to take over";
            finish(target, remote::upgrade(name(target))?, what)
        }
        Ask::Drain(order) => {
            let pending = remote::drain(name(&order.target), order.pool.as_deref())?;
            leave(&order.target, pending)
        }
        Ask::Stop(order) => {
            let pending = remote::stop(name(&order.target), order.now)?;
            leave(&order.target, pending)
        }
        Ask::Events(question) => events::run(question),
        Ask::Why(question) => why::run(question),
    }
}

fn name(target: &Target) -> Option<&str> {
    target.name.as_deref()
}

/// Waits until requests are finished; like the server, says by the exit status that some were cut.
fn leave(target: &Target, pending: Pending) -> Result<(), Ending> {
    let done = done(target, pending, "for running requests to finish")?;
    print(&told(&done, target.json)?)?;
    if done.cut == 0 { Ok(()) } else { Err(Ending::Said(CUT)) }
}

/// Waits until the server has done it, and prints that.
fn finish(target: &Target, pending: Pending, what: &str) -> Result<(), Ending> {
    print(&told(&done(target, pending, what)?, target.json)?)
}

/// Waits until the server has done it; a person is told for what.
fn done(target: &Target, mut pending: Pending, what: &str) -> Result<Done, Ending> {
    let is_watched = !target.json && std::io::stderr().is_terminal();
    let early = if is_watched { pending.wait_for(SILENCE)? } else { None };
    if let Some(done) = early {
        return Ok(done);
    }
    if is_watched {
        tell_waiting(what);
    }
    Ok(pending.wait()?)
}

fn tell_waiting(what: &str) {
    let line = format!("waiting {what}; Ctrl-C ends the waiting, not what the server does\n");
    // Whoever closed standard error does not want to know.
    let _ = std::io::stderr().write_all(line.as_bytes());
}

/// What was done: a sentence, or the server's own line.
fn told(done: &Done, json: bool) -> Result<String, Error> {
    if !json {
        return Ok(format!("{}\n", clean(&done.to_string())));
    }
    let line = serde_json::to_string(done).map_err(unprinted)?;
    Ok(format!("{line}\n"))
}
