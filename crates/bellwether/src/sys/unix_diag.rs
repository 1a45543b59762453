//! The queue of a listening Unix socket and the file it is bound to, asked from the kernel by netlink (sock_diag(7)).
//!
//! One fixed request, one fixed answer; nothing else of netlink is needed.

use std::io;
use std::os::fd::AsFd;

use rustix::net::netlink::SOCK_DIAG;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

const SOCK_DIAG_BY_FAMILY: u16 = 20;
const NLM_F_REQUEST: u16 = 1;
const UDIAG_SHOW_VFS: u32 = 0x02;
const UNIX_DIAG_VFS: u16 = 1;
const UDIAG_SHOW_RQLEN: u32 = 0x10;
const UNIX_DIAG_RQLEN: u16 = 4;
const REQUEST_SIZE: usize = 40;
/// nlmsghdr (16 bytes) and unix_diag_msg (16 bytes).
const ANSWER_HEAD: usize = 32;

/// What waits at a listening Unix socket and how much may wait: (depth, limit).
pub(crate) fn queue(listener: impl AsFd) -> io::Result<(u32, u32)> {
    ask(listener, UDIAG_SHOW_RQLEN, UNIX_DIAG_RQLEN)
}

/// The inode (its low 32 bits) of the file that a Unix socket was bound to.
///
/// The file may be gone, or another may have its path by now.
pub(crate) fn file_inode(socket: impl AsFd) -> io::Result<u32> {
    ask(socket, UDIAG_SHOW_VFS, UNIX_DIAG_VFS).map(|(inode, _device)| inode)
}

/// Asks for one attribute, which is two words.
fn ask(socket: impl AsFd, show: u32, attribute: u16) -> io::Result<(u32, u32)> {
    let inode = rustix::fs::fstat(socket)?.st_ino;
    let netlink = rustix::net::socket_with(
        AddressFamily::NETLINK,
        SocketType::DGRAM,
        SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
        Some(SOCK_DIAG),
    )?;
    rustix::net::send(&netlink, &request(inode, show)?, SendFlags::empty())?;
    let mut answer = [0u8; 512];
    let (length, _) = rustix::net::recv(&netlink, &mut answer, RecvFlags::empty())?;
    parse(answer.get(..length).unwrap_or_default(), attribute)
        .ok_or_else(|| io::Error::from_raw_os_error(libc::ENOENT))
}

/// nlmsghdr followed by unix_diag_req (linux/unix_diag.h).
fn request(inode: u64, show: u32) -> io::Result<[u8; REQUEST_SIZE]> {
    let inode = u32::try_from(inode).map_err(io::Error::other)?;
    let mut request = [0u8; REQUEST_SIZE];
    let mut put = |at: usize, bytes: &[u8]| request[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, &40u32.to_ne_bytes());
    put(4, &SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    put(6, &NLM_F_REQUEST.to_ne_bytes());
    put(16, &[1]); // sdiag_family = AF_UNIX
    put(20, &u32::MAX.to_ne_bytes()); // udiag_states: any
    put(24, &inode.to_ne_bytes());
    put(28, &show.to_ne_bytes());
    put(32, &u64::MAX.to_ne_bytes()); // udiag_cookie: none
    Ok(request)
}

fn parse(answer: &[u8], attribute: u16) -> Option<(u32, u32)> {
    if u16_at(answer, 4)? != SOCK_DIAG_BY_FAMILY {
        return None;
    }
    let mut at = ANSWER_HEAD;
    loop {
        let (length, kind) = (usize::from(u16_at(answer, at)?), u16_at(answer, at + 2)?);
        if kind == attribute {
            return Some((u32_at(answer, at + 4)?, u32_at(answer, at + 8)?));
        }
        at += length.max(4).next_multiple_of(4);
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::{UnixListener, UnixStream};

    use super::*;

    #[test]
    fn the_queue_of_a_unix_listener_counts_what_waits() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let listener = UnixListener::bind(&path).unwrap();
        let clients: Vec<_> = (0..2).map(|_| UnixStream::connect(&path).unwrap()).collect();
        assert_eq!(queue(&listener).unwrap().0, 2);
        assert_eq!(clients.len(), 2);
    }

    #[test]
    fn a_bound_unix_socket_knows_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let listener = UnixListener::bind(&path).unwrap();
        let file = std::fs::symlink_metadata(&path).unwrap();
        let inode = std::os::unix::fs::MetadataExt::ino(&file);
        assert_eq!(u64::from(file_inode(&listener).unwrap()), inode & u64::from(u32::MAX));
        assert!(file_inode(UnixStream::pair().unwrap().0).is_err());
    }

    #[test]
    fn rubbish_from_the_kernel_is_no_answer() {
        for rubbish in [&[][..], &[0; 7], &[20; 64], &[255; 33]] {
            assert_eq!(parse(rubbish, UNIX_DIAG_RQLEN), None);
        }
    }
}
