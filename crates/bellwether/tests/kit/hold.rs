//! Processes held still, to arrange a race or to play a frozen handler.

use rustix::process::{Signal, kill_process};

use super::processes::{Pid, Process};
use super::wait::{PATIENCE, eventually};

/// A set of stopped processes; they go on when this is dropped.
#[derive(Debug)]
pub struct Hold {
    pids: Vec<Pid>,
}

impl Hold {
    /// Stops the processes, and returns when every one of them stands still.
    #[track_caller]
    pub fn stop(pids: &[Pid]) -> Self {
        let hold = Self { pids: pids.to_vec() };
        hold.send(Signal::STOP);
        for pid in pids {
            eventually(PATIENCE, &format!("process {pid} to stand still"), || {
                let process = Process::find(*pid).unwrap_or_else(|| panic!("{pid} is gone"));
                (process.state == 'T').then_some(())
            });
        }
        hold
    }

    /// Lets all of them go on at once.
    pub fn release(self) {
        drop(self);
    }

    /// A process that died meanwhile is none of our business.
    fn send(&self, signal: Signal) {
        for pid in self.pids.iter().filter_map(|pid| rustix::process::Pid::from_raw(*pid)) {
            kill_process(pid, signal).ok();
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.send(Signal::CONT);
    }
}
