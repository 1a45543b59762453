//! The folder of a running server: its lock and its control socket.

use std::fs::{DirBuilder, File, Permissions};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, socket_with};
use rustix::process::Pid;

use crate::error::{Error, Result};

/// The name of the control socket in the folder of a server.
pub(crate) const SOCKET: &str = "control.sock";

/// Returns the folder in which every server of this user has its own.
///
/// `BELLWETHER_RUNTIME_DIR`, else `/run/bellwether` for root, else `bellwether` in
/// `XDG_RUNTIME_DIR`, else `/tmp/bellwether-UID`.
pub(crate) fn base() -> PathBuf {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    if let Some(folder) = set("BELLWETHER_RUNTIME_DIR") {
        return folder.into();
    }
    let uid = rustix::process::geteuid();
    if uid.is_root() {
        return "/run/bellwether".into();
    }
    set("XDG_RUNTIME_DIR").map_or_else(
        || PathBuf::from(format!("/tmp/bellwether-{uid}")),
        |folder| PathBuf::from(folder).join("bellwether"),
    )
}

/// A server's own folder, held by a lock for as long as the server lives.
#[derive(Debug)]
pub(crate) struct RuntimeDir {
    path: PathBuf,
    /// flock(2) on the folder; the kernel drops it with the process, however that ends.
    lock: File,
    /// Only the process that took the folder removes it; its forked children do not.
    owner: Pid,
}

impl RuntimeDir {
    /// Takes the folder of the server with this name, or says who has it.
    pub(crate) fn take(base: &Path, name: &str) -> Result<Self> {
        check_name(name)?;
        make_private(base)?;
        let path = base.join(name);
        // A predecessor that is just leaving may remove the folder between our two steps.
        for _ in 0..16 {
            make_private(&path)?;
            let Ok(lock) = File::open(&path) else { continue };
            if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
                return Err(taken(name, &path));
            }
            if is_still(&lock, &path) {
                return Ok(Self { path, lock, owner: rustix::process::getpid() });
            }
        }
        Err(Error::configure(path.display(), "the folder keeps vanishing; who removes it?"))
    }

    /// Goes on with the folder of a predecessor in this process, lock and all.
    pub(crate) fn resume(path: PathBuf, lock: OwnedFd, owner: i32) -> Self {
        let owner = Pid::from_raw(owner).unwrap_or(Pid::INIT);
        Self { path, lock: lock.into(), owner }
    }

    /// Tells whether the folder that we hold is the one that is found by its name.
    pub(crate) fn is_ours(&self) -> bool {
        is_still(&self.lock, &self.path)
    }

    /// Makes and takes the folder anew after somebody has removed it.
    ///
    /// Fails when another server has taken the name meanwhile: it is that server's now.
    pub(crate) fn take_again(&self) -> Result<Self> {
        let name = self.path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        Self::take(self.path.parent().unwrap_or_else(|| Path::new(".")), name)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Lets other users reach the control socket, which asks the kernel who they are.
    pub(crate) fn let_others_in(&self) -> std::io::Result<()> {
        let open = Permissions::from_mode(0o711);
        if let Some(base) = self.path.parent() {
            // One that is somebody else's is as open as its owner wants it.
            let _ = std::fs::set_permissions(base, open.clone());
        }
        std::fs::set_permissions(&self.path, open)
    }

    /// Returns the path of the control socket.
    pub(crate) fn socket(&self) -> PathBuf {
        self.path.join(SOCKET)
    }
}

impl AsRawFd for RuntimeDir {
    fn as_raw_fd(&self) -> RawFd {
        self.lock.as_raw_fd()
    }
}

impl Drop for RuntimeDir {
    /// Removes the folder with what is in it, while the lock is still held.
    fn drop(&mut self) {
        if rustix::process::getpid() == self.owner && self.is_ours() {
            let _ = std::fs::remove_file(self.socket());
            let _ = std::fs::remove_dir(&self.path);
        }
    }
}

fn check_name(name: &str) -> Result<()> {
    let fine = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if (1..=48).contains(&name.len()) && name.chars().all(fine) && !name.starts_with('.') {
        return Ok(());
    }
    Err(Error::Parse {
        what: "name",
        text: name.into(),
        problem: "use 1 to 48 letters, digits, `-`, `_` or `.`, not starting with `.`".into(),
    })
}

fn make_private(path: &Path) -> Result<()> {
    let failed = |error: std::io::Error| {
        let uid = rustix::process::geteuid();
        let hint = "set BELLWETHER_RUNTIME_DIR to a folder that this user may write";
        Error::configure(path.display(), format!("{error} (as uid {uid}); {hint}"))
    };
    match DirBuilder::new().recursive(true).mode(0o700).create(path) {
        Ok(()) => {}
        Err(error) => return Err(failed(error)),
    }
    let owner = std::fs::metadata(path).map_err(failed)?.uid();
    let uid = rustix::process::geteuid().as_raw();
    if owner != uid && owner != 0 {
        let problem = format!("the folder belongs to uid {owner}, not to us (uid {uid})");
        return Err(Error::configure(path.display(), problem));
    }
    Ok(())
}

fn is_still(open: &File, path: &Path) -> bool {
    match (open.metadata(), std::fs::metadata(path)) {
        (Ok(a), Ok(b)) => (a.dev(), a.ino()) == (b.dev(), b.ino()),
        _ => false,
    }
}

fn taken(name: &str, path: &Path) -> Error {
    let owner = owner_of(&path.join(SOCKET));
    let owner = owner.map_or_else(String::new, |pid| format!(", process {pid}"));
    let problem = format!("a running server has it{owner}; choose another with --name");
    Error::Name { name: name.into(), problem }
}

/// Asks who listens at a control socket, without waiting to be let in.
fn owner_of(socket: &Path) -> Option<u32> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let client = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None).ok()?;
    rustix::net::connect(&client, &SocketAddrUnix::new(socket).ok()?).ok()?;
    Some(crate::sys::socket::peer(&client).ok()?.pid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_one_owner_and_is_free_again_after_it() {
        let base = tempfile::tempdir().unwrap();
        let first = RuntimeDir::take(base.path(), "shop").unwrap();
        let second = RuntimeDir::take(base.path(), "shop").unwrap_err();
        assert_eq!(second.exit_code(), 69, "{second}");
        drop(first);
        assert!(RuntimeDir::take(base.path(), "shop").is_ok());
    }

    #[test]
    fn a_name_is_no_path() {
        let base = tempfile::tempdir().unwrap();
        for name in ["", "..", "a/b", ".hidden", "white space", &"x".repeat(49)] {
            assert_eq!(RuntimeDir::take(base.path(), name).unwrap_err().exit_code(), 64);
        }
    }
}
