//! Where a connection comes from: networks by address, and this machine.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::error::{Error, Result};

/// Where connections come from that are treated alike.
///
/// Read from text: an address (`192.0.2.1`, `2001:db8::1`), a network (`10.0.0.0/8`,
/// `2001:db8::/32`), or a name: `loopback` (127.0.0.0/8 and ::1), `private` (what is routed inside
/// an organisation alone: 10.0.0.0/8, 172.16.0.0/12 and 192.168.0.0/16 of RFC 1918, fc00::/7 of RFC
/// 4193), `unix` (whoever may connect to the Unix sockets of the server).
///
/// ```
/// use bellwether::http::Network;
///
/// let network: Network = "10.0.0.0/8".parse()?;
/// assert!(network.holds(Some([10, 1, 2, 3].into())));
/// assert!(!network.holds(None)); // nobody of a Unix socket has an address
/// # Ok::<(), bellwether::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Network {
    /// All addresses with the same first bits.
    Ip(IpNet),
    /// This machine, over IP.
    Loopback,
    /// The address ranges that are routed inside an organisation alone.
    Private,
    /// Whoever may connect to a Unix socket.
    Unix,
}

const NAMES: [(&str, Network); 3] =
    [("loopback", Network::Loopback), ("private", Network::Private), ("unix", Network::Unix)];

const PRIVATE_4: [Ipv4Net; 3] = [
    Ipv4Net::new_assert(Ipv4Addr::new(10, 0, 0, 0), 8),
    Ipv4Net::new_assert(Ipv4Addr::new(172, 16, 0, 0), 12),
    Ipv4Net::new_assert(Ipv4Addr::new(192, 168, 0, 0), 16),
];

const PRIVATE_6: Ipv6Net = Ipv6Net::new_assert(Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7);

impl Network {
    /// Tells whether a peer with this address belongs to it; a peer without one is at a Unix socket.
    ///
    /// An IPv4 address is the same when it is written as an IPv6 one (`::ffff:192.0.2.1`).
    #[must_use]
    pub fn holds(&self, peer: Option<IpAddr>) -> bool {
        let Some(address) = peer.map(|it| it.to_canonical()) else { return *self == Self::Unix };
        match self {
            Self::Ip(network) => network.contains(&address),
            Self::Loopback => address.is_loopback(),
            Self::Private => match address {
                IpAddr::V4(address) => PRIVATE_4.iter().any(|it| it.contains(&address)),
                IpAddr::V6(address) => PRIVATE_6.contains(&address),
            },
            Self::Unix => false,
        }
    }
}

impl FromStr for Network {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = |problem: String| Error::Parse { what: "network", text: text.into(), problem };
        if let Some((_, named)) = NAMES.iter().find(|(name, _)| *name == text) {
            return Ok(*named);
        }
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self::Ip(address.to_canonical().into()));
        }
        let network: IpNet = text.parse().map_err(|_| {
            wrong("write 10.0.0.0/8, 2001:db8::/32, 192.0.2.1, loopback, private or unix".into())
        })?;
        // A slip of the pen in either half would trust somebody else.
        if network.addr() != network.network() {
            let (whole, one) = (network.trunc(), network.addr());
            return Err(wrong(format!("it has bits behind its length; write {whole} or {one}")));
        }
        Ok(Self::Ip(network))
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self, NAMES.iter().find(|(_, named)| named == self)) {
            (_, Some((name, _))) => f.write_str(name),
            (Self::Ip(network), _) if network.prefix_len() == network.max_prefix_len() => {
                write!(f, "{}", network.addr())
            }
            (Self::Ip(network), _) => write!(f, "{network}"),
            _ => Ok(()), // every other has a name
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_read_and_written_alike() {
        for text in ["10.0.0.0/8", "192.0.2.1", "2001:db8::/32", "::1", "0.0.0.0/0", "::/0"] {
            assert_eq!(text.parse::<Network>().unwrap().to_string(), text);
        }
        for (name, network) in NAMES {
            assert_eq!((name.parse::<Network>().unwrap(), &*network.to_string()), (network, name));
        }
        let mapped: Network = "::ffff:192.0.2.1".parse().unwrap();
        assert_eq!(mapped.to_string(), "192.0.2.1");
    }

    #[test]
    fn what_is_no_network_is_refused_with_what_to_write() {
        let check = |text: &str, words: &str| {
            let told = text.parse::<Network>().unwrap_err().to_string();
            assert!(told.contains(&format!("network `{text}`")) && told.contains(words), "{told}");
        };
        check("", "10.0.0.0/8");
        check("localhost", "loopback");
        check("10.0.0.0/33", "write 10.0.0.0/8");
        check("10.0.0.0/", "write 10.0.0.0/8");
        check("10.0.0.1/8", "write 10.0.0.0/8 or 10.0.0.1");
        check("2001:db8::1/32", "write 2001:db8::/32 or 2001:db8::1");
        check("10.0.0.0/255.0.0.0", "write 10.0.0.0/8");
        check("Unix", "unix");
    }

    #[test]
    fn peers_belong_where_their_address_says() {
        let check = |network: &str, peer: &str, expected: bool| {
            let network: Network = network.parse().unwrap();
            assert_eq!(network.holds(peer.parse().ok()), expected, "{network} {peer}");
        };
        check("10.0.0.0/8", "10.255.0.1", true);
        check("10.0.0.0/8", "11.0.0.1", false);
        check("10.0.0.0/8", "::ffff:10.0.0.1", true);
        check("10.0.0.0/8", "2001:db8::1", false);
        check("192.0.2.1", "192.0.2.1", true);
        check("192.0.2.1", "192.0.2.2", false);
        check("2001:db8::/32", "2001:db8:1::1", true);
        check("::/0", "192.0.2.1", false);
        check("::/0", "::ffff:192.0.2.1", false);
        check("0.0.0.0/0", "192.0.2.1", true);
        check("0.0.0.0/0", "nobody", false);
        check("loopback", "127.9.9.9", true);
        check("loopback", "::1", true);
        check("loopback", "::ffff:127.0.0.1", true);
        check("loopback", "10.0.0.1", false);
        check("private", "172.31.0.1", true);
        check("private", "172.32.0.1", false);
        check("private", "192.168.1.1", true);
        check("private", "fd00::1", true);
        check("private", "fe80::1", false);
        check("private", "127.0.0.1", false);
        check("unix", "nobody", true);
        check("unix", "127.0.0.1", false);
        check("loopback", "nobody", false);
    }
}
