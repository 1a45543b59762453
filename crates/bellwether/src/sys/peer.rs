//! Who has the other end of a connection within this machine, asked from the kernel by netlink
//! (sock_diag(7)).

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;

use rustix::io::Errno;
use rustix::net::{AddressFamily, getpeername, getsockname};

use super::sock_diag::{CLOSE_WAIT, ESTABLISHED, one, u32_at};
use super::unix_diag;

const IPPROTO_TCP: u8 = 6;

/// The inode of the socket at the other end, by which /proc/PID/fd names it.
///
/// `None` while nobody has accepted the connection, and when the other end is closed.
///
/// # Errors
///
/// Those of sock_diag(7); ENOENT where the kernel has none.
pub(crate) fn inode(connection: impl AsFd) -> io::Result<Option<u64>> {
    let own = getsockname(&connection)?;
    if own.address_family() == AddressFamily::UNIX {
        return unix_diag::peer(connection);
    }
    let other = match getpeername(&connection) {
        Ok(Some(other)) => other,
        // It is not connected yet, or not any more.
        Ok(None) | Err(Errno::NOTCONN) => return Ok(None),
        Err(errno) => return Err(errno.into()),
    };
    let question = question(SocketAddr::try_from(other)?, SocketAddr::try_from(own)?);
    Ok(one(&question)?.and_then(|answer| accepted(&answer)))
}

/// struct inet_diag_req_v2 (linux/inet_diag.h) about the socket at `place` that talks to `client`.
fn question(place: SocketAddr, client: SocketAddr) -> [u8; 56] {
    let mut question = [0; 56];
    let mut put = |at: usize, bytes: &[u8]| question[at..at + bytes.len()].copy_from_slice(bytes);
    let family = if place.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    put(0, &family.as_raw().to_ne_bytes()[..1]);
    put(1, &[IPPROTO_TCP]);
    put(4, &u32::MAX.to_ne_bytes()); // idiag_states
    put(8, &place.port().to_be_bytes());
    put(10, &client.port().to_be_bytes());
    for (at, address) in [(12, place.ip()), (28, client.ip())] {
        match address {
            IpAddr::V4(address) => put(at, &address.octets()),
            IpAddr::V6(address) => put(at, &address.octets()),
        }
    }
    put(48, &[0xff; 8]); // idiag_cookie: none
    question
}

/// The inode in struct inet_diag_msg; without a connection the kernel tells of the listener.
fn accepted(answer: &[u8]) -> Option<u64> {
    let state = *answer.get(1)?;
    let inode = u32_at(answer, 68)?;
    (matches!(state, ESTABLISHED | CLOSE_WAIT) && inode != 0).then_some(inode.into())
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};
    use std::os::unix::net::{UnixListener, UnixStream};

    use proptest::prelude::*;

    use super::*;

    /// Whatever its kind, a connection has nobody at its other end until it is accepted.
    fn check<C: AsFd>(client: &C, accept: impl FnOnce() -> C) {
        assert_eq!(inode(client).unwrap(), None);
        let accepted = accept();
        let expected = rustix::fs::fstat(&accepted).unwrap().st_ino;
        assert_eq!(inode(client).unwrap(), Some(expected));
        drop(accepted);
        assert!(matches!(inode(client), Ok(None) | Err(_)));
    }

    #[test]
    fn the_other_end_is_found_once_somebody_has_it() {
        for (place, to) in
            [("127.0.0.1:0", "127.0.0.1"), ("[::]:0", "127.0.0.1"), ("[::1]:0", "::1")]
        {
            let Ok(listener) = TcpListener::bind(place) else {
                println!("SKIPPED: no {place}");
                continue;
            };
            let port = listener.local_addr().unwrap().port();
            let client = TcpStream::connect((to, port)).unwrap();
            check(&client, || listener.accept().unwrap().0);
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let listener = UnixListener::bind(&path).unwrap();
        let client = UnixStream::connect(&path).unwrap();
        check(&client, || listener.accept().unwrap().0);
    }

    proptest! {
        #[test]
        fn rubbish_is_nobody(answer in proptest::collection::vec(any::<u8>(), 0..90)) {
            let found = accepted(&answer);
            prop_assert!(found.is_none() || answer.len() >= 72);
        }
    }
}
