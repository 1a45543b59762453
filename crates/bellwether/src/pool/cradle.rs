//! What the next handler needs when it is made, laid out beforehand: while somebody waits at the door
//! there is no time for it.

use std::io;
use std::os::fd::OwnedFd;

use rustix::net::{AddressFamily, SocketFlags, SocketType};

use crate::scoreboard::telemetry::{self, TelemetryView};

/// A page and a channel that no handler has yet.
pub(super) struct Cradle {
    pub(super) page: OwnedFd,
    pub(super) telemetry: TelemetryView,
    /// The spawner's end of the channel, and the handler's.
    pub(super) ours: OwnedFd,
    pub(super) theirs: OwnedFd,
}

impl Cradle {
    /// Makes what a handler of so many threads needs.
    pub(super) fn lay_out(threads: usize) -> io::Result<Self> {
        let page = telemetry::file(threads)?;
        let telemetry = TelemetryView::map(&page, threads)?;
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let (ours, theirs) =
            rustix::net::socketpair(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        Ok(Self { page, telemetry, ours, theirs })
    }

    /// Tells whether it is of the size that a handler of so many threads needs.
    pub(super) const fn is_for(&self, threads: usize) -> bool {
        self.telemetry.threads() == threads
    }
}
