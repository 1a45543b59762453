//! Under which names a browser may ask: a page of somewhere else must not read what is here.
//!
//! A name of an attacker's that resolves to 127.0.0.1 would be of the same origin as we are (DNS
//! rebinding); what tells it from us is the Host header.

use std::net::{IpAddr, SocketAddr};

/// The names that are answered.
#[derive(Clone, Debug)]
pub(super) enum Hosts {
    /// At a Unix socket no browser asks but through a proxy, which has its own rules.
    Any,
    These(Vec<String>),
}

impl Hosts {
    /// The names of an address as it was opened, and others.
    pub(super) fn of(address: &str, more: &[String]) -> Self {
        let Some(address) = tcp(address) else { return Self::Any };
        let mut names = vec!["localhost".into(), "127.0.0.1".into(), "[::1]".into()];
        names.push(match address.ip() {
            IpAddr::V4(ip) => ip.to_string(),
            IpAddr::V6(ip) => format!("[{ip}]"),
        });
        names.extend(more.iter().map(|name| name.to_ascii_lowercase()));
        Self::These(names)
    }

    /// Tells whether this may be asked for, whatever the port.
    pub(super) fn allow(&self, host: Option<&str>) -> bool {
        let Self::These(names) = self else { return true };
        let Some(host) = host else { return false };
        let name = match host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
            _ => host,
        };
        names.iter().any(|known| known.eq_ignore_ascii_case(name))
    }
}

fn tcp(address: &str) -> Option<SocketAddr> {
    address.strip_prefix("tcp://")?.parse().ok()
}

/// Tells whether nobody but this machine reaches an address.
pub(super) fn is_private(address: &str) -> bool {
    tcp(address).is_none_or(|address| address.ip().is_loopback())
}

/// How a browser is told to come here.
pub(super) fn url(address: &str) -> String {
    match tcp(address) {
        Some(address) => format!("http://{address}/"),
        None => format!("{address}:/"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_may_ask_under_our_names_alone() {
        let hosts = Hosts::of("tcp://127.0.0.1:9180", &["watch.Example".into()]);
        let check = |host: &str, allowed| assert_eq!(hosts.allow(Some(host)), allowed, "{host}");
        check("localhost:9180", true);
        check("LOCALHOST", true);
        check("127.0.0.1:1", true);
        check("[::1]:9180", true);
        check("watch.example", true);
        check("evil.example:9180", false);
        check("localhost.evil.example", false);
        check("", false);
        check("localhost:9180:x", false);
        assert!(!hosts.allow(None));
        assert!(Hosts::of("unix:/run/x.sock", &[]).allow(None));
        assert!(Hosts::of("tcp://[2001:db8::1]:80", &[]).allow(Some("[2001:db8::1]:80")));
    }

    #[test]
    fn an_address_is_private_or_open_to_all() {
        let check = |address: &str, private| assert_eq!(is_private(address), private, "{address}");
        check("tcp://127.0.0.1:1", true);
        check("tcp://[::1]:1", true);
        check("unix:/x", true);
        check("tcp://0.0.0.0:1", false);
        check("tcp://[::]:1", false);
        check("tcp://192.0.2.1:1", false);
    }
}
