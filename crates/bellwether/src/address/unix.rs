//! Unix stream sockets: stale files replaced, live ones refused, other files left alone.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, Mode, flock};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix};

use super::bound::Bound;
use super::handover::FileState;
use super::listener::Kind;
use super::open::{BACKLOG, refused, refused_at, stream_socket};
use super::returning::returning;
use super::{Address, Listener, orphans};
use crate::error::{Doing, Error, Result};

/// The longest path that fits into `sockaddr_un` with its final NUL (unix(7)).
const LONGEST: usize = 107;

/// A socket file that this process has made or taken charge of, known by device and inode.
#[derive(Debug)]
pub(crate) struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
    /// Only the process that made the file removes it; its forked children do not. `None`: it came
    /// back with its listener, and whoever serves there has not taken charge yet.
    owner: Option<rustix::process::Pid>,
}

impl SocketFile {
    fn of(path: &Path) -> Option<Self> {
        let found = std::fs::symlink_metadata(path).ok()?;
        let identity = (found.dev(), found.ino());
        Some(Self { path: path.into(), identity, owner: None })
    }

    /// Takes charge of the file.
    pub(super) fn claim(&mut self) {
        self.owner = Some(rustix::process::getpid());
    }

    /// Describes the file for a successor in this process.
    pub(super) fn state(&self) -> FileState {
        let (path, identity) = (self.path.clone(), self.identity);
        FileState { path, identity, owner: self.owner.map_or(0, rustix::process::Pid::as_raw_pid) }
    }

    /// Takes the file over from a predecessor.
    pub(super) fn resume(state: FileState) -> Self {
        let owner = rustix::process::Pid::from_raw(state.owner);
        Self { path: state.path, identity: state.identity, owner }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Removes the file, unless somebody has put another in its place.
    pub(super) fn remove(&self) {
        let still = std::fs::symlink_metadata(&self.path)
            .is_ok_and(|found| (found.dev(), found.ino()) == self.identity);
        if still && Some(rustix::process::getpid()) == self.owner {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        self.remove();
    }
}

pub(super) fn open_path(address: &Address, path: &Path, take_over: bool) -> Result<Listener> {
    if path.as_os_str().len() > LONGEST {
        let length = path.as_os_str().len();
        let problem = format!(
            "the path has {length} bytes, but a socket's path has at most {LONGEST}; choose a shorter one"
        );
        return Err(Error::configure(address, problem));
    }
    let name = SocketAddrUnix::new(path).map_err(|errno| refused(address, errno))?;
    let _guard = lock_folder(address, path)?;
    if let Some(bound) = Bound::at(path)
        && let Some(fd) = returning(address, &bound, take_over)?
    {
        if let Some(mode) = address.options.mode {
            rustix::fs::chmod(path, Mode::from(mode)).doing("set the mode of a socket file")?;
        }
        return listen(address, fd, format!("unix:{}", path.display()), SocketFile::of(path));
    }
    clear_stale(address, path, &name)?;
    let fd = stream_socket(AddressFamily::UNIX)?;
    // The umask decides the mode at birth, so that nobody slips in between bind and chmod.
    let mask = address.options.mode.map(|mode| rustix::process::umask(Mode::from(!mode & 0o777)));
    let bound = rustix::net::bind(&fd, &name);
    mask.map(rustix::process::umask);
    bound.map_err(|errno| cannot_bind(address, path, errno))?;
    let mut file = SocketFile::of(path);
    file.iter_mut().for_each(SocketFile::claim);
    listen(address, fd, format!("unix:{}", path.display()), file)
}

pub(super) fn open_abstract(address: &Address, name: &str, take_over: bool) -> Result<Listener> {
    let socket_name = SocketAddrUnix::new_abstract_name(name.as_bytes()).map_err(|_| {
        Error::configure(address, format!("an abstract name has at most {LONGEST} bytes"))
    })?;
    let wanted = Bound::Abstract(name.into());
    let ours = returning(address, &wanted, take_over)?;
    let fd = ours.map_or_else(|| bound_new(address, &socket_name, &wanted), Ok)?;
    listen(address, fd, format!("unix:@{name}"), None)
}

fn bound_new(address: &Address, name: &SocketAddrUnix, wanted: &Bound) -> Result<OwnedFd> {
    let fd = stream_socket(AddressFamily::UNIX)?;
    rustix::net::bind(&fd, name).map_err(|errno| refused_at(address, wanted, errno))?;
    Ok(fd)
}

fn listen(
    address: &Address,
    fd: OwnedFd,
    text: String,
    file: Option<SocketFile>,
) -> Result<Listener> {
    let backlog = Some(address.options.backlog.unwrap_or(BACKLOG));
    let listener = Listener {
        in_use: super::open::is_in_use(&fd),
        fd,
        address: text,
        source: address.clone(),
        nth: 0,
        kind: Kind::Unix,
        place: None,
        backlog,
        overflows_before: None,
        granted: None,
        left_alone: false,
        inherited: false,
        file,
    };
    listener.listen().doing("listen on a Unix socket")?;
    Ok(listener)
}

/// Holds other starters off while we look at the path and bind; gone when dropped.
///
/// A folder that cannot be read cannot be locked; then the kernel's own check must do.
fn lock_folder(address: &Address, path: &Path) -> Result<Option<File>> {
    let folder =
        path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    let Ok(folder) = File::open(folder) else { return Ok(None) };
    match flock(&folder, FlockOperation::NonBlockingLockExclusive) {
        Err(Errno::AGAIN) => {
            Err(Error::open(address, "another process is just opening a socket there; try again"))
        }
        _ => Ok(Some(folder)),
    }
}

fn clear_stale(address: &Address, path: &Path, name: &SocketAddrUnix) -> Result<()> {
    let Ok(found) = std::fs::symlink_metadata(path) else { return Ok(()) };
    if !found.file_type().is_socket() {
        let problem = "there is a file that is not a socket; it is left alone, choose another path";
        return Err(Error::configure(address, problem));
    }
    let probe = stream_socket(AddressFamily::UNIX)?;
    match rustix::net::connect(&probe, name) {
        Err(Errno::CONNREFUSED | Errno::NOENT) => {
            let _ = std::fs::remove_file(path); // a failure shows as "in use" at bind
            Ok(())
        }
        // A full buffer answers EAGAIN: somebody listens.
        Ok(()) | Err(Errno::AGAIN) => {
            let orphans = Bound::at(path).and_then(|wanted| orphans::blame(&wanted));
            let other = || "another process listens on it; stop it or choose another path".into();
            Err(Error::open(address, orphans.unwrap_or_else(other)))
        }
        Err(errno) => Err(cannot_bind(address, path, errno)),
    }
}

fn cannot_bind(address: &Address, path: &Path, errno: Errno) -> Error {
    let folder = path.parent().unwrap_or(path).display();
    match errno {
        Errno::NOENT => Error::configure(
            address,
            format!("the folder {folder} does not exist; make it or choose another path"),
        ),
        Errno::ACCESS | Errno::PERM | Errno::ROFS => {
            let uid = rustix::process::geteuid();
            Error::open(
                address,
                format!(
                    "permission denied in {folder} (as uid {uid}); choose a folder that it may write"
                ),
            )
        }
        other => refused(address, other),
    }
}
