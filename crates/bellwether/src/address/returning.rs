//! Listeners of our own that come back: the service manager kept them while there was no spawner,
//! or the handlers of a dead one hold them still.
//!
//! What waited in their buffers waits there still. They are ours as if they had just been opened.

use std::os::fd::OwnedFd;

use super::bound::Bound;
use super::{Address, orphans, stored};
use crate::error::{Doing, Result};
use crate::sys::socket;

/// Takes back the listener that is bound there, if there is one, and makes it as new.
///
/// From orphaned handlers only when that is wanted.
pub(super) fn returning(
    address: &Address,
    wanted: &Bound,
    take_over: bool,
) -> Result<Option<OwnedFd>> {
    let orphaned = || take_over.then(|| orphans::take(address, wanted)).flatten();
    let Some(listener) = stored::take(wanted).or_else(orphaned) else { return Ok(None) };
    if matches!(wanted, Bound::Tcp(..)) {
        reset_tcp(&listener)?;
    }
    Ok(Some(listener))
}

/// Undoes what a predecessor may have set: a closed door, deferred accept.
fn reset_tcp(listener: &OwnedFd) -> Result<()> {
    socket::admit_new(listener).doing("open the door of a listener that came back")?;
    socket::defer_accept(listener, 0).doing("reset TCP_DEFER_ACCEPT")
}
