//! Ending what programs have left behind when their wardens were killed.

use rustix::process::{Pid, Signal};

use super::Pool;
use super::slot::Process;
use crate::program::stray::{Stray, strays};

impl Pool {
    /// Tells whether its handlers start programs.
    pub(crate) const fn runs_programs(&self) -> bool {
        self.pattern.program.is_some()
    }
}

/// Ends the strays among the children of this process, but for those that are known.
///
/// Returns whether there are any, or somebody who may leave some. Those that stray from them come
/// when they have ended.
pub(crate) fn end_strays(is_known: impl Fn(Pid) -> bool) -> bool {
    let found = strays(is_known);
    for stray in &found {
        if let Stray::Ours(pid) = stray {
            tracing::debug!(pid = pid.as_raw_pid(), "ending what a program has left behind");
            // The kernel has it that it is our child, or nothing is sent.
            let _ = Process::of(*pid).signal(Signal::KILL);
        }
    }
    !found.is_empty()
}
