//! How the descriptor that answers a program's calls comes from the child that becomes the program.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags,
};

use crate::sys::process::{self, Fork};
use crate::sys::seccomp;

/// What is said with the descriptor.
const WORD: u8 = b'S';

/// In the child, just before its exec: lets whoever has the other end answer its `bind` and `listen`,
/// and where some addresses are files, its `unlink`.
///
/// Does not allocate. [`why_not`] says what its errors mean.
pub(crate) fn submit(channel: BorrowedFd<'_>, files: bool) -> io::Result<()> {
    hand_over(channel, seccomp::install(files)?)
}

/// Tells whether a child of this process could do that, or why not: one tries.
///
/// Where no child can be made it is not known, and shows when the program is started.
pub(crate) fn check() -> Result<(), String> {
    match process::fork() {
        Ok(Fork::Child) => {
            let refusal = seccomp::install(true).err();
            // What has no number is not known to the kernel either. All numbers fit (errno(3)).
            let number = refusal.map_or(0, |it| it.raw_os_error().unwrap_or(libc::ENOSYS));
            process::exit_now(number)
        }
        Ok(Fork::Parent(child)) => {
            match process::status_of(child).and_then(|it| it.exit_status()) {
                None | Some(0) => Ok(()),
                Some(number) => Err(why_not(&io::Error::from_raw_os_error(number))),
            }
        }
        Err(_) => Ok(()),
    }
}

/// Says why a program cannot be adopted where `submit` was refused.
pub(crate) fn why_not(refusal: &io::Error) -> String {
    let why = match refusal.kind() {
        _ if seccomp::is_nested(refusal) => {
            "somebody around this server answers its system calls already (a container runtime, or \
             another server that adopts it), and there can be but one"
        }
        io::ErrorKind::PermissionDenied => "seccomp(2) is not allowed here",
        _ => "the kernel cannot (Linux 5.9 with CONFIG_SECCOMP_FILTER, on x86_64 or aarch64)",
    };
    format!("{why}: {refusal}")
}

/// Sends the descriptor; the kernel keeps it until it is received.
pub(crate) fn hand_over(channel: BorrowedFd<'_>, notifications: OwnedFd) -> io::Result<()> {
    let fds = [notifications.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut rights = SendAncillaryBuffer::new(&mut space);
    rights.push(SendAncillaryMessage::ScmRights(&fds));
    let word = [IoSlice::new(&[WORD])];
    rustix::net::sendmsg(channel, &word, &mut rights, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// Waits for the descriptor; `None` when it will not come.
pub(crate) fn wait(channel: &OwnedFd) -> Option<OwnedFd> {
    let mut polled = [PollFd::new(channel, PollFlags::IN)];
    while let Err(rustix::io::Errno::INTR) = rustix::event::poll(&mut polled, None) {}
    receive(channel.as_fd()).ok().flatten()
}

/// Takes the descriptor if it has come; never blocks.
///
/// An error when it will not come: the child has ended or executed without, or said something else.
pub(crate) fn receive(channel: BorrowedFd<'_>) -> io::Result<Option<OwnedFd>> {
    let mut word = [0];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let parts = &mut [IoSliceMut::new(&mut word)];
    let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
    let length = match rustix::net::recvmsg(channel, parts, &mut control, flags) {
        Ok(received) => received.bytes,
        Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => return Ok(None),
        Err(errno) => return Err(errno.into()),
    };
    let passed = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
        _ => None,
    });
    match (length, passed) {
        (0, _) => Err(io::ErrorKind::UnexpectedEof.into()),
        (_, Some(fd)) if word == [WORD] => Ok(Some(fd)),
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn a_descriptor_that_is_handed_over_arrives_once() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        assert!(receive(ours.as_fd()).unwrap().is_none());
        let file = tempfile::tempfile().unwrap();
        let inode = |fd: &OwnedFd| rustix::fs::fstat(fd).unwrap().st_ino;
        let sent: OwnedFd = file.into();
        let sent_inode = inode(&sent);
        hand_over(theirs.as_fd(), sent).unwrap();
        assert_eq!(inode(&receive(ours.as_fd()).unwrap().unwrap()), sent_inode);
        drop(theirs);
        let end = receive(ours.as_fd()).unwrap_err();
        assert_eq!(end.kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn a_refusal_says_whether_somebody_else_has_the_calls() {
        let check = |number, expected: &str| {
            let why = why_not(&io::Error::from_raw_os_error(number));
            assert!(why.contains(expected), "{why}");
        };
        check(libc::EBUSY, "already");
        check(libc::EPERM, "not allowed");
        check(libc::EACCES, "not allowed");
        check(libc::ENOSYS, "cannot");
        check(libc::EINVAL, "cannot");
    }

    #[test]
    fn a_word_without_a_descriptor_is_refused() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        theirs.write_all(b"S").unwrap();
        let refusal = receive(ours.as_fd()).unwrap_err();
        assert_eq!(refusal.kind(), io::ErrorKind::InvalidData);
    }
}
