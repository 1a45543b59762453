//! The name of a socket: what a program asks to bind, and where a listener is bound.

use std::ffi::OsStr;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::net::{SocketAddrUnix, getsockname};

/// `struct sockaddr_un` has 110 bytes; the kernel refuses longer ones.
const LONGEST_UNIX: usize = 110;

/// A name that a stream socket may be bound to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SocketName {
    Tcp(SocketAddr),
    /// A path, relative to the folder of whoever gave it.
    Path(PathBuf),
    /// A name in the abstract namespace.
    Abstract(Vec<u8>),
}

/// Reads a sockaddr as a program passed it to `bind`.
///
/// `None` is whatever else may be bound, and what the kernel refuses: both are the kernel's affair.
pub(crate) fn address_of(bytes: &[u8]) -> Option<SocketName> {
    let (family, rest) = bytes.split_first_chunk()?;
    match i32::from(u16::from_ne_bytes(*family)) {
        libc::AF_INET => ipv4(rest),
        libc::AF_INET6 => ipv6(rest),
        libc::AF_UNIX if bytes.len() <= LONGEST_UNIX => unix(rest),
        _ => None,
    }
}

/// What follows the family in `struct sockaddr_in`: port, address, eight bytes of nothing.
fn ipv4(rest: &[u8]) -> Option<SocketName> {
    let (port, rest) = rest.split_first_chunk()?;
    let (address, rest) = rest.split_first_chunk::<4>()?;
    let place = (Ipv4Addr::from(*address), u16::from_be_bytes(*port));
    (rest.len() >= 8).then(|| SocketName::Tcp(place.into()))
}

/// What follows the family in `struct sockaddr_in6`: port, flow, address, and the scope if it is there.
fn ipv6(rest: &[u8]) -> Option<SocketName> {
    let (port, rest) = rest.split_first_chunk()?;
    let (_flow, rest) = rest.split_first_chunk::<4>()?;
    let (address, rest) = rest.split_first_chunk::<16>()?;
    let scope = rest.first_chunk().map_or(0, |scope| u32::from_ne_bytes(*scope));
    let (address, port) = (Ipv6Addr::from(*address), u16::from_be_bytes(*port));
    Some(SocketName::Tcp(SocketAddrV6::new(address, port, 0, scope).into()))
}

/// What follows the family in `struct sockaddr_un`: a path up to its NUL, or a NUL and a name.
fn unix(rest: &[u8]) -> Option<SocketName> {
    match rest {
        [] | [0] => None, // the kernel chooses
        [0, name @ ..] => Some(SocketName::Abstract(name.into())),
        path => {
            let path = path.split(|byte| *byte == 0).next()?;
            Some(SocketName::Path(OsStr::from_bytes(path).into()))
        }
    }
}

impl SocketName {
    /// Asks the kernel where a socket is bound.
    pub(super) fn of(socket: impl AsFd) -> Option<Self> {
        let name = getsockname(socket).ok()?;
        if let Ok(address) = SocketAddr::try_from(name.clone()) {
            return Some(Self::Tcp(address));
        }
        let name = SocketAddrUnix::try_from(name).ok()?;
        let path = name.path_bytes().map(|path| Self::Path(OsStr::from_bytes(path).into()));
        path.or_else(|| name.abstract_name().map(|name| Self::Abstract(name.into())))
    }

    pub(super) const fn is_tcp(&self) -> bool {
        matches!(self, Self::Tcp(_))
    }

    pub(super) const fn is_ipv4(&self) -> bool {
        matches!(self, Self::Tcp(SocketAddr::V4(_)))
    }

    pub(super) const fn is_ipv6(&self) -> bool {
        matches!(self, Self::Tcp(SocketAddr::V6(_)))
    }

    /// How well a listener of this name serves a program that asked for `wanted`; `None`: not at all.
    ///
    /// The port decides: a program that wants to listen to one interface, or to all, gets what the
    /// operator chose to listen to. Among several listeners of one port the likest is the best.
    /// `is_same` judges paths: what the program wants first, then ours.
    pub(super) fn serves(
        &self,
        wanted: &Self,
        is_same: impl Fn(&Path, &Path) -> bool,
    ) -> Option<u8> {
        match (self, wanted) {
            (Self::Tcp(ours), Self::Tcp(theirs)) => {
                let likeness = likeness(ours.ip().to_canonical(), theirs.ip().to_canonical());
                (ours.port() == theirs.port()).then_some(likeness)
            }
            (Self::Path(ours), Self::Path(theirs)) => is_same(theirs, ours).then_some(0),
            (Self::Abstract(ours), Self::Abstract(theirs)) => (ours == theirs).then_some(0),
            _ => None,
        }
    }
}

/// The same address before one that takes everything in, before one of the same family.
fn likeness(ours: IpAddr, theirs: IpAddr) -> u8 {
    let same_family = ours.is_ipv4() == theirs.is_ipv4();
    match (ours == theirs, ours.is_unspecified() && (ours.is_ipv6() || same_family)) {
        (true, _) => 4,
        (_, covers) => 2 * u8::from(covers) + u8::from(same_family),
    }
}

