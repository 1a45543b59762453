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

/// By this a process knows that it runs the program once, and for whom: the number of its parent.
pub(super) const VARIABLE: &str = "BELLWETHER_DEV";

/// Runs the program once; why it did not start is said to our parent, and not on the terminal.
pub(super) fn run(order: &Dev, parent: &str) -> Result<(), Ending> {
    // What goes well, and why it does not go on, is told by our parent.
    log::start_with("warn,bellwether::verdict=off")?;
    match serve(order, parent) {
        Ok(stopped) => farewell(stopped),
        Err(error) if tell(&words(&error)).is_ok() => Err(Ending::Said(error.exit_code())),
        Err(error) => Err(error.into()),
    }
}

fn serve(order: &Dev, parent: &str) -> Result<Stopped> {
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
    let program = program.idle_patience(Duration::ZERO).without_variable(VARIABLE);
    server.with_program(program)?.run()
}

/// Ends with our parent, should it be killed.
fn stay_with(parent: &str) -> Result<()> {
    set_parent_process_death_signal(Some(Signal::TERM)).map_err(|errno| Error::System {
        doing: "follow the death of `bellwether dev`".into(),
        source: errno.into(),
    })?;
    let it = parent.parse().ok().and_then(Pid::from_raw);
    if it.is_some() && getppid() == it { Ok(()) } else { Err(not_for_you("it is not our parent")) }
}

/// The error of whoever was not started by `bellwether dev`.
fn not_for_you(why: impl ToString) -> Error {
    let why = why.to_string();
    let problem = format!(
        "only `bellwether dev` itself sets it, for a server that it starts and that no other \
         program can replace ({why}); unset it, or start `bellwether dev` anew"
    );
    Error::Configure { what: VARIABLE.into(), problem }
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

/// Says something to our parent, where it listens.
fn tell(words: &str) -> io::Result<()> {
    let name = std::env::var("NOTIFY_SOCKET").map_err(io::Error::other)?;
    let words = words.replace(|c: char| c.is_control(), " ");
    let address = SocketAddr::from_abstract_name(name.trim_start_matches('@'))?;
    let words = format!("{PROBLEM}={words}\n");
    UnixDatagram::unbound()?.send_to_addr(words.as_bytes(), &address).map(drop)
}
