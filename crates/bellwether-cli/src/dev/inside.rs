//! The inside of an attempt: a server that runs the program with inherited listeners, and ends.

use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use bellwether::{Error, Result, Stopped};
use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};

use super::command::Dev;
use super::inheritance::Inheritance;
use super::notices::PROBLEM;
use crate::config::written::Written;
use crate::ending::Ending;
use crate::log;
use crate::run::plan::{self, Plan};
use crate::serve::farewell;

/// Runs the program once; why it did not start is said to our parent, and not on the terminal.
pub(super) fn run(order: &Dev, parent: i32) -> Result<(), Ending> {
    // What goes well, and why it does not go on, is told by our parent.
    log::start_with("warn,bellwether::verdict=off")?;
    match serve(order, parent) {
        Ok(stopped) => farewell(stopped),
        Err(error) => {
            tell(&words(&error));
            Err(Ending::Said(error.exit_code()))
        }
    }
}

fn serve(order: &Dev, parent: i32) -> Result<Stopped> {
    stay_with(parent)?;
    let inheritance = Inheritance::take().map_err(not_for_you)?;
    let mut settings = order.settings();
    settings.listen = inheritance.addresses()?.into_iter().map(Written).collect();
    let plan = Plan::of(&settings)?;
    let builder = settings.builder().defer_accept(plan::defer(&settings)?);
    // What does not start once is waiting for its developer.
    let builder = builder.boot_attempts(1);
    let named = order.name.as_ref().map(|name| builder.clone().name(&name.0.0));
    let server = named.unwrap_or(builder).open()?;
    let program = plan.program(server.listeners())?;
    // Browsers keep connections; a restart does not wait for them.
    server.with_program(program.idle_patience(Duration::ZERO)).run()
}

/// Ends with our parent, should it be killed.
fn stay_with(parent: i32) -> Result<()> {
    set_parent_process_death_signal(Some(Signal::TERM)).map_err(|errno| Error::System {
        doing: "follow the death of `bellwether dev`".into(),
        source: errno.into(),
    })?;
    if getppid() == Pid::from_raw(parent) { Ok(()) } else { Err(not_for_you("its parent is gone")) }
}

/// The error of whoever is not started by `bellwether dev`.
fn not_for_you(source: impl ToString) -> Error {
    let problem = format!(
        "a server of `bellwether dev` is started by that alone, and not replaced by another \
         program; start `bellwether dev` anew ({})",
        source.to_string()
    );
    Error::Configure { what: "child-of".into(), problem }
}

/// Says why it does not run, in words for whoever has just saved a file.
fn words(error: &Error) -> String {
    match error {
        Error::Boot { problem } => {
            problem.strip_prefix("it could not start: ").unwrap_or(problem).into()
        }
        other => other.to_string(),
    }
}

/// Says something to our parent; with nobody there the exit status must say it alone.
fn tell(words: &str) {
    let name = std::env::var("NOTIFY_SOCKET").unwrap_or_default();
    let words = words.replace(|c: char| c.is_control(), " ");
    let _ = say(name.trim_start_matches('@'), &format!("{PROBLEM}={words}\n"));
}

fn say(name: &str, words: &str) -> io::Result<usize> {
    let address = SocketAddr::from_abstract_name(name)?;
    UnixDatagram::unbound()?.send_to_addr(words.as_bytes(), &address)
}
