//! How many descriptors the spawner may have open, and how many it needs.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::error::{Error, Result};

/// A handler costs its channel.
const PER_HANDLER: usize = 1;
/// Standard descriptors, epoll, signals, pages, control socket and its clients, and some air.
const OTHERS: usize = 64;

/// Raises the soft limit as far as this many handlers need; returns the limits from before.
///
/// Handlers get those back: what the operator set is meant for them.
pub(crate) fn raise(handlers: usize, listeners: usize) -> Result<Rlimit> {
    let before = getrlimit(Resource::Nofile);
    let need = (handlers * PER_HANDLER + listeners + OTHERS) as u64;
    if before.current.is_none_or(|soft| soft >= need) {
        return Ok(before);
    }
    let raised = Rlimit { current: Some(need), maximum: before.maximum };
    let allowed = before.maximum.is_none_or(|hard| hard >= need);
    if allowed && setrlimit(Resource::Nofile, raised).is_ok() {
        return Ok(before);
    }
    let hard = before.maximum.unwrap_or(u64::MAX);
    let problem = format!(
        "{handlers} handlers need {need} descriptors ({PER_HANDLER} each, {listeners} to listen, \
         {OTHERS} others), but the limit is {hard}; raise it (ulimit -n, LimitNOFILE=) or choose fewer"
    );
    Err(Error::configure("handlers", problem))
}

/// Gives a child the limits from before.
pub(crate) fn restore(before: &Rlimit) {
    // It only ever lowers the soft limit, which is always allowed.
    let _ = setrlimit(Resource::Nofile, *before);
}