impl fmt::Display for SocketName {
    /// Writes the address as an operator would.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "tcp://{address}"),
            Self::Path(path) => write!(f, "unix:{}", path.display()),
            Self::Abstract(name) => write!(f, "unix:@{}", String::from_utf8_lossy(name)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::os::unix::net::UnixListener;

    use proptest::prelude::*;

    use super::*;

    fn family(family: i32) -> [u8; 2] {
        u16::try_from(family).unwrap().to_ne_bytes()
    }

    fn v4(port: u16, address: [u8; 4]) -> Vec<u8> {
        [&family(libc::AF_INET)[..], &port.to_be_bytes(), &address, &[0; 8]].concat()
    }

    fn v6(port: u16, address: Ipv6Addr) -> Vec<u8> {
        let head = [&family(libc::AF_INET6)[..], &port.to_be_bytes(), &[0; 4]].concat();
        [&head[..], &address.octets(), &[0; 4]].concat()
    }

    fn local(path: &[u8]) -> Vec<u8> {
        [&family(libc::AF_UNIX)[..], path].concat()
    }

    fn check(bytes: &[u8], printed: &str) {
        let read = address_of(bytes).map(|name| name.to_string());
        assert_eq!(read.as_deref().unwrap_or("-"), printed, "{bytes:?}");
    }

    #[test]
    fn every_family_of_stream_sockets_is_read() {
        check(&v4(8000, [127, 0, 0, 1]), "tcp://127.0.0.1:8000");
        check(&v4(0, [0; 4]), "tcp://0.0.0.0:0");
        check(&v6(80, Ipv6Addr::UNSPECIFIED), "tcp://[::]:80");
        check(&v6(80, Ipv6Addr::LOCALHOST)[..24], "tcp://[::1]:80");
        check(&local(b"/run/x.sock\0rubbish"), "unix:/run/x.sock");
        check(&local(b"x.sock"), "unix:x.sock");
        check(&local(b"\0name"), "unix:@name");
        check(&local(&[b'x'; 108]), &format!("unix:{}", "x".repeat(108)));
    }

    #[test]
    fn what_the_kernel_refuses_or_chooses_is_left_to_it() {
        check(&v4(80, [0; 4])[..15], "-");
        check(&v6(80, Ipv6Addr::LOCALHOST)[..23], "-");
        check(&local(b""), "-");
        check(&local(b"\0"), "-");
        check(&local(&[b'x'; 109]), "-");
        check(&family(libc::AF_NETLINK), "-");
        check(&[2], "-");
        check(&[], "-");
    }

    proptest! {
        #[test]
        fn rubbish_never_panics_and_any_name_can_be_printed(
            bytes in prop::collection::vec(any::<u8>(), 0..200), family in 0u16..12,
        ) {
            let _ = address_of(&bytes);
            let known = [&family.to_ne_bytes()[..], &bytes].concat();
            let printed = address_of(&known).map(|name| name.to_string());
            prop_assert!(printed.is_none_or(|text| text.starts_with("tcp://") || text.starts_with("unix:")));
        }

        #[test]
        fn ports_and_addresses_are_read_as_written(port: u16, octets: [u8; 4], wide: [u8; 16]) {
            let narrow = SocketAddr::from((octets, port));
            prop_assert_eq!(address_of(&v4(port, octets)), Some(SocketName::Tcp(narrow)));
            let wide = Ipv6Addr::from(wide);
            let expected = SocketName::Tcp((wide, port).into());
            prop_assert_eq!(address_of(&v6(port, wide)), Some(expected));
        }
    }

    /// Which of the listeners serves the program best.
    fn best<'a>(wanted: &str, ours: &[&'a str]) -> &'a str {
        let name = |text: &str| SocketName::Tcp(text.parse().unwrap());
        let same = |_: &Path, _: &Path| false;
        let rank = |ours: &&&str| name(ours).serves(&name(wanted), same);
        let found = ours.iter().filter(|it| rank(it).is_some()).max_by_key(rank);
        found.copied().unwrap_or("-")
    }

    #[test]
    fn the_port_decides_and_then_the_likest_address() {
        let two = ["127.0.0.1:80", "[::1]:80"];
        assert_eq!(best("127.0.0.1:80", &two), two[0]);
        assert_eq!(best("0.0.0.0:80", &two), two[0]);
        assert_eq!(best("[::]:80", &two), two[1]);
        assert_eq!(best("[::ffff:127.0.0.1]:80", &two), two[0]);
        assert_eq!(best("0.0.0.0:80", &["[::]:80", "10.0.0.1:80"]), "[::]:80");
        assert_eq!(best("[::1]:80", &["127.0.0.1:80"]), "127.0.0.1:80");
        assert_eq!(best("127.0.0.1:81", &two), "-");
    }

    #[test]
    fn a_listener_is_known_by_the_name_that_the_kernel_says() {
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        assert_eq!(SocketName::of(&tcp), Some(SocketName::Tcp(tcp.local_addr().unwrap())));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let unix = UnixListener::bind(&path).unwrap();
        assert_eq!(SocketName::of(&unix), Some(SocketName::Path(path)));
        assert_eq!(SocketName::of(std::fs::File::open("/dev/null").unwrap()), None);
    }
}
