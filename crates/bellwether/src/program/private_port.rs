//! A port of its own for a program that can be reached in no other way, on this machine alone.

use std::ffi::{OsStr, OsString};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::ops::ControlFlow;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::net::sockopt::set_tcp_nodelay;
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, getpeername, getsockname,
};
use rustix::process::Pid;

use super::descriptors;
use crate::sys::inet_diag::{self, Listening};

/// Where programs are told to listen.
pub(crate) const HOST: &str = "127.0.0.1";

/// By what arguments and variables of a program name its port.
const BLANK: &[u8] = b"{port}";

/// Where a program may listen that was told so: `localhost` may mean either.
const HOSTS: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];

/// How long a connection may take to come about when it is looked who is there.
const A_MOMENT: Timespec = Timespec { tv_sec: 0, tv_nsec: 5_000_000 };

/// How many ports are tried that others of us have.
const TRIES: usize = 64;

/// A port that is free for a program to bind.
///
/// Nobody holds it until the program does: a socket of ours would be in the way of programs that do
/// not set SO_REUSEADDR. That no two wardens choose the same is seen to by a name that goes with
/// the number, in the same network namespace as the port itself.
#[derive(Debug)]
pub(crate) struct PrivatePort {
    number: u16,
    _name: OwnedFd,
}

impl PrivatePort {
    /// Chooses one of those that the kernel gives to whoever asks for any.
    pub(crate) fn choose() -> io::Result<Self> {
        let mut taken = io::Error::from(Errno::ADDRINUSE);
        for _ in 0..TRIES {
            let number = TcpListener::bind((HOST, 0))?.local_addr()?.port();
            match reserve(number) {
                Ok(name) => return Ok(Self { number, _name: name }),
                Err(errno) => taken = errno.into(),
            }
        }
        Err(taken)
    }

    pub(crate) const fn number(&self) -> u16 {
        self.number
    }

    /// Where connections are carried to while nobody has been found there.
    pub(crate) const fn usual(&self) -> SocketAddr {
        SocketAddr::new(HOSTS[0], self.number)
    }

    /// Finds where the program accepts connections, if it does.
    ///
    /// A stranger who was quicker than the program is not taken for it, where the kernel lets us see.
    pub(crate) fn found(&self, program: &[Pid]) -> Option<SocketAddr> {
        let places = HOSTS.map(|host| SocketAddr::new(host, self.number));
        let found = places.into_iter().find(|place| accepts(*place))?;
        self.is_of(program).then_some(found)
    }

    /// The sockets that listen there, as far as the kernel lets us see.
    pub(super) fn listeners(&self) -> Vec<Listening> {
        let ask = |family| inet_diag::listening(family, self.number).unwrap_or_default();
        [ask(AddressFamily::INET), ask(AddressFamily::INET6)].concat()
    }

    /// Whether others than this machine reach the program there.
    pub(crate) fn is_open_to_others(&self) -> bool {
        self.listeners().iter().any(|it| it.everywhere)
    }

