//! The invariants after every test, and those that hold while a server runs.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::control;
use super::processes::Process;
use super::run::Run;
use super::usage;
use super::wait::{PATIENCE, eventually};

/// Where the kernel keeps named shared memory, semaphores and message queues.
const SHARED_MEMORY: &str = "/dev/shm";
const SYSTEM_V: [&str; 3] = ["shm", "sem", "msg"];

/// What of shared memory the machine had before a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Baseline {
    folder: PathBuf,
    before: BTreeSet<String>,
}

impl Baseline {
    /// Looks at the machine.
    pub fn take() -> Self {
        Self::watching(Path::new(SHARED_MEMORY))
    }

    /// Looks at another folder in place of `/dev/shm`.
    pub fn watching(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), before: shared(folder) }
    }

    fn news(&self) -> BTreeSet<String> {
        shared(&self.folder).difference(&self.before).cloned().collect()
    }
}

/// Asserts that nothing of a run is left: no process (I1), no zombie (I2), no shared memory, no
/// socket file, nothing in the runtime directory (I4).
#[track_caller]
pub fn assert_quiescent(baseline: &Baseline, run: &Run) {
    let left = leftovers(baseline, run);
    assert!(left.is_empty(), "left behind by the run:\n{}", left.join("\n"));
}

/// What is left of a run, one line for each thing.
pub fn leftovers(baseline: &Baseline, run: &Run) -> Vec<String> {
    let mut left: Vec<String> = run.processes().iter().map(remains).collect();
    left.extend(baseline.news().iter().map(|it| format!("shared memory {it}")));
    let mut files = tree(run.directory());
    files.retain(|it| is_socket(it) || it.ancestors().skip(1).any(|above| above == run.runtime()));
    left.extend(files.iter().map(|it| format!("file {}", it.display())));
    left
}

/// Waits until a spawner has as many descriptors as at its start (I3).
#[track_caller]
pub fn assert_descriptors(run: &Run, start: usize) {
    let what = format!("the spawner to have {start} descriptors again");
    eventually(PATIENCE, &what, || (usage::descriptors(run.pid()) == start).then_some(()));
}

/// Asserts the conservation law (I6) of a status: no request and no handler is lost or invented in
/// any pool.
#[track_caller]
pub fn assert_conserved(status: &Value) {
    control::pools(status).iter().for_each(assert_pool_conserved);
}

#[track_caller]
fn assert_pool_conserved(pool: &Value) {
    let total = |name: &str| {
        let number = pool["totals"][name].as_u64();
        number.unwrap_or_else(|| panic!("no number totals.{name} in {pool}"))
    };
    let requests = total("completed") + total("aborted") + total("in_flight");
    assert_eq!(total("accepted"), requests, "accepted = completed + aborted + in flight: {pool}");
    let handlers = total("exited") + total("alive");
    assert_eq!(total("spawned"), handlers, "spawned = exited + alive: {pool}");
}

fn remains(process: &Process) -> String {
    let kind = if process.is_zombie() { "unreaped zombie" } else { "process" };
    format!("{kind} {} ({}), child of {}", process.pid, process.name, process.parent)
}

fn shared(folder: &Path) -> BTreeSet<String> {
    let posix = tree(folder).into_iter().map(|it| it.display().to_string());
    posix.chain(SYSTEM_V.iter().flat_map(|kind| system_v(kind))).collect()
}

/// Kind, key and id of each object; none when the kernel was built without System V IPC.
fn system_v(kind: &str) -> Vec<String> {
    let table = fs::read_to_string(format!("/proc/sysvipc/{kind}")).unwrap_or_default();
    let name = |line: &str| line.split_whitespace().take(2).collect::<Vec<_>>().join(" ");
    table.lines().skip(1).map(|line| format!("System V {kind} {}", name(line))).collect()
}

/// Every file and folder below a folder; what vanishes meanwhile is not there.
fn tree(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    let paths = entries.map(|entry| entry.path());
    paths.flat_map(|path| if is_folder(&path) { with_own(path) } else { vec![path] }).collect()
}

fn with_own(folder: PathBuf) -> Vec<PathBuf> {
    let mut paths = tree(&folder);
    paths.insert(0, folder);
    paths
}

fn is_folder(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|it| it.is_dir())
}

fn is_socket(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|it| it.file_type().is_socket())
}
