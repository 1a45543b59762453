//! Who may say who a client is: the proxies before a server of HTTP, and how they say it.

use std::net::IpAddr;
use std::str::FromStr;

use super::network::Network;
use crate::error::{Error, Result};

/// Which proxies are before the server, and how they say for whom they ask.
///
/// Set by [`Builder::proxies`](crate::Builder::proxies). Each request then has the extension
/// [`Origin`](crate::http::Origin), which says who asks, as far as it is known from somebody who
/// is trusted. Who is not in one of these networks is a plain client: it cannot say that it is
/// somebody else, in no way.
///
/// ```
/// use bellwether::Server;
/// use bellwether::http::{Proxies, ProxyHeaders};
///
/// // nginx on the same machine, which sets X-Forwarded-For and -Proto:
/// let nginx = Proxies::trusting(["loopback".parse()?]).headers(ProxyHeaders::XForwarded);
/// // A balancer of TCP in another network, which begins with a PROXY header:
/// let balancer = Proxies::trusting(["10.1.0.0/16".parse()?]).protocol();
/// let builder = Server::builder().listen("127.0.0.1:8080").proxies(nginx);
/// # Ok::<(), bellwether::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxies {
    trusted: Vec<Network>,
    protocol: bool,
    headers: ProxyHeaders,
}

/// The headers by which a proxy says for whom it asks.
///
/// One kind alone is believed: a proxy that sets one of them hands on the other as the client sent it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ProxyHeaders {
    /// None is believed.
    #[default]
    Nothing,
    /// `Forwarded`, as RFC 7239 has it.
    Forwarded,
    /// `X-Forwarded-For`, `X-Forwarded-Proto` and `X-Forwarded-Host`.
    XForwarded,
}

impl Proxies {
    /// Trusts the peers of these networks.
    #[must_use]
    pub fn trusting(networks: impl IntoIterator<Item = Network>) -> Self {
        let trusted = networks.into_iter().collect();
        Self { trusted, protocol: false, headers: ProxyHeaders::Nothing }
    }

    /// Lets each connection from a trusted peer begin with a PROXY header, version 1 or 2, of at
    /// most 4096 bytes; default no.
    ///
    /// It must come: who is trusted and begins otherwise is closed, because whether a header is
    /// there must not be guessed (its specification, section 2). Who is not trusted is served
    /// as a plain client, and a PROXY header of his is a request that is no HTTP.
    #[must_use]
    pub const fn protocol(mut self) -> Self {
        self.protocol = true;
        self
    }

    /// Sets which headers of trusted peers are believed; default none.
    #[must_use]
    pub const fn headers(mut self, headers: ProxyHeaders) -> Self {
        self.headers = headers;
        self
    }

    /// Tells whether a peer with this address is trusted; one without is at a Unix socket.
    #[must_use]
    pub fn trust(&self, peer: Option<IpAddr>) -> bool {
        self.trusted.iter().any(|network| network.holds(peer))
    }

    /// Tells whether trusted peers begin with a PROXY header.
    pub(crate) const fn speak_first(&self) -> bool {
        self.protocol
    }

    /// Returns which headers of trusted peers are believed.
    pub(crate) const fn believed(&self) -> ProxyHeaders {
        self.headers
    }

    /// Refuses what would believe nobody.
    pub(super) fn check(&self) -> Result<()> {
        let problem = if self.trusted.is_empty() {
            "nobody is trusted; name the networks of the proxies"
        } else if !self.protocol && self.headers == ProxyHeaders::Nothing {
            "they are trusted and nothing they say is believed; choose the PROXY protocol or headers"
        } else {
            return Ok(());
        };
        Err(Error::configure("proxies", problem))
    }
}

impl FromStr for ProxyHeaders {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "none" => Ok(Self::Nothing),
            "forwarded" => Ok(Self::Forwarded),
            "x-forwarded" => Ok(Self::XForwarded),
            _ => Err(Error::Parse {
                what: "kind of headers",
                text: text.into(),
                problem: "write forwarded, x-forwarded or none".into(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_believe_nobody_is_refused() {
        let check = |proxies: Proxies, words: Option<&str>| {
            let told = proxies.check().err().map(|error| error.to_string());
            assert_eq!(told.is_some(), words.is_some(), "{proxies:?}: {told:?}");
            assert!(told.unwrap_or_default().contains(words.unwrap_or_default()));
        };
        check(Proxies::trusting([]).protocol(), Some("nobody is trusted"));
        check(Proxies::trusting([Network::Unix]), Some("nothing they say"));
        check(Proxies::trusting([Network::Unix]).protocol(), None);
        check(Proxies::trusting([Network::Unix]).headers(ProxyHeaders::Forwarded), None);
    }

    #[test]
    fn kinds_of_headers_have_names() {
        let check = |text: &str, expected| assert_eq!(text.parse().ok(), expected, "{text}");
        check("none", Some(ProxyHeaders::Nothing));
        check("forwarded", Some(ProxyHeaders::Forwarded));
        check("x-forwarded", Some(ProxyHeaders::XForwarded));
        check("X-Forwarded-For", None);
    }
}
