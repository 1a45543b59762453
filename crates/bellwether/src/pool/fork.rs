//! The only place that forks.
//!
//! `sys::process::fork` refuses in a process with more than one thread, so both the spawner and
//! the template keep to one. What runs in a child never returns into the code of its parent.

use std::panic::{AssertUnwindSafe, catch_unwind};

use rustix::process::Pid;

use crate::handler::Departure;
use crate::sys::process::{self, Fork};

/// Forks the template.
pub(crate) fn template(live: impl FnOnce() -> Departure) -> std::io::Result<Pid> {
    match process::fork()? {
        Fork::Child => depart(live),
        Fork::Parent(pid) => Ok(pid),
    }
}

/// Forks a handler that becomes a child of the nearest sub-reaper: the spawner.
///
/// The template forks a go-between, the go-between forks the handler, tells its pid and ends;
/// the kernel gives the orphan to the sub-reaper. What is told reaches the spawner before the
/// orphan can: the go-between tells while it is still the parent.
pub(crate) fn handler(
    tell: impl Fn(Result<Pid, std::io::Error>),
    live: impl FnOnce() -> Departure,
) {
    match process::fork() {
        Ok(Fork::Child) => {
            match process::fork() {
                Ok(Fork::Child) => depart(live),
                Ok(Fork::Parent(pid)) => tell(Ok(pid)),
                Err(error) => tell(Err(error)),
            }
            process::exit_now(0);
        }
        Ok(Fork::Parent(go_between)) => process::wait_for(go_between),
        Err(error) => tell(Err(error)),
    }
}

fn depart(live: impl FnOnce() -> Departure) -> ! {
    let departure = catch_unwind(AssertUnwindSafe(live)).unwrap_or(Departure::Broken);
    // Exit handlers belong to the process we were copied from; our own output does not.
    let _ = std::io::Write::flush(&mut std::io::stdout());
    process::exit_now(departure.code())
}
