//! A running server of either rival: where it listens, who its handlers are, what they did.
//!
//! Dropping a pool ends every process of it. The servers also end on their own when this program
//! dies, even by SIGKILL: each asks the kernel to signal it when its parent is gone.

mod ours;
mod raw;

pub(crate) use ours::{OurPool, signal};

use std::fmt;
use std::net::SocketAddrV4;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use anyhow::Result;

use self::raw::RawPool;
use crate::figure::Figure;
use crate::mode::Mode;
use crate::process;

/// Who serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rival {
    Raw,
    Ours,
    /// The raw loop against itself: what noise alone makes of the ratios.
    RawAgain,
}

impl Rival {
    /// Starts a server and waits until all its handlers wait for connections.
    pub(crate) fn start(self, mode: Mode, handlers: usize) -> Result<Box<dyn Pool>> {
        Ok(match self {
            Self::Raw | Self::RawAgain => Box::new(RawPool::start(mode, handlers)?),
            Self::Ours => Box::new(OurPool::start(mode, handlers)?),
        })
    }
}

impl fmt::Display for Rival {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Raw => "raw",
            Self::Ours => "ours",
            Self::RawAgain => "raw again",
        })
    }
}

/// A server with all its processes.
pub(crate) trait Pool {
    fn address(&self) -> SocketAddrV4;

    /// What each handler counted so far.
    fn counts(&mut self) -> Result<Vec<Count>>;

    /// All processes that work for this server: handlers, and whoever looks after them.
    fn processes(&self) -> Result<Vec<u32>>;
}

/// What a handler counted of itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Count {
    pub(crate) pid: u32,
    pub(crate) wins: u64,
    pub(crate) losses: u64,
}

/// The private memory of the handlers, in KiB.
#[allow(clippy::cast_precision_loss, reason = "kibibytes are far below 2^52")]
pub(crate) fn private_memory(handlers: &[Count]) -> Result<Figure> {
    let memory = |count: &Count| process::private_memory(count.pid).map(|kib| kib as f64);
    let all: Vec<f64> = handlers.iter().map(memory).collect::<Result<_>>()?;
    Ok(Figure::of(all))
}

/// This same executable, even when a build has replaced its file meanwhile.
pub(crate) fn this_program() -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.arg0("bellwether-bench");
    command
}