    /// Whether one of these processes listens there; where that cannot be seen it is believed.
    fn is_of(&self, program: &[Pid]) -> bool {
        let listeners: Vec<u64> = self.listeners().iter().map(|it| it.inode).collect();
        let may_have = |pid: &Pid| {
            let mut has = false;
            let seen = descriptors::visit(*pid, |_, link| {
                has = descriptors::socket(link).is_some_and(|inode| listeners.contains(&inode));
                if has { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            });
            has || matches!(seen, Err(Errno::ACCESS | Errno::PERM))
        };
        listeners.is_empty() || program.iter().any(may_have)
    }
}

/// Takes the name that stands for a port, unless somebody has it.
fn reserve(number: u16) -> rustix::io::Result<OwnedFd> {
    let (kind, flags) = (SocketType::DGRAM, SocketFlags::CLOEXEC);
    let socket = rustix::net::socket_with(AddressFamily::UNIX, kind, flags, None)?;
    let name = format!("bellwether/port/{number}");
    rustix::net::bind(&socket, &SocketAddrUnix::new_abstract_name(name.as_bytes())?)?;
    Ok(socket)
}

/// Begins a connection to a program, without delay for small pieces; it may not have come about yet.
///
/// # Errors
///
/// Those of socket(2) and connect(2): ECONNREFUSED where nobody listens.
pub(crate) fn call(place: SocketAddr) -> rustix::io::Result<OwnedFd> {
    let family = if place.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
    set_tcp_nodelay(&socket, true)?;
    match connect(&socket, &place) {
        Ok(()) | Err(Errno::INPROGRESS) => Ok(socket),
        Err(errno) => Err(errno),
    }
}

/// Tells whether a connection that was begun has come about: `None` while that is not known.
pub(crate) fn has_come_about(socket: impl AsFd) -> Option<rustix::io::Result<()>> {
    match rustix::net::sockopt::socket_error(&socket) {
        Ok(Ok(())) => {}
        Ok(Err(errno)) | Err(errno) => return Some(Err(errno)),
    }
    let peer = getpeername(&socket).ok().flatten()?;
    // Where nobody listens, the kernel may happen to choose the very port for the caller's end, and
    // connect it to itself.
    let is_itself = getsockname(&socket).is_ok_and(|own| own == peer);
    Some(if is_itself { Err(Errno::CONNREFUSED) } else { Ok(()) })
}

/// Tells whether connections are accepted there now.
fn accepts(place: SocketAddr) -> bool {
    let Ok(socket) = call(place) else { return false };
    // On this machine it has come about already, unless the kernel is busy or the backlog full.
    let mut polled = [PollFd::new(&socket, PollFlags::OUT)];
    let _ = rustix::event::poll(&mut polled, Some(&A_MOMENT));
    matches!(has_come_about(&socket), Some(Ok(())))
}

/// An argument or a value with the port in the place of each `{port}`.
pub(super) fn filled(text: &OsStr, port: u16) -> OsString {
    let number = port.to_string();
    let (mut filled, mut rest) = (Vec::new(), text.as_bytes());
    while let Some((first, others)) = rest.split_first() {
        if let Some(behind) = rest.strip_prefix(BLANK) {
            filled.extend_from_slice(number.as_bytes());
            rest = behind;
        } else {
            filled.push(*first);
            rest = others;
        }
    }
    OsString::from_vec(filled)
}

#[cfg(test)]
mod tests {
    use super::super::trial::{Trial, eventually};
    use super::*;

    #[test]
    fn each_blank_is_filled_in_and_all_else_stays() {
        let check = |text: &[u8], expected: &[u8]| {
            assert_eq!(filled(OsStr::from_bytes(text), 81).as_bytes(), expected);
        };
        check(b"--port={port}", b"--port=81");
        check(b"{port}:{port}", b"81:81");
        check(b"{{port}} {por {port", b"{81} {por {port");
        check(b"\xff{port}\xfe", b"\xff81\xfe");
        check(b"", b"");
    }

    #[test]
    fn no_two_choose_the_same_while_they_live() {
        let chosen: Vec<_> = (0..50).map(|_| PrivatePort::choose().unwrap()).collect();
        let mut numbers: Vec<_> = chosen.iter().map(PrivatePort::number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), 50);
        let one = &chosen[0];
        assert_eq!(reserve(one.number()).unwrap_err(), Errno::ADDRINUSE);
    }

    #[test]
    fn a_program_is_found_where_it_listens_and_a_stranger_is_not_taken_for_it() {
        for host in ["127.0.0.1", "::1"] {
            let port = PrivatePort::choose().unwrap();
            assert_eq!(port.found(&[]), None, "nobody listens");
            let script = "import socket, sys; a = sys.argv; s = socket.create_server((a[1], int(a[2])), \
                          family=socket.AF_INET6 if ':' in a[1] else socket.AF_INET)\nwhile 1: s.accept()";
            let number = port.number().to_string();
            let Some(trial) = Trial::start("python3", &["-c", script, host, &number]) else {
                return;
            };
            let found = eventually("it to listen", || port.found(trial.family().pids()));
            assert_eq!(found, SocketAddr::new(host.parse().unwrap(), port.number()));
            assert_eq!(port.found(&[rustix::process::getpid()]), None, "it is not ours");
        }
    }
}
