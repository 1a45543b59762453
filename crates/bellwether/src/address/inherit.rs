//! Sockets that come with the process: `fd:N` and systemd's `LISTEN_FDS` (sd_listen_fds(3)).
//!
//! Among the latter may be our own, stored with the service manager; see [`super::stored`].

use std::os::fd::{OwnedFd, RawFd};

use rustix::fs::OFlags;
use rustix::net::{AddressFamily, SocketType, sockopt};

use super::listener::Kind;
use super::open::{Defaults, overflows_before, set_tcp_options};
use super::{Address, Listener, Place};
use crate::error::{Doing, Error, Result};
use crate::sys::descriptors;

/// The first descriptor that `LISTEN_FDS` counts from.
const FIRST: RawFd = 3;

/// How the names begin under which we store descriptors with the service manager.
const OURS: &str = "bellwether-";

/// What the environment says about passed sockets: number and name of each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Passed(Vec<(RawFd, String)>);

impl Passed {
    /// Reads `LISTEN_PID`, `LISTEN_FDS` and `LISTEN_FDNAMES`; empty when they are not for us.
    pub(crate) fn from_environment() -> Result<Self> {
        let own = rustix::process::getpid().to_string();
        Self::read(&own, |name| std::env::var(name).ok())
    }

    fn read(own_pid: &str, get: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let Some(count) = get("LISTEN_FDS") else { return Ok(Self::default()) };
        let wrong = |problem: &str| Error::configure(format!("LISTEN_FDS={count}"), problem);
        match get("LISTEN_PID") {
            None => {
                return Err(wrong(
                    "LISTEN_PID is not set, so nobody knows for whom the descriptors are; \
                     unset LISTEN_FDS, or set both as sd_listen_fds(3) says",
                ));
            }
            Some(pid) if pid != own_pid => return Ok(Self::default()),
            Some(_) => {}
        }
        let count: u16 =
            count.parse().map_err(|_| wrong("it must be a number of descriptors, 0 to 65535"))?;
        let names = get("LISTEN_FDNAMES").unwrap_or_default();
        let mut names = names.split(':');
        let numbers = (0..i32::from(count)).map(|i| FIRST + i);
        Ok(Self(numbers.map(|fd| (fd, names.next().unwrap_or_default().into())).collect()))
    }

    /// Tells whether nobody else's socket was passed.
    pub(crate) fn is_empty(&self) -> bool {
        self.foreign().next().is_none()
    }

    /// What we had stored ourselves.
    ///
    /// Nothing in a program that has taken the place of another: what was stored came with the
    /// baton, and its numbers mean something else by now.
    pub(super) fn stored(&self) -> impl Iterator<Item = (RawFd, &str)> {
        let taken_over = std::env::var_os(super::handover::BATON).is_some();
        self.all().filter(move |(_, name)| !taken_over && name.starts_with(OURS))
    }

    /// What somebody else has opened for us.
    fn foreign(&self) -> impl Iterator<Item = (RawFd, &str)> {
        self.all().filter(|(_, name)| !name.starts_with(OURS))
    }

    fn all(&self) -> impl Iterator<Item = (RawFd, &str)> {
        self.0.iter().map(|(fd, name)| (*fd, name.as_str()))
    }
}

/// Takes over all passed sockets, or those of one name.
pub(super) fn systemd(
    name: Option<&str>,
    address: &Address,
    defaults: Defaults,
) -> Result<Vec<Listener>> {
    let passed = Passed::from_environment()?;
    if passed.is_empty() {
        let problem = "no socket was passed (LISTEN_FDS and LISTEN_PID are not set for this \
                       process); start it from a .socket unit";
        return Err(Error::configure(address, problem));
    }
    let chosen: Vec<_> =
        passed.foreign().filter(|(_, given)| name.is_none_or(|name| name == *given)).collect();
    if chosen.is_empty() {
        let names: Vec<_> = passed.foreign().map(|(_, name)| name).collect();
        let problem = format!("no passed socket has this name; there are: {}", names.join(", "));
        return Err(Error::configure(address, problem));
    }
    chosen.into_iter().map(|(fd, _)| descriptor(fd, address, defaults)).collect()
}

/// Takes over one listening stream socket by its number.
pub(super) fn descriptor(fd: RawFd, address: &Address, defaults: Defaults) -> Result<Listener> {
    let named = match (&address.place, std::env::var("LISTEN_FDS")) {
        (Place::Systemd(_), Ok(count)) => format!("LISTEN_FDS={count}"),
        _ => address.to_string(),
    };
    let not_open = |_| {
        let hint = "whoever starts this process must pass a listening socket under this number";
        Error::configure(&named, format!("descriptor {fd} is not open; {hint}"))
    };
    let taken = descriptors::duplicate(fd).map_err(not_open)?;
    let (fd, kind) = checked(taken, &named)?;
    adopt(fd, kind, address, defaults)
}

