//! The open descriptors of another process, as the links of /proc/PID/fd name them.

use std::mem::MaybeUninit;
use std::ops::ControlFlow;
use std::os::fd::RawFd;

use rustix::fs::{CWD, Mode, OFlags, RawDir, openat, readlinkat_raw};
use rustix::process::Pid;

/// Longer than any link that names no file.
const LONGEST: usize = 64;

/// Visits number and link of each descriptor until told to stop; a long link is cut.
///
/// # Errors
///
/// ENOENT when the process is gone, EACCES where the kernel does not let us look.
pub(super) fn visit(
    pid: Pid,
    mut look: impl FnMut(RawFd, &[u8]) -> ControlFlow<()>,
) -> rustix::io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let folder = openat(CWD, format!("/proc/{pid}/fd"), flags, Mode::empty())?;
    let mut buffer = [MaybeUninit::uninit(); 4096];
    let mut entries = RawDir::new(&folder, &mut buffer);
    while let Some(entry) = entries.next() {
        let entry = entry?;
        let name = entry.file_name();
        let Some(number) = name.to_str().ok().and_then(|name| name.parse().ok()) else { continue };
        let mut link = [MaybeUninit::uninit(); LONGEST];
        // It may have been closed meanwhile.
        let Ok((link, _)) = readlinkat_raw(&folder, name, &mut link) else { continue };
        if look(number, link).is_break() {
            break;
        }
    }
    Ok(())
}

/// The inode of a link that names a socket.
pub(super) fn socket(link: &[u8]) -> Option<u64> {
    let number = link.strip_prefix(b"socket:[")?.strip_suffix(b"]")?;
    str::from_utf8(number).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd as _;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn own_sockets_are_found_by_their_inodes() {
        let (one, _other) = UnixStream::pair().unwrap();
        let inode = rustix::fs::fstat(&one).unwrap().st_ino;
        let mut found = None;
        let look = |number, link: &[u8]| {
            if socket(link) != Some(inode) {
                return ControlFlow::Continue(());
            }
            found = Some(number);
            ControlFlow::Break(())
        };
        visit(rustix::process::getpid(), look).unwrap();
        assert_eq!(found, Some(one.as_raw_fd()));
    }

    #[test]
    fn only_links_of_sockets_have_an_inode() {
        for link in ["", "socket:[]", "socket:[1", "pipe:[1]", "/tmp/socket:[1]", "socket:[-1]"] {
            assert_eq!(socket(link.as_bytes()), None, "{link}");
        }
        assert_eq!(socket(b"socket:[39773574]"), Some(39_773_574));
    }

    #[test]
    fn a_missing_process_is_an_error() {
        let missing = Pid::from_raw(i32::MAX).unwrap();
        assert!(visit(missing, |_, _| ControlFlow::Continue(())).is_err());
    }
}
