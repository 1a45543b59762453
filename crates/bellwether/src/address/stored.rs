//! Listeners of our own that come back: the service manager kept them while there was no spawner.
//!
//! What waited in their buffers waits there still. They are ours as if they had just been opened.

use std::ffi::OsStr;
use std::net::SocketAddr;
use std::os::fd::{OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use rustix::net::{SocketAddrUnix, getsockname, sockopt};

use super::inherit::Passed;
use crate::error::{Doing, Result};
use crate::sys::{descriptors, socket, unix_diag};

/// Where a listener is bound, as far as two can be told apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Bound {
    /// An address and port; for all of IPv6 whether it is for IPv6 alone.
    Tcp(SocketAddr, bool),
    /// A path, and the inode of the socket file there.
    Path(PathBuf, u32),
    /// A name in the abstract namespace.
    Abstract(Vec<u8>),
}

impl Bound {
    pub(super) fn tcp(address: SocketAddr, v6only: bool) -> Self {
        // An address that is not all of IPv6 has no IPv4 mapped into it, whatever the option says.
        Self::Tcp(address, v6only && address.is_ipv6() && address.ip().is_unspecified())
    }

    /// The socket file at a path, if there is any.
    pub(super) fn at(path: &Path) -> Option<Self> {
        let file = std::fs::symlink_metadata(path).ok()?;
        // The kernel tells 32 bits of the inode (struct unix_diag_vfs).
        let inode = u32::try_from(file.ino() & u64::from(u32::MAX)).ok()?;
        Some(Self::Path(path.into(), inode))
    }

    /// Looks at a descriptor; `None` when it does not listen, or is not open.
    fn of(fd: RawFd) -> Option<Self> {
        let socket = descriptors::duplicate(fd).ok()?;
        if !sockopt::socket_acceptconn(&socket).ok()? {
            return None;
        }
        let name = getsockname(&socket).ok()?;
        if let Ok(address) = SocketAddr::try_from(name.clone()) {
            return Some(Self::tcp(address, sockopt::ipv6_v6only(&socket).unwrap_or(false)));
        }
        let name = SocketAddrUnix::try_from(name).ok()?;
        match (name.path(), name.abstract_name()) {
            (Some(path), _) => {
                let path = Path::new(OsStr::from_bytes(path.to_bytes())).into();
                Some(Self::Path(path, unix_diag::file_inode(&socket).ok()?))
            }
            (_, Some(name)) => Some(Self::Abstract(name.into())),
            _ => None,
        }
    }
}

/// Takes back the stored listener that is bound there, if there is one, and makes it as new.
pub(super) fn stored_for(wanted: &Bound) -> Result<Option<OwnedFd>> {
    let Ok(passed) = Passed::from_environment() else { return Ok(None) };
    let bound = passed.stored().map(|(fd, _)| (fd, Bound::of(fd)));
    let Some(listener) = choose(wanted, bound).and_then(descriptors::take) else { return Ok(None) };
    let flags = rustix::fs::fcntl_getfl(&listener).doing("read the flags of a stored listener")?;
    rustix::fs::fcntl_setfl(&listener, flags | OFlags::NONBLOCK).doing("set O_NONBLOCK")?;
    if matches!(wanted, Bound::Tcp(..)) {
        reset_tcp(&listener)?;
    }
    Ok(Some(listener))
}

fn choose(
    wanted: &Bound,
    mut stored: impl Iterator<Item = (RawFd, Option<Bound>)>,
) -> Option<RawFd> {
    stored.find(|(_, bound)| bound.as_ref() == Some(wanted)).map(|(fd, _)| fd)
}

/// Takes, to be closed, the stored listeners that no address has claimed, with their names.
pub(crate) fn unclaimed() -> Vec<(String, OwnedFd)> {
    let Ok(passed) = Passed::from_environment() else { return Vec::new() };
    let sockets = passed.stored().filter(|(fd, _)| is_socket(*fd));
    sockets.filter_map(|(fd, name)| Some((name.into(), descriptors::take(fd)?))).collect()
}

/// Returns the numbers of the stored listeners that no address has claimed so far.
pub(crate) fn unclaimed_numbers() -> Vec<RawFd> {
    let Ok(passed) = Passed::from_environment() else { return Vec::new() };
    let numbers = passed.stored().map(|(fd, _)| fd);
    numbers.filter(|fd| !descriptors::was_taken(*fd) && is_socket(*fd)).collect()
}

fn is_socket(fd: RawFd) -> bool {
    descriptors::duplicate(fd).is_ok_and(|fd| sockopt::socket_type(&fd).is_ok())
}

/// Undoes what a predecessor may have set: a closed door, deferred accept.
fn reset_tcp(listener: &OwnedFd) -> Result<()> {
    socket::admit_new(listener).doing("open the door of a stored listener")?;
    socket::defer_accept(listener, 0).doing("reset TCP_DEFER_ACCEPT")
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixListener;

    use super::*;

    fn tcp(text: &str, alone: bool) -> Bound {
        Bound::tcp(text.parse().unwrap(), alone)
    }

    #[test]
    fn a_stored_listener_serves_the_address_where_it_is_bound_and_no_other() {
        let path = |text: &str, inode| Bound::Path(text.into(), inode);
        let stored = [
            None,
            Some(tcp("127.0.0.1:80", false)),
            Some(tcp("[::]:80", false)),
            Some(path("/run/x", 7)),
            Some(Bound::Abstract(b"x".into())),
        ];
        let check = |wanted: Bound, expected: Option<RawFd>| {
            let stored = (3..).zip(stored.iter().cloned());
            assert_eq!(choose(&wanted, stored), expected, "{wanted:?}");
        };
        check(tcp("127.0.0.1:80", false), Some(4));
        check(tcp("127.0.0.1:81", false), None);
        check(tcp("127.0.0.2:80", false), None);
        check(tcp("[::]:80", false), Some(5));
        check(tcp("[::]:80", true), None);
        check(path("/run/x", 7), Some(6));
        check(path("/run/x", 8), None);
        check(path("x", 7), None);
        check(Bound::Abstract(b"x".into()), Some(7));
    }

    #[test]
    fn where_a_listener_is_bound_is_asked_from_the_kernel() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let unix = UnixListener::bind(&path).unwrap();
        assert_eq!(Bound::of(unix.as_raw_fd()), Bound::at(&path));
        std::fs::remove_file(&path).unwrap();
        assert_eq!(Bound::at(&path), None);
        let listener = TcpListener::bind("[::1]:0").unwrap();
        let address = listener.local_addr().unwrap();
        assert_eq!(Bound::of(listener.as_raw_fd()), Some(Bound::tcp(address, false)));
        let file = std::fs::File::open("/dev/null").unwrap();
        assert_eq!(Bound::of(file.as_raw_fd()), None);
    }

    #[test]
    fn nothing_is_taken_where_nothing_was_stored() {
        assert!(stored_for(&tcp("127.0.0.1:80", false)).unwrap().is_none());
        assert!(unclaimed().is_empty());
    }
}
