//! The last moment of a program, which is held: it is to take nothing more.
//!
//! Not every program hears the signal to end before it looks for the next connection; one that it
//! took then would be dropped with it.

use std::os::fd::{OwnedFd, RawFd};

use rustix::io::Errno;
use rustix::process::{
    Pid, PidfdFlags, PidfdGetfdFlags, Resource, Rlimit, pidfd_getfd, pidfd_open, prlimit,
};

use super::readiness::watches;
use crate::sys::watch::{self, Watch};

/// Takes the listeners out of what these processes wait for by epoll.
///
/// Where that is not allowed (a set-user-id program), they take their chance.
pub(crate) fn stop_waiting(pids: &[Pid], listener_inodes: &[u64]) {
    let borrowed =
        watches(pids, listener_inodes).into_iter().filter_map(|(pid, epoll, listener)| {
            let [epoll, file] = [borrow(pid, epoll).ok()?, borrow(pid, listener).ok()?];
            Some(Watch { epoll, file, number: listener })
        });
    let borrowed: Vec<_> = borrowed.collect();
    if let Err(error) = watch::end(&borrowed) {
        tracing::debug!(%error, "a program that is to end still waits for connections");
    }
}

/// Duplicates a descriptor of a process into ours (Linux 5.6).
fn borrow(pid: Pid, number: RawFd) -> Result<OwnedFd, Errno> {
    let process = pidfd_open(pid, PidfdFlags::empty())?;
    pidfd_getfd(process, number, PidfdGetfdFlags::empty())
}

/// Lets a process open nothing more, so that accept(2) fails before it takes a connection (EMFILE).
pub(crate) fn forbid_to_accept(pid: Pid) {
    let open = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let open: Vec<u64> =
        open.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    // The lowest that is free: what is open stays so, and poll(2) may have as many (EINVAL).
    let lowest = (0..).find(|number| !open.contains(number));
    // Its hard limit may be below ours, and to lower it needs no privilege.
    let limit = Rlimit { current: lowest, maximum: lowest };
    // Where that is not allowed (a set-user-id program), it takes its chance.
    let _ = prlimit(Some(pid), Resource::Nofile, limit);
}
