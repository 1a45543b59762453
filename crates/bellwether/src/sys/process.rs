//! Processes: fork, exit, threads, children.

use std::io;
use std::path::Path;

use rustix::process::{Pid, WaitOptions, WaitStatus};

/// Which side of a fork this is.
#[derive(Debug)]
pub(crate) enum Fork {
    /// The new process.
    Child,
    /// The old process, and the new one's pid.
    Parent(Pid),
}

/// Duplicates the calling process.
///
/// Refuses unless the process has exactly one thread: locks that another thread holds at this
/// moment would stay locked in the child for ever. The error names the threads found.
pub(crate) fn fork() -> io::Result<Fork> {
    if !is_single() {
        let threads = thread_names();
        return Err(io::Error::other(format!(
            "cannot fork: the process has {} threads ({}); start threads only in a handler",
            threads.len(),
            threads.join(", ")
        )));
    }
    #[allow(clippy::disallowed_methods)] // this is the one place
    // SAFETY: the process has one thread (checked above where /proc is mounted, required of the
    // caller where it is not), so every lock and the heap are in a consistent state in the child,
    // which may therefore run any code.
    let pid = unsafe { libc::fork() };
    match pid {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(Fork::Child),
        pid => Ok(Fork::Parent(Pid::from_raw(pid).ok_or(io::ErrorKind::Other)?)),
    }
}

/// Tells whether this process has one thread; where /proc is not mounted it is believed to.
fn is_single() -> bool {
    // The link count of the folder is 2 and one more for each thread (proc_task_getattr).
    rustix::fs::stat("/proc/self/task").map_or(true, |folder| folder.st_nlink <= 3)
}

/// Returns the names of the threads of this process; empty where /proc is not mounted.
pub(crate) fn thread_names() -> Vec<String> {
    let Ok(tasks) = std::fs::read_dir("/proc/self/task") else { return Vec::new() };
    tasks.flatten().map(|task| thread_name(&task.path())).collect()
}

fn thread_name(task: &Path) -> String {
    std::fs::read_to_string(task.join("comm")).map_or_else(|_| "?".into(), |n| n.trim_end().into())
}

/// Ends the process at once, without running exit handlers or destructors.
///
/// A forked process must not run the exit handlers of the process it was copied from.
pub(crate) fn exit_now(code: i32) -> ! {
    // SAFETY: _exit takes any status and does not return; it touches no memory of ours.
    unsafe { libc::_exit(code) }
}

/// Returns a child that has ended and was not reaped yet: its number is still nobody else's.
pub(crate) fn ended() -> Option<Pid> {
    let mut info = std::mem::MaybeUninit::<libc::siginfo_t>::zeroed();
    let look = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    // SAFETY: the kernel writes a siginfo_t where there is room for one; WNOWAIT changes nothing.
    let answer = unsafe { libc::waitid(libc::P_ALL, 0, info.as_mut_ptr(), look) };
    // SAFETY: all-zero bytes are a valid siginfo_t, and the kernel has written a valid one if any.
    let info = unsafe { info.assume_init() };
    // SAFETY: after waitid the field says whose state has changed; zero: nobody's (waitid(2)).
    let pid = unsafe { info.si_pid() };
    if answer == 0 { Pid::from_raw(pid) } else { None }
}

/// Reaps a child that has ended.
pub(crate) fn reap(pid: Pid) -> Option<WaitStatus> {
    let reaped = rustix::process::waitpid(Some(pid), WaitOptions::NOHANG);
    reaped.ok().flatten().map(|(_, status)| status)
}

/// Waits until a child of this process has ended.
pub(crate) fn wait_for(pid: Pid) {
    let _ = status_of(pid);
}

/// Waits until a child of this process has ended, and returns how.
pub(crate) fn status_of(pid: Pid) -> Option<WaitStatus> {
    loop {
        match rustix::process::waitpid(Some(pid), WaitOptions::empty()) {
            Err(rustix::io::Errno::INTR) => {}
            ended => return ended.ok().flatten().map(|(_, status)| status),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fork_refuses_beside_other_threads_and_names_them() {
        let refusal = std::thread::Builder::new()
            .name("bystander".into())
            .spawn(|| match fork() {
                Err(error) => error.to_string(),
                Ok(Fork::Child) => exit_now(0),
                Ok(Fork::Parent(_)) => "forked".into(),
            })
            .unwrap()
            .join()
            .unwrap();
        assert!(refusal.contains("bystander"), "{refusal}");
    }
}
