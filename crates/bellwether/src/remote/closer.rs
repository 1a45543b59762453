//! What whoever asks can see for himself of the handlers: the spawner need not look for him.

use std::time::{Duration, Instant};

use rustix::process::Pid;

use crate::proc::evidence::Evidence;
use crate::proc::usage;
use crate::status::{HandlerStatus, Status};

/// How long a look at all handlers may take; those that are left show less.
const PATIENCE: Duration = Duration::from_millis(20);

/// Adds what the handlers have used.
///
/// First of all what is read at once: for the memory the kernel walks all pages of a process.
pub(super) fn look(status: &mut Status) {
    let end = Instant::now() + PATIENCE;
    for look in [processor_time, memory, switches] {
        for handler in status.pools.iter_mut().flat_map(|pool| &mut pool.handlers) {
            if Instant::now() > end {
                return;
            }
            look(handler);
        }
    }
}

fn processor_time(handler: &mut HandlerStatus) {
    let times = processes(handler).filter_map(usage::processor_time);
    handler.cpu_s = times.reduce(Duration::saturating_add).map(|time| time.as_secs_f64());
}

fn memory(handler: &mut HandlerStatus) {
    handler.memory = processes(handler).filter_map(usage::pss).reduce(u64::saturating_add);
}

fn switches(handler: &mut HandlerStatus) {
    let switches = processes(handler).filter_map(usage::voluntary_switches);
    handler.switches = switches.reduce(u64::saturating_add);
}

/// Tells what the processes of a handler do at this moment, a line each: for each thread whether it
/// runs or sleeps, in which system call, where in the kernel, and what it has used.
///
/// As much as the kernel tells who asks: of another user's process it is little. Nothing for a handler
/// that has no process.
///
/// ```no_run
/// let status = bellwether::remote::status(None)?;
/// for handler in &status.pools[0].handlers {
///     println!("{}: {:?}", handler.slot, bellwether::remote::doing(handler));
/// }
/// # Ok::<(), bellwether::Error>(())
/// ```
#[must_use]
pub fn doing(handler: &HandlerStatus) -> Vec<String> {
    processes(handler).map(|pid| Evidence::of(pid).to_string()).collect()
}

fn processes(handler: &HandlerStatus) -> impl Iterator<Item = Pid> + use<> {
    let all: Vec<_> = handler.pid.into_iter().chain(handler.processes.iter().copied()).collect();
    all.into_iter().filter_map(Pid::from_raw)
}
