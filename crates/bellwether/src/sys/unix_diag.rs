//! The queue of a listening Unix socket, the file it is bound to and the connections that came in
//! there, asked from the kernel by netlink (sock_diag(7)).

use std::io;
use std::os::fd::AsFd;

use rustix::net::{RecvFlags, SendFlags};

use super::sock_diag::{
    Connection, ESTABLISHED, NLM_F_REQUEST, SOCK_DIAG_BY_FAMILY, attribute, dump, open, u16_at,
    u32_at,
};

const UDIAG_SHOW_NAME: u32 = 0x01;
const UNIX_DIAG_NAME: u16 = 0;
const UDIAG_SHOW_VFS: u32 = 0x02;
const UNIX_DIAG_VFS: u16 = 1;
const UDIAG_SHOW_PEER: u32 = 0x04;
const UNIX_DIAG_PEER: u16 = 2;
const UDIAG_SHOW_RQLEN: u32 = 0x10;
const UNIX_DIAG_RQLEN: u16 = 4;
const REQUEST_SIZE: usize = 40;
/// The sizes of struct nlmsghdr and struct unix_diag_msg.
const HEAD: usize = 16;
const BODY: usize = 16;

/// What waits at a listening Unix socket and how much may wait: (depth, limit).
pub(crate) fn queue(listener: impl AsFd) -> io::Result<(u32, u32)> {
    ask(listener, UDIAG_SHOW_RQLEN, UNIX_DIAG_RQLEN)
}

/// The inode of the socket at the other end of a connection; `None` while nobody has accepted it.
pub(crate) fn peer(connection: impl AsFd) -> io::Result<Option<u64>> {
    let answer = answer(connection, UDIAG_SHOW_PEER)?;
    let peer = answer.get(HEAD + BODY..).and_then(|rest| attribute(rest, UNIX_DIAG_PEER));
    let inode = peer.and_then(|value| u32_at(value, 0));
    Ok(inode.filter(|inode| *inode != 0).map(u64::from))
}

/// The inode (its low 32 bits) of the file that a Unix socket was bound to.
///
/// The file may be gone, or another may have its path by now.
pub(crate) fn file_inode(socket: impl AsFd) -> io::Result<u32> {
    ask(socket, UDIAG_SHOW_VFS, UNIX_DIAG_VFS).map(|(inode, _device)| inode)
}

/// What a Unix socket is bound to; a connection is bound to what its listener is bound to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// A path, or a name that begins with a zero byte.
    name: Vec<u8>,
    /// The inode (its low 32 bits) and the device of the file: a later one may have the same path.
    file: Option<(u32, u32)>,
}

impl Place {
    pub(crate) fn of(socket: impl AsFd) -> io::Result<Self> {
        let answer = answer(socket, UDIAG_SHOW_NAME | UDIAG_SHOW_VFS)?;
        let body = answer.get(HEAD..).unwrap_or_default();
        Self::parse(body).ok_or_else(|| io::Error::from_raw_os_error(libc::ENOENT))
    }

    /// Reads what follows a unix_diag_msg; `None` for a socket that is not bound.
    fn parse(body: &[u8]) -> Option<Self> {
        let attributes = body.get(BODY..)?;
        let name = attribute(attributes, UNIX_DIAG_NAME)?.to_vec();
        let vfs = attribute(attributes, UNIX_DIAG_VFS);
        let file = vfs.and_then(|vfs| Some((u32_at(vfs, 0)?, u32_at(vfs, 4)?)));
        Some(Self { name, file })
    }
}

/// The connections that came in at these places and that a process has accepted and not closed.
///
/// The kernel tells of all Unix sockets of the network namespace for one answer.
pub(crate) fn connections(places: &[Place]) -> io::Result<Vec<Connection>> {
    let mut found = Vec::new();
    let show = UDIAG_SHOW_NAME | UDIAG_SHOW_VFS | UDIAG_SHOW_RQLEN;
    let question = question(1 << ESTABLISHED, 0, show);
    dump(&question, |body| found.extend(accepted(body, places)))?;
    Ok(found)
}

/// struct unix_diag_msg and its attributes; `None` for what came in elsewhere.
fn accepted(body: &[u8], places: &[Place]) -> Option<Connection> {
    let inode = u32_at(body, 4).filter(|inode| *inode != 0)?;
    let is_established = *body.get(2)? == ESTABLISHED;
    if !is_established || !places.contains(&Place::parse(body)?) {
        return None;
    }
    let unread = u32_at(attribute(body.get(BODY..)?, UNIX_DIAG_RQLEN)?, 0)?;
    Some(Connection { inode: inode.into(), unread, is_half_closed: false, is_idle: false })
}

