//! Which servers run, and the way to one of them.

use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

use super::talk::PATIENCE;
use crate::error::{Doing, Error, Result};
use crate::spawner::runtime_dir::{SOCKET, base};

/// Returns the names of the servers of this user that run now, in order.
///
/// # Errors
/// [`Error::Denied`] when the runtime folder is another user's, [`Error::System`] when it cannot
/// be read for another reason.
pub fn names() -> Result<Vec<String>> {
    names_in(&base())
}

pub(super) fn names_in(base: &Path) -> Result<Vec<String>> {
    let entries = match std::fs::read_dir(base) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => return Err(closed(base)),
        Err(error) => return Err(error).doing(&format!("read {}", base.display())),
    };
    let mut names: Vec<String> = entries
        .flatten()
        .filter(|entry| is_alive(&entry.path().join(SOCKET)))
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort();
    Ok(names)
}

/// A server that is too busy to let us in at once is alive too.
fn is_alive(socket: &Path) -> bool {
    match connect(socket, SocketFlags::NONBLOCK) {
        Ok(_) => true,
        Err(error) => error.kind() == ErrorKind::WouldBlock,
    }
}

/// A server that is to be asked: its name and where all servers of this user are.
#[derive(Clone, Debug)]
pub(super) struct Server {
    pub(super) name: String,
    base: PathBuf,
}

impl Server {
    /// Takes the server with this name; without one the only server that runs.
    pub(super) fn find(base: &Path, name: Option<&str>) -> Result<Self> {
        let name = match name {
            Some(name) => name.to_owned(),
            None => only_one(base)?,
        };
        Ok(Self { name, base: base.to_owned() })
    }

    /// Opens a connection to its control socket.
    pub(super) fn connect(&self) -> Result<UnixStream> {
        let folder = self.base.join(&self.name);
        let socket = folder.join(SOCKET);
        connect(&socket, SocketFlags::empty()).map_err(|error| match error.kind() {
            ErrorKind::PermissionDenied => self.denied(&folder),
            ErrorKind::WouldBlock => self.deaf(),
            _ => self.absent(&socket, &error),
        })
    }

    /// The error that nobody has this name.
    fn absent(&self, socket: &Path, error: &io::Error) -> Error {
        let at = format!("no server `{}` answers at {} ({error})", self.name, socket.display());
        match names_in(&self.base).unwrap_or_default() {
            running if running.is_empty() => nobody(&format!("{at}; none runs")),
            running => {
                Error::NoServer { problem: format!("{at}; running: {}", running.join(", ")) }
            }
        }
    }

    pub(super) fn denied(&self, folder: &Path) -> Error {
        let problem = format!(
            "server `{}` {}; its owner or root may ask it, and whoever it was started to `allow`",
            self.name,
            ownership(folder, &self.base)
        );
        Error::Denied { problem }
    }

    /// The error that the server runs and lets nobody in.
    fn deaf(&self) -> Error {
        let problem = format!(
            "server `{}` has let nobody in for {} s: it is stopped or hangs, and others wait too",
            self.name,
            PATIENCE.as_secs()
        );
        Error::NoServer { problem }
    }
}

fn only_one(base: &Path) -> Result<String> {
    let mut names = names_in(base)?;
    match names.len() {
        1 => Ok(names.remove(0)),
        0 => Err(nobody(&format!("no server runs (looked in {})", base.display()))),
        _ => {
            let problem = format!("several servers run; choose with --name: {}", names.join(", "));
            Err(Error::NoServer { problem })
        }
    }
}

fn nobody(problem: &str) -> Error {
    let hint = "start one with `bellwether serve`; those of another user, or with another \
                BELLWETHER_RUNTIME_DIR, are not seen";
    Error::NoServer { problem: format!("{problem}; {hint}") }
}

/// The error that the folder of all servers cannot be listed.
pub(super) fn closed(base: &Path) -> Error {
    let problem = format!(
        "cannot list the servers in {}: the folder {}; one that lets us in can be asked by --name",
        base.display(),
        ownership(base, base)
    );
    Error::Denied { problem }
}

/// Whose a folder is, or that of all servers when it cannot be seen, and who we are.
fn ownership(folder: &Path, base: &Path) -> String {
    let us = rustix::process::geteuid();
    match std::fs::metadata(folder).or_else(|_| std::fs::metadata(base)) {
        Ok(it) => format!("belongs to uid {}, and we are uid {us}", it.uid()),
        Err(_) => format!("is not ours (we are uid {us})"),
    }
}

/// Connects; a server that lets nobody in is not waited for longer than [`PATIENCE`].
fn connect(socket: &Path, flags: SocketFlags) -> io::Result<UnixStream> {
    let address = SocketAddrUnix::new(socket)?;
    let flags = flags | SocketFlags::CLOEXEC;
    let stream = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    set_socket_timeout(&stream, Timeout::Send, Some(PATIENCE))?;
    rustix::io::retry_on_intr(|| rustix::net::connect(&stream, &address))?;
    Ok(stream.into())
}
