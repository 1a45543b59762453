//! Processes that a program has left behind, known by a mark in their environment.
//!
//! A warden is the sub-reaper of all that its program starts, and ends it, however far it has gone from
//! its group and session. When the warden itself is killed, its strays come to the spawner as their parents
//! end. Among the spawner's children only those of dead wardens have the mark; a process can forge
//! it, and have itself ended.

use std::fs::File;
use std::io::Read;

use rustix::process::{Pid, getpid};

use super::family::children_of;

/// The variable that a program is started with; its value is the pid of the spawner.
pub(super) const MARK: &str = "BELLWETHER_SPAWNER";

/// So much of an environment is read; the mark is near its start, for a program's variables are sorted.
const MOST: usize = 256 << 10;

/// A child that is none of those that are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stray {
    /// A program of ours has started it.
    Ours(Pid),
    /// It has ended or is about to, and its children are ours then; or we may not look into it.
    Ending,
}

/// Finds strays among the children of this process that are not known.
pub(crate) fn strays(is_known: impl Fn(Pid) -> bool) -> Vec<Stray> {
    let own = getpid();
    let mark = format!("{MARK}={}", own.as_raw_pid());
    let unknown = children_of(own).into_iter().filter(|pid| !is_known(*pid));
    unknown.filter_map(|pid| classify(pid, &environment(pid), &mark)).collect()
}

fn classify(pid: Pid, environment: &[u8], mark: &str) -> Option<Stray> {
    if environment.is_empty() {
        return Some(Stray::Ending);
    }
    let is_marked = environment.split(|byte| *byte == 0).any(|it| it == mark.as_bytes());
    is_marked.then_some(Stray::Ours(pid))
}

/// What a process was started with; nothing once its memory is gone, or where we may not look.
///
/// One call: between two the memory may go, and half an environment would look like a whole one. The
/// kernel reads nothing there that it would have to wait for (a file, a mapping of FUSE's; Linux 4.17).
fn environment(pid: Pid) -> Vec<u8> {
    let mut bytes = vec![0; MOST];
    let read = File::open(format!("/proc/{pid}/environ")).and_then(|mut it| it.read(&mut bytes));
    // Of a process without memory kernels say ESRCH, EACCES or that it is empty.
    bytes.truncate(read.unwrap_or_default());
    bytes
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use rustix::process::{WaitId, WaitIdOptions, waitid};

    use super::*;

    #[test]
    fn whoever_has_the_mark_is_ours() {
        let pid = getpid();
        let check = |environment: &[u8], expected| {
            assert_eq!(classify(pid, environment, "M=7"), expected, "{environment:?}");
        };
        check(b"A=1\0M=7\0B=2\0", Some(Stray::Ours(pid)));
        check(b"M=7", Some(Stray::Ours(pid)));
        check(b"M=77\0", None);
        check(b"XM=7\0M=6\0", None);
        check(b"", Some(Stray::Ending));
    }

    #[test]
    fn a_child_without_the_mark_is_somebody_elses() {
        let start = |mark: &str| Command::new("sleep").arg("1000").env(MARK, mark).spawn().unwrap();
        let own = getpid().as_raw_pid().to_string();
        let mut children = [start(&own), start("1")];
        let [ours, others] = [0, 1].map(|i| Pid::from_child(&children[i]));
        // Other tests have children, too.
        let found = |is_known: &dyn Fn(Pid) -> bool| {
            let of_these = [Stray::Ours(ours), Stray::Ours(others)];
            strays(is_known).into_iter().filter(|it| of_these.contains(it)).collect::<Vec<_>>()
        };
        assert_eq!(found(&|_| false), [Stray::Ours(ours)]);
        assert_eq!(found(&|pid| pid == ours), []);
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        for child in &mut children {
            child.kill().unwrap();
            waitid(WaitId::Pid(Pid::from_child(child)), look).unwrap();
            assert!(environment(Pid::from_child(child)).is_empty(), "it has ended");
            child.wait().unwrap();
        }
    }
}
