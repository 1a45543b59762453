//! Listeners that nobody holds any more but the handlers of a dead spawner: found, named, taken.
//!
//! The kernel keeps a listening socket for as long as one process has it. Handlers whose spawner
//! was killed have it for their orphan grace; `pidfd_getfd(2)` gives a successor the same socket,
//! with the same buffer and all that waits in it.

use std::collections::BTreeSet;
use std::fs;
use std::os::fd::{OwnedFd, RawFd};

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};

use super::Address;
use super::bound::Bound;

/// How the name of a handler begins (comm of proc_pid_comm(5)).
pub(crate) const HANDLER: &str = "bw:handler";

/// The name of a template.
pub(crate) const TEMPLATE: &str = "bw:template";

/// No process of a program is looked for that is further from its handler.
const MOST_BETWEEN: usize = 64;

/// What became of the search for a listener among orphans.
enum Found {
    /// It is here; its holders are named.
    Listener(OwnedFd, Vec<i32>),
    /// Nobody is known to have it, but into this orphan the kernel does not let us look.
    Closed(i32, Errno),
    /// No orphan has it.
    Nothing,
}

/// Takes the listener that is bound there out of an orphaned handler.
pub(super) fn take(address: &Address, wanted: &Bound) -> Option<OwnedFd> {
    let Found::Listener(listener, holders) = find(wanted) else { return None };
    tracing::info!(
        "{address}: taken over from orphaned handlers of a dead server ({})",
        named(&holders)
    );
    Some(listener)
}

/// Tells whether there is any handler whose spawner has died.
pub(super) fn any() -> bool {
    !all(&relatives()).is_empty()
}

/// Says of an address in use that orphans have it, and what to try, if they do.
pub(super) fn blame(wanted: &Bound) -> Option<String> {
    match find(wanted) {
        Found::Listener(_, holders) => Some(format!(
            "orphaned handlers of a dead server have it ({}): start with --take-over, or wait \
             until they have left (by default 10 s after its death)",
            named(&holders)
        )),
        Found::Closed(holder, errno) => Some(format!(
            "another process has it, perhaps an orphaned handler of a dead server (process \
             {holder}), into which the kernel does not let us look: {}; start as root, or with \
             CAP_SYS_PTRACE, or with kernel.yama.ptrace_scope at 0; or wait until it has left (by \
             default 10 s after the death of its server)",
            std::io::Error::from(errno)
        )),
        Found::Nothing => None,
    }
}

fn named(holders: &[i32]) -> String {
    let first = holders.first().map(ToString::to_string).unwrap_or_default();
    format!("process {first}{}", if holders.len() > 1 { ", …" } else { "" })
}

fn find(wanted: &Bound) -> Found {
    let relatives = relatives();
    let orphans = all(&relatives);
    let mut closed = None;
    let mut seen = BTreeSet::new();
    for orphan in &orphans {
        for &(fd, inode) in &orphan.sockets {
            if !seen.insert(inode) {
                continue;
            }
            match borrowed(orphan.pid, fd) {
                Ok(socket) if Bound::of(&socket).as_ref() == Some(wanted) => {
                    return if is_held_by_others(inode, &relatives) {
                        Found::Nothing
                    } else {
                        Found::Listener(socket, holders(&orphans, inode))
                    };
                }
                // It has closed it, or ended, meanwhile; or it is not what is wanted.
                Ok(_) | Err(Errno::BADF | Errno::SRCH) => {}
                Err(errno) => closed = closed.or(Some((orphan.pid, errno))),
            }
        }
    }
    closed.map_or(Found::Nothing, |(pid, errno)| Found::Closed(pid, errno))
}

fn holders(orphans: &[&Relative], inode: u64) -> Vec<i32> {
    let holding = orphans.iter().filter(|it| it.has(inode));
    holding.map(|orphan| orphan.pid).collect()
}

/// Duplicates a descriptor of another process into ours (pidfd_getfd(2), Linux 5.6).
fn borrowed(pid: i32, fd: RawFd) -> Result<OwnedFd, Errno> {
    let pid = Pid::from_raw(pid).ok_or(Errno::SRCH)?;
    let process = pidfd_open(pid, PidfdFlags::empty())?;
    pidfd_getfd(process, fd, PidfdGetfdFlags::empty())
}

