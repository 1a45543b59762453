//! The TCP sockets of a port, asked from the kernel by netlink (sock_diag(7)): those that listen,
//! and the connections that were accepted.

use std::io;

use rustix::net::AddressFamily;

use super::sock_diag::{CLOSE_WAIT, Connection, ESTABLISHED, attribute, dump, u32_at};

/// The connections that came in at this port and that a process has accepted and not closed.
///
/// An IPv6 listener that takes IPv4 too has IPv6 connections only. The kernel walks its whole
/// table of connections for one answer: what that costs grows with the machine's memory.
pub(crate) fn connections(family: AddressFamily, port: u16) -> io::Result<Vec<Connection>> {
    let mut found = Vec::new();
    let question = question(family, port, ACCEPTED);
    dump(&question, |answer| found.extend(parse(answer, port)))?;
    Ok(found)
}

/// The same, and whether they are idle, which the kernel says in many more bytes.
pub(crate) fn connections_closely(family: AddressFamily, port: u16) -> io::Result<Vec<Connection>> {
    let mut question = question(family, port, ACCEPTED);
    question[2] = 1 << (INET_DIAG_INFO - 1); // idiag_ext
    let mut found = Vec::new();
    dump(&question, |answer| found.extend(parse(answer, port)))?;
    Ok(found)
}

/// A socket that listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Listening {
    pub(crate) inode: u64,
    /// How many connections wait to be accepted.
    pub(crate) depth: u32,
    /// Whether it listens on all interfaces.
    pub(crate) everywhere: bool,
}

/// The sockets that listen at this port.
pub(crate) fn listening(family: AddressFamily, port: u16) -> io::Result<Vec<Listening>> {
    let mut found = Vec::new();
    dump(&question(family, port, 1 << LISTEN), |answer| {
        let listens = answer.get(1) == Some(&LISTEN);
        let own_port = answer.get(4..6) == Some(&port.to_be_bytes());
        let (inode, depth) = (u32_at(answer, INODE), u32_at(answer, QUEUE));
        let everywhere = answer.get(SOURCE).is_some_and(|it| it.iter().all(|byte| *byte == 0));
        let seen = inode.zip(depth).filter(|_| listens && own_port);
        let listening =
            |(inode, depth): (u32, _)| Listening { inode: inode.into(), depth, everywhere };
        found.extend(seen.map(listening));
    })?;
    Ok(found)
}

/// struct inet_diag_req_v2 (linux/inet_diag.h).
fn question(family: AddressFamily, port: u16, states: u32) -> [u8; 56] {
    let mut question = [0; 56];
    let mut put = |at: usize, bytes: &[u8]| question[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, &family.as_raw().to_ne_bytes()[..1]);
    put(1, &[IPPROTO_TCP]);
    put(4, &states.to_ne_bytes());
    put(8, &port.to_be_bytes()); // idiag_sport: the kernel passes over all others
    put(48, &[0xff; 8]); // idiag_cookie: none
    question
}

const IPPROTO_TCP: u8 = 6;
/// TCP_LISTEN.
const LISTEN: u8 = 10;
/// The states of a connection that somebody has.
const ACCEPTED: u32 = 1 << ESTABLISHED | 1 << CLOSE_WAIT;
/// Where struct inet_diag_msg has the own address (idiag_src).
const SOURCE: std::ops::Range<usize> = 8..24;
/// Where struct inet_diag_msg has the inode, and what was not read or accepted (idiag_rqueue).
const INODE: usize = 68;
const QUEUE: usize = 56;
/// The attribute with struct tcp_info.
const INET_DIAG_INFO: u16 = 2;
/// The size of struct inet_diag_msg, after which attributes follow.
const MESSAGE: usize = 72;
/// Where struct tcp_info (linux/tcp.h) says how many milliseconds ago data was sent and received.
const LAST_DATA_SENT: usize = 44;
const LAST_DATA_RECEIVED: usize = 52;
/// Where it says how many segments with data came and went (Linux 4.6).
const SEGMENTS_IN: usize = 152;
const SEGMENTS_OUT: usize = 156;
/// For so many milliseconds nothing must have been said by either side.
const A_WHILE: u32 = 500;

