//! Where a listener is bound, asked from the kernel: by that a listener that comes back is known.

use std::ffi::OsStr;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::net::{SocketAddrUnix, getsockname, sockopt};

use crate::sys::unix_diag;

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

    /// Looks at a descriptor; `None` when it does not listen.
    pub(super) fn of(socket: impl AsFd) -> Option<Self> {
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

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn where_a_listener_is_bound_is_asked_from_the_kernel() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let unix = UnixListener::bind(&path).unwrap();
        assert_eq!(Bound::of(&unix), Bound::at(&path));
        std::fs::remove_file(&path).unwrap();
        assert_eq!(Bound::at(&path), None);
        let listener = TcpListener::bind("[::1]:0").unwrap();
        let address = listener.local_addr().unwrap();
        assert_eq!(Bound::of(&listener), Some(Bound::tcp(address, false)));
        let file = std::fs::File::open("/dev/null").unwrap();
        assert_eq!(Bound::of(&file), None);
    }
}
