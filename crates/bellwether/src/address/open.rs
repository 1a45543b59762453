//! Opening addresses: from text to listening sockets.

use std::net::{SocketAddr, ToSocketAddrs};
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};

use super::bound::Bound;
use super::handover::{ListenerState, kept_for};
use super::listener::Kind;
use super::returning::returning;
use super::{Address, Defer, Listener, Options, Place, inherit, orphans, unix};
use crate::error::{Doing, Error, Result};
use crate::sys::socket;

/// The backlog where none is given: `net.core.somaxconn` of kernels since 5.4.
pub(super) const BACKLOG: u32 = 4096;

/// What holds for options that the address leaves open.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Defaults {
    /// Whether the client speaks first, so that its first data may be waited for.
    pub(crate) defer_accept: Defer,
    /// Whether listeners are taken over from handlers whose spawner has died.
    pub(crate) take_over: bool,
}

/// Opens addresses in order; one address may yield several listeners.
///
/// What a predecessor in this process has left open is `kept`, and taken from there.
pub(crate) fn open_all(
    addresses: &[Address],
    defaults: Defaults,
    kept: &mut Vec<ListenerState>,
) -> Result<Vec<Listener>> {
    if defaults.take_over && kept.is_empty() && !orphans::any() {
        tracing::info!("there is nobody to take over from: no handler lacks its spawner");
    }
    let mut listeners = Vec::new();
    for (i, address) in addresses.iter().enumerate() {
        let same = addresses.iter().take(i).filter(|other| other.place == address.place);
        let nth = same.count();
        // Port 0 twice means two ports.
        if nth > 0 && !matches!(address.place, Place::Tcp { port: 0, .. }) {
            return Err(Error::configure(address, "the address is given twice; leave one out"));
        }
        let resumed = kept_for(address, nth, defaults, kept)?;
        if resumed.is_empty() {
            let opened = open(address, defaults)?;
            listeners.extend(opened.into_iter().map(|listener| Listener { nth, ..listener }));
        } else {
            listeners.extend(resumed);
        }
    }
    Ok(listeners)
}

fn open(address: &Address, defaults: Defaults) -> Result<Vec<Listener>> {
    match &address.place {
        Place::Tcp { host, port } => open_tcp(address, host, *port, defaults),
        Place::Unix(path) => {
            unix::open_path(address, path, defaults.take_over).map(|one| vec![one])
        }
        Place::Abstract(name) => {
            unix::open_abstract(address, name, defaults.take_over).map(|one| vec![one])
        }
        Place::Descriptor(number) => {
            inherit::descriptor(*number, address, defaults).map(|one| vec![one])
        }
        Place::Systemd(name) => inherit::systemd(name.as_deref(), address, defaults),
    }
}

fn open_tcp(address: &Address, host: &str, port: u16, defaults: Defaults) -> Result<Vec<Listener>> {
    if host.is_empty() {
        return open_everywhere(address, port, defaults).map(|one| vec![one]);
    }
    let found: Vec<SocketAddr> = (host, port)
        .to_socket_addrs()
        .map_err(|error| Error::open(address, format!("the name is not known ({error})")))?
        .collect();
    let mut listeners: Vec<Listener> = Vec::new();
    for mut one in found {
        // Port 0: the kernel chooses for the first, the others follow it.
        if let Some(port) = listeners.first().and_then(|first| port_of(&first.fd)) {
            one.set_port(port);
        }
        listeners.push(listen_tcp(address, one, defaults)?);
    }
    Ok(listeners)
}

/// All interfaces: IPv6 with IPv4 mapped into it, or IPv4 alone where there is no IPv6.
fn open_everywhere(address: &Address, port: u16, defaults: Defaults) -> Result<Listener> {
    let v6 = SocketAddr::from((std::net::Ipv6Addr::UNSPECIFIED, port));
    let v4 = SocketAddr::from((std::net::Ipv4Addr::UNSPECIFIED, port));
    let no_v6 = rustix::net::socket(AddressFamily::INET6, SocketType::STREAM, None).is_err();
    listen_tcp(address, if no_v6 { v4 } else { v6 }, defaults)
}

fn listen_tcp(address: &Address, at: SocketAddr, defaults: Defaults) -> Result<Listener> {
    let fd = tcp_socket(address, at, defaults.take_over)?;
    set_tcp_options(&fd, &address.options, defaults)?;
    let place = local(&fd).unwrap_or(at);
    let listener = Listener {
        address: format!("tcp://{place}"),
        place: Some(place),
        source: address.clone(),
        nth: 0,
        kind: Kind::Tcp,
        backlog: Some(address.options.backlog.unwrap_or(BACKLOG)),
        overflows_before: overflows_before(&address.options, defaults),
        granted: None,
        left_alone: false,
        in_use: is_in_use(&fd),
        inherited: false,
        file: None,
        fd,
    };
    listener.listen().map_err(|error| match Errno::from_io_error(&error) {
        Some(errno) => refused(address, errno),
        None => Error::open(address, error),
    })?;
    Ok(listener.remember_limit())
}