/// A process of ours that has the name of a handler or a template.
#[derive(Clone, Debug)]
struct Relative {
    pid: i32,
    parent: i32,
    /// Number and inode of its sockets.
    sockets: Vec<(RawFd, u64)>,
}

impl Relative {
    /// Reads what /proc tells; `None` when it is another kind of process, or another user's.
    fn find(pid: i32) -> Option<Self> {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let name = status.lines().next()?.strip_prefix("Name:\t")?;
        let own = rustix::process::getuid().as_raw().to_string();
        if !name.starts_with(HANDLER) && name != TEMPLATE || field(&status, "Uid:")? != own {
            return None;
        }
        Some(Self { pid, parent: field(&status, "PPid:")?.parse().ok()?, sockets: sockets_of(pid) })
    }

    fn has(&self, inode: u64) -> bool {
        self.sockets.iter().any(|(_, its)| *its == inode)
    }

    /// A spawner that lives is the parent of its handlers and has their listeners.
    fn is_orphaned(&self) -> bool {
        !sockets_of(self.parent).iter().any(|(_, inode)| self.has(*inode))
    }
}

fn relatives() -> Vec<Relative> {
    pids().filter_map(Relative::find).collect()
}

fn all(relatives: &[Relative]) -> Vec<&Relative> {
    relatives.iter().filter(|it| it.is_orphaned()).collect()
}

/// Tells whether a process has a socket too that is neither handler nor template, nor the program of
/// a handler.
fn is_held_by_others(inode: u64, relatives: &[Relative]) -> bool {
    let own = rustix::process::getpid().as_raw_pid();
    let strangers = pids().filter(|pid| *pid != own && relatives.iter().all(|it| it.pid != *pid));
    let holds = |pid: &i32| sockets_of(*pid).iter().any(|(_, its)| *its == inode);
    strangers.filter(holds).any(|pid| !descends(pid, relatives))
}

/// Tells whether a process comes of one of these.
fn descends(pid: i32, relatives: &[Relative]) -> bool {
    let parent = |pid: &i32| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        field(&status, "PPid:")?.parse().ok()
    };
    let ancestors = std::iter::successors(Some(pid), parent);
    ancestors.take(MOST_BETWEEN).any(|pid| relatives.iter().any(|it| it.pid == pid))
}

/// The first word behind a name in /proc/PID/status (proc_pid_status(5)).
fn field<'a>(status: &'a str, name: &str) -> Option<&'a str> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()
}

fn pids() -> impl Iterator<Item = i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// The sockets of a process above standard error, which parent and child often share.
fn sockets_of(pid: i32) -> Vec<(RawFd, u64)> {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let socket = |entry: fs::DirEntry| {
        let fd = entry.file_name().to_str()?.parse().ok().filter(|fd| *fd > 2)?;
        Some((fd, inode_in(fs::read_link(entry.path()).ok()?.to_str()?)?))
    };
    entries.filter_map(socket).collect()
}

/// Reads `socket:[4711]` (proc_pid_fd(5)).
fn inode_in(link: &str) -> Option<u64> {
    link.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::os::fd::AsRawFd;

    use super::*;

    #[test]
    fn a_socket_is_known_by_its_link() {
        assert_eq!(inode_in("socket:[4711]"), Some(4711));
        for other in ["pipe:[4711]", "/dev/null", "socket:[]", "socket:[1"] {
            assert_eq!(inode_in(other), None, "{other}");
        }
    }

    #[test]
    fn the_sockets_of_a_process_are_listed_with_their_inodes() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let inode = rustix::fs::fstat(&listener).unwrap().st_ino;
        let own = rustix::process::getpid().as_raw_pid();
        assert!(sockets_of(own).contains(&(listener.as_raw_fd(), inode)));
    }

    #[test]
    fn a_listener_of_a_process_that_is_no_handler_is_not_taken() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let wanted = Bound::of(&listener).unwrap();
        assert!(matches!(find(&wanted), Found::Nothing));
        assert_eq!(blame(&wanted), None);
    }

    #[test]
    fn holders_are_named_by_the_first() {
        assert_eq!(named(&[7]), "process 7");
        assert_eq!(named(&[7, 8]), "process 7, …");
    }
}
