//! The processes of a run, however far they strayed.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use rustix::process::{Signal, kill_process};

use super::processes::{self, Pid, Process};

/// The variable in which every process of a run carries the run's directory.
pub const MARK: &str = "BELLWETHER_TEST_RUN";

/// A spawner, its descendants, and those that it left behind.
#[derive(Debug)]
pub struct Family {
    spawner: Pid,
    directory: PathBuf,
    /// Who was once seen to belong: a zombie has lost its environment, and with it the mark.
    seen: Mutex<BTreeSet<(Pid, u64)>>,
}

impl Family {
    pub fn of(spawner: Pid, directory: &Path) -> Self {
        Self { spawner, directory: directory.to_owned(), seen: Mutex::default() }
    }

    /// Everybody who can be seen now, zombies too. Only descendants of the test process count: as
    /// a sub-reaper it inherits every orphan, and nobody else's process is ever taken for ours.
    pub fn members(&self) -> Vec<Process> {
        let mut seen = self.seen.lock().expect("nobody panics with the lock");
        seen.extend(processes::descendants(self.spawner).iter().map(name));
        let mut ours = processes::descendants(processes::own());
        ours.retain(|it| seen.contains(&name(it)) || self.is_grouped(it) || self.is_marked(it));
        seen.extend(ours.iter().map(name));
        ours
    }

    /// Waits for the zombies that the death of their parent made children of the test process.
    pub fn reap_orphans(&self) {
        for process in self.members().iter().filter(|it| it.is_zombie()) {
            // The spawner itself is waited for by its owner.
            if process.parent == processes::own() && process.pid != self.spawner {
                processes::reap(process.pid);
            }
        }
    }

    /// Kills everybody who is alive at this moment.
    pub fn kill(&self) {
        for process in self.members().iter().filter(|it| !it.is_zombie()) {
            let pid = rustix::process::Pid::from_raw(process.pid);
            // Whoever died meanwhile need not be killed.
            kill_process(pid.expect("a process id is not zero"), Signal::KILL).ok();
        }
    }

    fn is_grouped(&self, process: &Process) -> bool {
        [process.pid, process.group, process.session].contains(&self.spawner)
    }

    fn is_marked(&self, process: &Process) -> bool {
        process.variable(MARK).is_some_and(|it| Path::new(&it) == self.directory)
    }
}

/// A pid may be given to two processes in turn; with the time of the start it is unique.
fn name(process: &Process) -> (Pid, u64) {
    (process.pid, process.started)
}