/// struct inet_diag_msg; `None` for what is something else, or was not accepted yet.
fn parse(answer: &[u8], port: u16) -> Option<Connection> {
    let state = *answer.get(1)?;
    let own_port = u16::from_be_bytes(answer.get(4..6)?.try_into().ok()?);
    let (unread, inode) = (u32_at(answer, QUEUE)?, u32_at(answer, INODE)?);
    // What waits in the accept queue has no file yet.
    let counts = own_port == port && inode != 0 && matches!(state, ESTABLISHED | CLOSE_WAIT);
    let is_half_closed = state == CLOSE_WAIT;
    // The end of a stream is counted like a byte until it is read.
    let unread = unread.saturating_sub(is_half_closed.into());
    let is_idle = unread == 0 && is_answered(answer);
    counts.then(|| Connection { inode: inode.into(), unread, is_half_closed, is_idle })
}

/// Tells whether the last word was ours, a while ago, or nothing was ever said.
fn is_answered(answer: &[u8]) -> bool {
    let info = answer.get(MESSAGE..).and_then(|rest| attribute(rest, INET_DIAG_INFO));
    let get = |at: usize| u32_at(info.unwrap_or_default(), at);
    let (sent, received) = (get(LAST_DATA_SENT), get(LAST_DATA_RECEIVED));
    // The clock is coarse: a quick answer is as old as what it answers.
    let as_much = || get(SEGMENTS_OUT) >= get(SEGMENTS_IN);
    sent.zip(received).is_some_and(|(sent, received)| {
        sent >= A_WHILE && (sent < received || sent == received && as_much())
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::net::{Shutdown, TcpListener, TcpStream};
    use std::os::fd::AsFd;

    use proptest::prelude::*;

    use super::*;

    fn inode(socket: impl AsFd) -> u64 {
        rustix::fs::fstat(socket).unwrap().st_ino
    }

    #[test]
    fn accepted_connections_are_seen_and_waiting_ones_are_not() {
        for (family, address) in
            [(AddressFamily::INET, "127.0.0.1:0"), (AddressFamily::INET6, "[::]:0")]
        {
            let Ok(listener) = TcpListener::bind(address) else {
                println!("SKIPPED: no {address}");
                continue;
            };
            let port = listener.local_addr().unwrap().port();
            let client = || TcpStream::connect(("127.0.0.1", port)).unwrap();
            let (mut first, second, _waiting) = (client(), client(), client());
            first.write_all(b"hello").unwrap();
            let accepted = [listener.accept().unwrap().0, listener.accept().unwrap().0];
            second.shutdown(Shutdown::Write).unwrap();
            // Both have arrived when they can be read.
            accepted.iter().for_each(|it| assert!(it.peek(&mut [0]).is_ok()));
            let mut seen = connections(family, port).unwrap();
            seen.sort_by_key(|connection| connection.inode);
            let expected = [(0, 5, false), (1, 0, true)].map(|(which, unread, is_half_closed)| {
                let inode = inode(&accepted[which]);
                Connection { inode, unread, is_half_closed, is_idle: false }
            });
            assert_eq!(seen, expected, "{address}");
            drop(accepted);
            assert_eq!(connections(family, port).unwrap(), [], "{address}");
        }
    }

    #[test]
    fn a_listener_is_found_by_its_port_with_what_waits_there() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let clients = [0; 3].map(|_| TcpStream::connect(("127.0.0.1", port)).unwrap());
        let _accepted = listener.accept().unwrap();
        let expected = Listening { inode: inode(&listener), depth: 2, everywhere: false };
        assert_eq!(listening(AddressFamily::INET, port).unwrap(), [expected]);
        for (address, family) in
            [("0.0.0.0:0", AddressFamily::INET), ("[::]:0", AddressFamily::INET6)]
        {
            let listener = TcpListener::bind(address).unwrap();
            let port = listener.local_addr().unwrap().port();
            assert!(listening(family, port).unwrap()[0].everywhere, "{address}");
        }
        let other = clients[0].local_addr().unwrap().port();
        assert!(listening(AddressFamily::INET, other).unwrap().is_empty());
    }

    proptest! {
        #[test]
        fn rubbish_is_no_connection(
            answer in proptest::collection::vec(any::<u8>(), 0..120), port: u16
        ) {
            if let Some(connection) = parse(&answer, port) {
                prop_assert!(connection.inode != 0 && answer.len() >= 72);
                prop_assert_eq!(&answer[4..6], port.to_be_bytes());
            }
        }
    }
}
