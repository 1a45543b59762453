//! A control group of a test's own, made in ours and removed with all that was made in it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use super::processes::{self, Pid, Process};
use super::wait::{PATIENCE, within};

/// How the names of these groups begin; the process that made it follows.
const PREFIX: &str = "bw-test-";

/// A folder in the hierarchy of cgroup version 2.
#[derive(Debug)]
pub struct Cgroup(PathBuf);

impl Cgroup {
    /// Makes one; the error says what is missing.
    pub fn create() -> Result<Self, String> {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let own = own().ok_or("no cgroup2 is mounted")?;
        sweep(&own);
        let folder = own.join(format!("{PREFIX}{}-{number}", std::process::id()));
        let refused = |error| format!("no cgroup can be made in {}: {error}", own.display());
        fs::create_dir(&folder).map_err(refused)?;
        Ok(Self(folder))
    }

    /// The folder as it is called out here.
    pub fn folder(&self) -> &Path {
        &self.0
    }

    /// Who is in a group below this one, as they are called out here; nobody when there is none.
    pub fn processes(&self, below: &str) -> Vec<Process> {
        let file = self.0.join(below).join("cgroup.procs");
        let pids = fs::read_to_string(file).unwrap_or_default();
        pids.lines().filter_map(|pid| Process::find(pid.parse::<Pid>().ok()?)).collect()
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // A group is busy until the last of its processes is reaped.
        within(PATIENCE, || remove(&self.0).then_some(()));
    }
}

/// The folder of the group that this process is in.
fn own() -> Option<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts").ok()?;
    let mount = mounts.lines().find(|line| line.split(' ').nth(2) == Some("cgroup2"))?;
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let path = groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
    Some(Path::new(mount.split(' ').nth(1)?).join(path))
}

/// Removes what tests that were killed could not remove.
fn sweep(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name().into_string().unwrap_or_default();
        let maker = name.strip_prefix(PREFIX).and_then(|rest| rest.split_once('-'));
        if maker.is_some_and(|(pid, _)| pid.parse().is_ok_and(|pid| !processes::is_alive(pid))) {
            remove(&entry.path());
        }
    }
}

/// Removes a group after those in it; the files in it are no files.
fn remove(folder: &Path) -> bool {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    for inner in entries.map(|entry| entry.path()).filter(|path| path.is_dir()) {
        remove(&inner);
    }
    fs::remove_dir(folder).is_ok() || !folder.exists()
}