/// Tells whether a socket listens before we made it: it came back to us.
pub(super) fn is_in_use(fd: &OwnedFd) -> bool {
    sockopt::socket_acceptconn(fd).is_ok_and(|listens| listens)
}

/// A socket bound there: the one that comes back to us, whose buffer is kept, else a new one.
fn tcp_socket(address: &Address, at: SocketAddr, take_over: bool) -> Result<OwnedFd> {
    let v6only = address.options.v6only.unwrap_or(false);
    let wanted = Bound::tcp(at, v6only);
    if let Some(ours) = returning(address, &wanted, take_over)? {
        return Ok(ours);
    }
    let family = if at.is_ipv6() { AddressFamily::INET6 } else { AddressFamily::INET };
    let fd = stream_socket(family)?;
    sockopt::set_socket_reuseaddr(&fd, true).doing("set SO_REUSEADDR")?;
    if at.is_ipv6() {
        sockopt::set_ipv6_v6only(&fd, v6only).doing("set IPV6_V6ONLY")?;
    }
    rustix::net::bind(&fd, &at).map_err(|errno| refused_at(address, &wanted, errno))?;
    Ok(fd)
}

/// Opens a TCP listener anew where an earlier one was; options as then.
pub(super) fn reopen_tcp(dead: &Listener) -> Result<Listener> {
    let defer_accept = if dead.overflows_before.is_some() { Defer::ON } else { Defer::Off };
    let at = dead.place.ok_or_else(|| Error::open(&dead.address, "it is not a TCP address"))?;
    listen_tcp(&dead.source, at, Defaults { defer_accept, take_over: false })
}

/// Sets what an accepted connection inherits from its listener.
pub(super) fn set_tcp_options(fd: &OwnedFd, options: &Options, defaults: Defaults) -> Result<()> {
    sockopt::set_tcp_nodelay(fd, options.nodelay.unwrap_or(true)).doing("set TCP_NODELAY")?;
    if let Some(seconds) = deferral(options, defaults) {
        socket::defer_accept(fd, seconds).doing("set TCP_DEFER_ACCEPT")?;
    }
    Ok(())
}

/// How many seconds the kernel is to wait for a connection's first data, if at all.
fn deferral(options: &Options, defaults: Defaults) -> Option<u32> {
    match options.defer_accept.unwrap_or(defaults.defer_accept) {
        Defer::Off => None,
        Defer::Seconds(seconds) => Some(seconds),
    }
}

/// With deferred accept the drops of a listener are not its overflows; see `Buffer::overflows`.
pub(super) fn overflows_before(options: &Options, defaults: Defaults) -> Option<u64> {
    deferral(options, defaults).map(|_| socket::overflows_everywhere().unwrap_or(0))
}

pub(super) fn stream_socket(family: AddressFamily) -> Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    rustix::net::socket_with(family, SocketType::STREAM, flags, None).doing("create a socket")
}

/// Says why the kernel refused an address, and who has it if orphans have it.
pub(super) fn refused_at(address: &Address, wanted: &Bound, errno: Errno) -> Error {
    let orphans = (errno == Errno::ADDRINUSE).then(|| orphans::blame(wanted)).flatten();
    orphans.map_or_else(|| refused(address, errno), |problem| Error::open(address, problem))
}

/// Says why the kernel refused an address, and what to try.
pub(super) fn refused(address: &Address, errno: Errno) -> Error {
    let uid = rustix::process::geteuid();
    let problem = match errno {
        Errno::ADDRINUSE => {
            "another process has it (`ss -lp` names it); choose another, or port 0 for a free one"
                .into()
        }
        Errno::ACCESS => format!(
            "permission denied (as uid {uid}; give CAP_NET_BIND_SERVICE or a port above 1023)"
        ),
        Errno::ADDRNOTAVAIL => {
            "no interface of this machine has it (`ip address` lists them)".into()
        }
        Errno::AFNOSUPPORT => "this kernel does not speak its protocol (IPv6 switched off?)".into(),
        other => std::io::Error::from(other).to_string(),
    };
    Error::open(address, problem)
}

pub(super) fn local(fd: &OwnedFd) -> Option<SocketAddr> {
    SocketAddr::try_from(rustix::net::getsockname(fd).ok()?).ok()
}

fn port_of(fd: &OwnedFd) -> Option<u16> {
    local(fd).map(|address| address.port())
}
