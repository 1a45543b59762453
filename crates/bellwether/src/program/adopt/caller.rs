//! The process that made a call, as far as the kernel lets us look into it.
//!
//! Whoever started a program may look into it: the spawner is an ancestor of all who call, which
//! satisfies even Yama's restricted ptrace (kernel.yama.ptrace_scope 1).

use std::fs;
use std::os::fd::{AsFd, OwnedFd, RawFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketType, ipproto, sockopt};
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};

/// A thread that waits in the kernel for our answer, and its process.
#[derive(Clone, Copy, Debug)]
pub(super) struct Caller {
    thread: Pid,
    pub(super) process: Pid,
}

/// What a descriptor of the caller is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// A TCP socket (or one of several paths, MPTCP, which Go asks for) that does not listen.
    Tcp,
    /// A Unix stream socket that does not listen.
    Unix,
    /// Something else: of datagrams, of another protocol, listening already, no socket at all.
    Other,
    /// The kernel does not let us look.
    Unseen,
}

impl Caller {
    pub(super) fn of(thread: Pid) -> Option<Self> {
        let status = fs::read_to_string(format!("/proc/{thread}/status")).ok()?;
        let tgid = status.lines().find_map(|line| line.strip_prefix("Tgid:"))?;
        Some(Self { thread, process: Pid::from_raw(tgid.trim().parse().ok()?)? })
    }

    pub(super) fn look_at(&self, fd: RawFd) -> Found {
        match self.borrow(fd) {
            Ok(socket) => kind_of(socket).unwrap_or(Found::Other),
            Err(Errno::BADF) => Found::Other,
            Err(_) => Found::Unseen,
        }
    }

    /// Duplicates a descriptor of the process into ours (Linux 5.6).
    fn borrow(&self, fd: RawFd) -> Result<OwnedFd, Errno> {
        if fd < 0 {
            return Err(Errno::BADF);
        }
        let process = pidfd_open(self.process, PidfdFlags::empty())?;
        pidfd_getfd(process, fd, PidfdGetfdFlags::empty())
    }

    /// Tells whether its descriptor is this very socket.
    pub(super) fn has(&self, fd: RawFd, socket: impl AsFd) -> bool {
        let theirs = fs::metadata(self.entry("fd", fd)).map(|it| (it.dev(), it.ino()));
        let ours = rustix::fs::fstat(socket).map(|it| (it.st_dev, it.st_ino));
        matches!((theirs, ours), (Ok(theirs), Ok(ours)) if theirs == ours)
    }

    /// How its descriptor is open: O_NONBLOCK of the socket, O_CLOEXEC of this very descriptor.
    ///
    /// A duplicate would tell the former alone; where /proc says nothing, it is as `socket(2)` makes it.
    pub(super) fn flags(&self, fd: RawFd) -> OFlags {
        let text = fs::read_to_string(self.entry("fdinfo", fd)).unwrap_or_default();
        let octal = text.lines().find_map(|line| line.strip_prefix("flags:"));
        let bits = octal.and_then(|octal| u32::from_str_radix(octal.trim(), 8).ok());
        OFlags::from_bits_retain(bits.unwrap_or_default())
    }

    /// Tells whether a path of the caller leads where a path of ours does; where it is relative, from
    /// a folder that it has open (or `AT_FDCWD`).
    ///
    /// Names first, so that a program cannot make us look into folders of its choice in vain.
    pub(super) fn means(&self, folder: RawFd, theirs: &Path, ours: &Path) -> bool {
        let same_name = theirs.file_name().is_some() && theirs.file_name() == ours.file_name();
        same_name && {
            let folder = folder_of(&self.seen_from_here(folder, theirs));
            folder.is_some() && folder == folder_of(ours)
        }
    }

    /// A path of the caller, which may have another root and works in a folder of its own.
    fn seen_from_here(&self, folder: RawFd, path: &Path) -> PathBuf {
        let own = PathBuf::from(format!("/proc/{}", self.thread));
        match path.strip_prefix("/") {
            Ok(below_root) => own.join("root").join(below_root),
            Err(_) if folder == libc::AT_FDCWD => own.join("cwd").join(path),
            Err(_) => PathBuf::from(self.entry("fd", folder)).join(path),
        }
    }

    /// A path of the caller from the root on.
    pub(super) fn absolute(&self, path: &Path) -> PathBuf {
        let folder = fs::read_link(format!("/proc/{}/cwd", self.thread)).unwrap_or_default();
        folder.join(path)
    }

