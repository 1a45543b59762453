//! Listeners on their way to a successor in the same process: what it must know beside the socket.

use std::net::SocketAddr;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::open::set_tcp_options;
use super::unix::SocketFile;
use super::{Address, Defaults, Kind, Listener};
use crate::error::{Doing, Error, Result};
use crate::sys::{descriptors, socket};

/// The variable that names the descriptor of what a predecessor in this process has left.
pub(crate) const BATON: &str = "BELLWETHER_BATON";

/// The variable that names the descriptor at which a rehearsing program says that it can go on.
pub(crate) const REHEARSAL: &str = "BELLWETHER_REHEARSAL";

/// A listener as its successor finds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ListenerState {
    pub(crate) fd: RawFd,
    address: String,
    source: String,
    nth: usize,
    tcp: bool,
    place: Option<SocketAddr>,
    overflows_before: Option<u64>,
    inherited: bool,
    file: Option<FileState>,
}

/// A socket file as a successor finds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct FileState {
    pub(super) path: PathBuf,
    /// Device and inode.
    pub(super) identity: (u64, u64),
    /// Who may remove it; an exec keeps the pid, and who only rehearses has another.
    pub(super) owner: i32,
}

impl Listener {
    /// Describes the listener for a successor that finds its descriptor open.
    pub(crate) fn state(&self) -> ListenerState {
        ListenerState {
            fd: self.fd.as_raw_fd(),
            address: self.address.clone(),
            source: self.source.to_string(),
            nth: self.nth,
            tcp: self.kind == Kind::Tcp,
            place: self.place,
            overflows_before: self.overflows_before,
            inherited: self.inherited,
            file: self.file.as_ref().map(SocketFile::state),
        }
    }
}

impl ListenerState {
    /// Tells whether this is what the `nth` address with this place would open.
    fn is_for(&self, address: &Address, nth: usize) -> bool {
        let source = self.source.parse::<Address>();
        self.nth == nth && source.is_ok_and(|source| source.place == address.place)
    }

    /// Takes the listener over as it is.
    pub(crate) fn resume(self) -> Result<Listener> {
        let source: Address = self.source.parse()?;
        let gone = |_| Error::open(&self.address, "its descriptor was not handed over");
        let fd = descriptors::duplicate(self.fd).map_err(gone)?;
        let listener = Listener {
            fd,
            address: self.address,
            backlog: if self.inherited {
                source.options.backlog
            } else {
                Some(source.options.backlog.unwrap_or(super::open::BACKLOG))
            },
            source,
            nth: self.nth,
            kind: if self.tcp { Kind::Tcp } else { Kind::Unix },
            place: self.place,
            overflows_before: self.overflows_before,
            granted: None,
            left_alone: false,
            in_use: true,
            inherited: self.inherited,
            file: self.file.map(SocketFile::resume),
        };
        Ok(listener.remember_limit())
    }

    /// Takes the listener over for an address whose options may have changed.
    fn resume_for(self, address: &Address, defaults: Defaults) -> Result<Listener> {
        let mut listener = self.resume()?;
        let rehearses = std::env::var_os(REHEARSAL).is_some();
        if listener.source.options == address.options || rehearses {
            return Ok(listener);
        }
        if listener.kind == Kind::Tcp {
            // What the new options leave open must not stay as the old ones had it.
            socket::defer_accept(&listener.fd, 0).doing("set TCP_DEFER_ACCEPT")?;
            set_tcp_options(&listener.fd, &address.options, defaults)?;
        }
        if let (Some(mode), Some(file)) = (address.options.mode, &listener.file) {
            let mode = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(file.path(), mode).doing("set the mode of a socket file")?;
        }
        if !listener.inherited {
            listener.backlog = Some(address.options.backlog.unwrap_or(super::open::BACKLOG));
            listener.listen().doing("set a backlog")?;
        }
        listener.source = address.clone();
        Ok(listener.remember_limit())
    }
}

/// Takes the listeners for an address out of those that a predecessor has left.
pub(super) fn kept_for(
    address: &Address,
    nth: usize,
    defaults: Defaults,
    kept: &mut Vec<ListenerState>,
) -> Result<Vec<Listener>> {
    let (ours, others) = kept.drain(..).partition(|state| state.is_for(address, nth));
    *kept = others;
    let ours: Vec<ListenerState> = ours;
    ours.into_iter().map(|state| state.resume_for(address, defaults)).collect()
}