/// Asks for one attribute, which is two words.
fn ask(socket: impl AsFd, show: u32, attribute: u16) -> io::Result<(u32, u32)> {
    parse(&answer(socket, show)?, attribute)
        .ok_or_else(|| io::Error::from_raw_os_error(libc::ENOENT))
}

/// Asks about one socket.
fn answer(socket: impl AsFd, show: u32) -> io::Result<Vec<u8>> {
    let inode = rustix::fs::fstat(socket)?.st_ino;
    let netlink = open()?;
    rustix::net::send(&netlink, &request(inode, show)?, SendFlags::empty())?;
    let mut answer = [0u8; 512];
    let (length, _) = rustix::net::recv(&netlink, &mut answer, RecvFlags::empty())?;
    Ok(answer.get(..length).unwrap_or_default().to_vec())
}

/// nlmsghdr followed by unix_diag_req.
fn request(inode: u64, show: u32) -> io::Result<[u8; REQUEST_SIZE]> {
    let inode = u32::try_from(inode).map_err(io::Error::other)?;
    let mut request = [0u8; REQUEST_SIZE];
    let mut put = |at: usize, bytes: &[u8]| request[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, &40u32.to_ne_bytes());
    put(4, &SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    put(6, &NLM_F_REQUEST.to_ne_bytes());
    put(HEAD, &question(u32::MAX, inode, show));
    Ok(request)
}

/// struct unix_diag_req (linux/unix_diag.h).
fn question(states: u32, inode: u32, show: u32) -> [u8; REQUEST_SIZE - HEAD] {
    let mut question = [0u8; REQUEST_SIZE - HEAD];
    let mut put = |at: usize, bytes: &[u8]| question[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, &[1]); // sdiag_family = AF_UNIX
    put(4, &states.to_ne_bytes());
    put(8, &inode.to_ne_bytes());
    put(12, &show.to_ne_bytes());
    put(16, &u64::MAX.to_ne_bytes()); // udiag_cookie: none
    question
}

fn parse(answer: &[u8], wanted: u16) -> Option<(u32, u32)> {
    if u16_at(answer, 4)? != SOCK_DIAG_BY_FAMILY {
        return None;
    }
    let value = attribute(answer.get(HEAD + BODY..)?, wanted)?;
    Some((u32_at(value, 0)?, u32_at(value, 4)?))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::os::linux::net::SocketAddrExt as _;
    use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};

    use proptest::prelude::*;

    use super::*;

    /// Has three clients, of whom two are accepted and the first has sent something.
    fn check_connections(listener: &UnixListener) {
        let address = listener.local_addr().unwrap();
        let client = || UnixStream::connect_addr(&address).unwrap();
        let (mut first, _second, _waiting) = (client(), client(), client());
        first.write_all(b"abc").unwrap();
        let accepted = [listener.accept().unwrap().0, listener.accept().unwrap().0];
        let place = Place::of(listener).unwrap();
        let mut seen = connections(&[place]).unwrap();
        seen.sort_by_key(|connection| connection.inode);
        let mut expected = [(0, 3), (1, 0)].map(|(which, unread)| {
            let inode = rustix::fs::fstat(&accepted[which]).unwrap().st_ino;
            Connection { inode, unread, is_half_closed: false, is_idle: false }
        });
        expected.sort_by_key(|connection| connection.inode);
        assert_eq!(seen, expected, "{address:?}");
    }

    #[test]
    fn accepted_connections_are_known_by_the_place_of_their_listener() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let old = UnixListener::bind(&path).unwrap();
        let _of_the_old = UnixStream::connect(&path).unwrap();
        let _accepted = old.accept().unwrap();
        std::fs::remove_file(&path).unwrap();
        check_connections(&UnixListener::bind(&path).unwrap());
        let name = format!("bellwether-test-{}", rustix::process::getpid());
        let hidden = SocketAddr::from_abstract_name(name).unwrap();
        check_connections(&UnixListener::bind_addr(&hidden).unwrap());
        assert!(Place::of(UnixStream::pair().unwrap().0).is_err());
    }

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

    proptest! {
        #[test]
        fn rubbish_is_no_connection(body in proptest::collection::vec(0u8..12, 0..120)) {
            let place = Place::parse(&body);
            prop_assert!(place.as_ref().is_none_or(|it| it.name.len() + BODY + 4 <= body.len()));
            let connection = accepted(&body, place.as_slice());
            prop_assert!(connection.is_none_or(|it| it.inode != 0));
            prop_assert_eq!(accepted(&body, &[]), None);
        }
    }
}