    fn entry(&self, folder: &str, fd: RawFd) -> String {
        format!("/proc/{}/{folder}/{fd}", self.thread)
    }
}

fn kind_of(socket: OwnedFd) -> Result<Found, Errno> {
    if sockopt::socket_type(&socket)? != SocketType::STREAM || sockopt::socket_acceptconn(&socket)?
    {
        return Ok(Found::Other);
    }
    // Streams of another protocol (SCTP) are no TCP, whatever their port.
    let is_tcp = matches!(sockopt::socket_protocol(&socket)?, Some(ipproto::TCP | ipproto::MPTCP));
    Ok(match sockopt::socket_domain(&socket)? {
        AddressFamily::INET | AddressFamily::INET6 if is_tcp => Found::Tcp,
        AddressFamily::UNIX => Found::Unix,
        _ => Found::Other,
    })
}

/// The folder that a path leads through to its last name, known by device and inode.
fn folder_of(path: &Path) -> Option<(u64, u64)> {
    let folder = path.parent()?;
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    fs::metadata(folder).ok().map(|found| (found.dev(), found.ino()))
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, UdpSocket};
    use std::os::fd::AsRawFd;
    use std::os::unix::net::{UnixListener, UnixStream};

    use rustix::net::SocketFlags;

    use super::*;

    /// This thread, seen as any other would be.
    fn own() -> Caller {
        Caller::of(rustix::thread::gettid()).unwrap()
    }

    #[test]
    fn a_thread_leads_to_its_process() {
        assert_eq!(own().process, rustix::process::getpid());
        assert!(Caller::of(Pid::from_raw(i32::MAX).unwrap()).is_none());
    }

    #[test]
    fn only_stream_sockets_that_do_not_listen_are_of_interest() {
        let check = |socket: &dyn AsRawFd, expected| {
            assert_eq!(own().look_at(socket.as_raw_fd()), expected);
        };
        let flags = SocketFlags::CLOEXEC;
        for family in [AddressFamily::INET, AddressFamily::INET6] {
            if let Ok(fresh) = rustix::net::socket_with(family, SocketType::STREAM, flags, None) {
                check(&fresh, Found::Tcp);
            }
        }
        check(&UnixStream::pair().unwrap().0, Found::Unix);
        check(&TcpListener::bind("127.0.0.1:0").unwrap(), Found::Other);
        check(&UdpSocket::bind("127.0.0.1:0").unwrap(), Found::Other);
        check(&fs::File::open("/dev/null").unwrap(), Found::Other);
        check(&1_000_000, Found::Other);
        check(&-1, Found::Other);
    }

    #[test]
    fn flags_are_those_of_the_descriptor() {
        let socket = |flags| {
            rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None).unwrap()
        };
        let fast = socket(SocketFlags::NONBLOCK | SocketFlags::CLOEXEC);
        assert!(own().flags(fast.as_raw_fd()).contains(OFlags::NONBLOCK | OFlags::CLOEXEC));
        let kept = socket(SocketFlags::NONBLOCK);
        assert!(!own().flags(kept.as_raw_fd()).contains(OFlags::CLOEXEC));
        assert!(own().flags(1_000_000).is_empty());
    }

    #[test]
    fn a_socket_is_known_behind_any_descriptor() {
        let (one, other) = UnixStream::pair().unwrap();
        let copy = one.try_clone().unwrap();
        assert!(own().has(copy.as_raw_fd(), &one) && !own().has(other.as_raw_fd(), &one));
    }

    fn means(theirs: &Path, ours: &Path) -> bool {
        own().means(libc::AT_FDCWD, theirs, ours)
    }

    #[test]
    fn paths_are_compared_by_the_folder_they_lead_to() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let _listener = UnixListener::bind(&path).unwrap();
        let alias = folder.path().join("alias");
        std::os::unix::fs::symlink(folder.path(), &alias).unwrap();
        assert!(means(&path, &path) && means(&alias.join("s"), &path));
        assert!(!means(&folder.path().join("t"), &path));
        assert!(!means(Path::new("s"), &path) && means(Path::new("s"), Path::new("s")));
        assert!(!means(Path::new("/"), &path) && !means(Path::new(""), &path));
        let opened = fs::File::open(folder.path()).unwrap();
        let from = |name: &str| own().means(opened.as_raw_fd(), Path::new(name), &path);
        assert!(from("s") && !from("t") && from("./s"));
        let here = std::env::current_dir().unwrap();
        assert_eq!(own().absolute(Path::new("s")), here.join("s"));
    }
}