/// Lets only a listening stream socket through; anything else is left alone.
fn checked(fd: OwnedFd, named: &str) -> Result<(OwnedFd, Kind)> {
    let problem = match (sockopt::socket_type(&fd), sockopt::socket_acceptconn(&fd)) {
        (Err(_), _) => "it is not a socket",
        (Ok(SocketType::STREAM), Ok(true)) => match sockopt::socket_domain(&fd) {
            Ok(AddressFamily::UNIX) => return Ok((fd, Kind::Unix)),
            Ok(AddressFamily::INET | AddressFamily::INET6) => return Ok((fd, Kind::Tcp)),
            _ => "it is neither a TCP nor a Unix socket",
        },
        (Ok(SocketType::STREAM), _) => "it does not listen; its owner must call listen(2) first",
        _ => "it is not a stream socket",
    };
    Err(Error::configure(named, problem))
}

fn adopt(fd: OwnedFd, kind: Kind, address: &Address, defaults: Defaults) -> Result<Listener> {
    rustix::io::fcntl_setfd(&fd, rustix::io::FdFlags::CLOEXEC).doing("set FD_CLOEXEC")?;
    let flags = rustix::fs::fcntl_getfl(&fd).doing("read the flags of a socket")?;
    rustix::fs::fcntl_setfl(&fd, flags | OFlags::NONBLOCK).doing("set O_NONBLOCK")?;
    if kind == Kind::Tcp {
        set_tcp_options(&fd, &address.options, defaults)?;
    }
    let text = describe(&fd, kind).unwrap_or_else(|| address.place.to_string());
    let backlog = address.options.backlog;
    let source = address.clone();
    let place = super::open::local(&fd).filter(|_| kind == Kind::Tcp);
    let tcp = kind == Kind::Tcp;
    let overflows_before = tcp.then(|| overflows_before(&address.options, defaults)).flatten();
    let listener = Listener {
        fd,
        address: text,
        source,
        nth: 0,
        kind,
        place,
        backlog,
        overflows_before,
        granted: None,
        left_alone: false,
        in_use: false,
        inherited: true,
        file: None,
    };
    if backlog.is_some() {
        listener.listen().doing("set the backlog of an inherited socket")?;
    }
    Ok(listener.remember_limit())
}

fn describe(fd: &OwnedFd, kind: Kind) -> Option<String> {
    if kind == Kind::Tcp {
        return super::open::local(fd).map(|address| format!("tcp://{address}"));
    }
    let name = rustix::net::SocketAddrUnix::try_from(rustix::net::getsockname(fd).ok()?).ok()?;
    match (name.path(), name.abstract_name()) {
        (Some(path), _) => Some(format!("unix:{}", path.to_string_lossy())),
        (_, Some(name)) => Some(format!("unix:@{}", String::from_utf8_lossy(name))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Passed> {
        Passed::read("7", |name| {
            pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn passed_sockets_are_counted_from_three_and_named() {
        let two = read(&[("LISTEN_PID", "7"), ("LISTEN_FDS", "2"), ("LISTEN_FDNAMES", "web:tls")]);
        assert_eq!(two.unwrap(), Passed(vec![(3, "web".into()), (4, "tls".into())]));
    }

    #[test]
    fn what_we_had_stored_is_told_from_what_others_pass() {
        let names = "bellwether-shop-0:web:bellwether-shop-page";
        let three = [("LISTEN_PID", "7"), ("LISTEN_FDS", "3"), ("LISTEN_FDNAMES", names)];
        let passed = read(&three).unwrap();
        assert_eq!(passed.foreign().collect::<Vec<_>>(), [(4, "web")]);
        let stored: Vec<_> = passed.stored().collect();
        assert_eq!(stored, [(3, "bellwether-shop-0"), (5, "bellwether-shop-page")]);
        let one = [("LISTEN_PID", "7"), ("LISTEN_FDS", "1"), ("LISTEN_FDNAMES", names)];
        assert!(read(&one).unwrap().is_empty());
    }

    #[test]
    fn sockets_for_another_process_are_not_taken() {
        assert!(read(&[]).unwrap().is_empty());
        assert!(read(&[("LISTEN_FDS", "2"), ("LISTEN_PID", "8")]).unwrap().is_empty());
    }

    #[test]
    fn a_count_for_nobody_in_particular_is_refused() {
        let error = read(&[("LISTEN_FDS", "999")]).unwrap_err();
        assert_eq!(error.exit_code(), 78);
    }

    #[test]
    fn a_count_that_is_no_number_is_refused() {
        let error = read(&[("LISTEN_FDS", "-1"), ("LISTEN_PID", "7")]).unwrap_err();
        assert_eq!(error.exit_code(), 78);
    }
}
