//! Who speaks over a connection: what the kernel says, what a PROXY header says, and whose headers
//! are believed.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::header::{FORWARDED, HOST, HeaderMap, HeaderName};
use http::uri::{Authority, Scheme};
use http::{HeaderValue, Request};

use super::forwarded::{self, Hop, X_FORWARDED, X_REAL_IP};
use super::origin::{Origin, Teller};
use super::preface::preface;
use crate::handler::{Shift, Stream};
use crate::server::{Proxies, ProxyHeaders};

/// Who speaks over one connection.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    proxies: Arc<Proxies>,
    /// The nearest that is known of: who sends the headers.
    sender: Option<SocketAddr>,
    teller: Teller,
    /// Which headers of the sender are believed.
    believed: ProxyHeaders,
    scheme: Scheme,
}

impl Caller {
    /// As the kernel says it; a peer without an address is at a Unix socket.
    pub(super) fn new(proxies: Arc<Proxies>, peer: Option<SocketAddr>, is_secure: bool) -> Self {
        let scheme = if is_secure { Scheme::HTTPS } else { Scheme::HTTP };
        let believed = ProxyHeaders::Nothing;
        let it = Self { proxies, sender: peer, teller: Teller::Kernel, believed, scheme };
        Self { believed: it.believed_if(it.is_trusted()), ..it }
    }

    /// Lets a proxy say for whom it has opened the connection, where it is to.
    ///
    /// # Errors
    /// It does not: the connection is to be closed.
    pub(super) async fn met(
        self: Arc<Self>,
        stream: &mut Stream,
        limit: Duration,
        shift: &mut Shift,
    ) -> Result<Arc<Self>, ()> {
        if !self.speaks_first() {
            return Ok(self);
        }
        let client = preface(stream, self.sender, limit, shift).await?;
        Ok(Arc::new(Arc::unwrap_or_clone(self).named(client)))
    }

    /// Tells whether the connection begins with a PROXY header.
    fn speaks_first(&self) -> bool {
        self.proxies.speak_first() && self.is_trusted()
    }

    /// A PROXY header has named this client.
    ///
    /// The headers then come from that client: they are believed where it is trusted, too. Of
    /// one that is not named nobody knows whose headers they are.
    fn named(self, client: Option<SocketAddr>) -> Self {
        let Some(client) = client else {
            return Self { believed: ProxyHeaders::Nothing, ..self };
        };
        let client = SocketAddr::new(client.ip().to_canonical(), client.port());
        let it = Self { sender: Some(client), teller: Teller::Preface, ..self };
        Self { believed: it.believed_if(it.is_trusted()), ..it }
    }

    fn is_trusted(&self) -> bool {
        self.proxies.trust(self.sender.map(|it| it.ip()))
    }

    fn believed_if(&self, is_trusted: bool) -> ProxyHeaders {
        if is_trusted { self.proxies.believed() } else { ProxyHeaders::Nothing }
    }

    /// Gives a request its origin, and takes out of it what nobody is trusted to say.
    pub(super) fn introduce<B>(&self, request: &mut Request<B>) {
        let host = own_host(request);
        let origin = self.origin(request.headers(), host);
        self.clear(request.headers_mut());
        request.extensions_mut().insert(origin);
    }

    fn origin(&self, headers: &HeaderMap, host: Option<Authority>) -> Origin {
        let origin = Origin {
            client: self.sender.map(|it| it.ip().to_canonical()),
            port: self.sender.map(|it| it.port()),
            scheme: self.scheme.clone(),
            host,
            teller: self.teller,
        };
        match self.believed {
            ProxyHeaders::Forwarded => self.follow(origin, forwarded::forwarded(headers)),
            ProxyHeaders::XForwarded => self.follow(origin, forwarded::x_forwarded(headers)),
            ProxyHeaders::Nothing => origin,
        }
    }

    /// Goes from proxy to proxy, up to the first that is not trusted: that is the client.
    fn follow(&self, mut origin: Origin, hops: impl Iterator<Item = Hop>) -> Origin {
        for Hop { client, scheme, host } in hops {
            origin.client = client.map(|(address, _)| address);
            origin.port = client.and_then(|(_, port)| port);
            origin.scheme = scheme.unwrap_or(origin.scheme);
            origin.host = host.or(origin.host);
            origin.teller = Teller::Headers;
            if !origin.client.is_some_and(|it| self.proxies.trust(Some(it))) {
                break;
            }
        }
        origin
    }

    fn clear(&self, headers: &mut HeaderMap) {
        let names = |name: &HeaderName| name.as_str().starts_with(X_FORWARDED);
        if self.believed != ProxyHeaders::XForwarded && headers.keys().any(names) {
            let unwanted: Vec<_> = headers.keys().filter(|name| names(name)).cloned().collect();
            unwanted.into_iter().for_each(|name| drop(headers.remove(name)));
        }
        if self.believed != ProxyHeaders::Forwarded {
            headers.remove(FORWARDED);
        }
        headers.remove(X_REAL_IP);
    }
}

/// The host that the request itself names.
fn own_host<B>(request: &Request<B>) -> Option<Authority> {
    let named = request.headers().get(HOST).map(HeaderValue::to_str);
    let named = || forwarded::host(named?.ok()?);
    request.uri().authority().cloned().or_else(named)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::Network;

    /// Trusts 10.0.0.0/8 and Unix sockets.
    fn proxies(headers: ProxyHeaders) -> Arc<Proxies> {
        let trusted = ["10.0.0.0/8", "unix"].map(|it| it.parse::<Network>().unwrap());
        Arc::new(Proxies::trusting(trusted).protocol().headers(headers))
    }

    const LINES: &[(&str, &str)] = &[
        ("forwarded", "for=192.0.2.8;proto=https, for=10.0.0.2;host=inner.example"),
        ("x-forwarded-for", "198.51.100.1, 192.0.2.9, 10.0.0.2"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "shop.example"),
        ("x-real-ip", "203.0.113.1"),
        ("x-other", "kept"),
    ];

    /// The origin as `client scheme host teller`, and which headers are left.
    fn introduced(caller: &Caller, lines: &[(&str, &str)]) -> (String, String) {
        let request = Request::get("/").header("host", "own.example");
        let request = lines.iter().fold(request, |it, (name, line)| it.header(*name, *line));
        let mut request = request.body(()).unwrap();
        caller.introduce(&mut request);
        let origin: &Origin = request.extensions().get().unwrap();
        let client = origin.client().map_or_else(|| "-".into(), |it| it.to_string());
        let port = origin.port().map_or_else(String::new, |it| format!("#{it}"));
        let host = origin.host().map_or("-", Authority::as_str);
        let mut names: Vec<_> = request.headers().keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        (format!("{client}{port} {} {host} {:?}", origin.scheme(), origin.told()), names.join(" "))
    }

    #[track_caller]
    fn check(peer: &str, headers: ProxyHeaders, lines: &[(&str, &str)], origin: &str, left: &str) {
        let caller = Caller::new(proxies(headers), peer.parse().ok(), false);
        assert_eq!(introduced(&caller, lines), (origin.into(), left.into()), "{peer} {headers:?}");
    }

    use ProxyHeaders::{Forwarded, Nothing, XForwarded};

    #[test]
    fn who_is_not_trusted_is_who_the_kernel_says() {
        for kind in [Nothing, Forwarded, XForwarded] {
            check(
                "192.0.2.1:7",
                kind,
                LINES,
                "192.0.2.1#7 http own.example Kernel",
                "host x-other",
            );
        }
        check("10.0.0.1:7", Nothing, LINES, "10.0.0.1#7 http own.example Kernel", "host x-other");
        check("unix", Nothing, LINES, "- http own.example Kernel", "host x-other");
    }

    #[test]
    fn the_first_from_the_right_that_is_not_trusted_is_the_client() {
        let left = "host x-forwarded-for x-forwarded-host x-forwarded-proto x-other";
        check("10.0.0.1:7", XForwarded, LINES, "192.0.2.9 https shop.example Headers", left);
        check("unix", XForwarded, LINES, "192.0.2.9 https shop.example Headers", left);
        let left = "forwarded host x-other";
        check("10.0.0.1:7", Forwarded, LINES, "192.0.2.8 https inner.example Headers", left);
        check(
            "[::ffff:10.0.0.1]:7",
            Forwarded,
            LINES,
            "192.0.2.8 https inner.example Headers",
            left,
        );
    }

    #[test]
    fn lists_end_in_many_ways() {
        let check = |line: &str, expected: &str| {
            let caller = Caller::new(proxies(XForwarded), "10.0.0.1:7".parse().ok(), true);
            let told = introduced(&caller, &[("x-forwarded-for", line)]).0;
            assert_eq!(told, format!("{expected}"), "{line}");
        };
        check("192.0.2.1", "192.0.2.1 https own.example Headers");
        check("192.0.2.1:80", "192.0.2.1#80 https own.example Headers");
        check("1.1.1.1, 192.0.2.1", "192.0.2.1 https own.example Headers");
        check("10.0.0.9, 192.0.2.1", "192.0.2.1 https own.example Headers");
        check("192.0.2.1, 10.0.0.9", "192.0.2.1 https own.example Headers");
        check("10.0.0.8, 10.0.0.9", "10.0.0.8 https own.example Headers");
        check("1.1.1.1, unknown", "- https own.example Headers");
        check("1.1.1.1, unknown, 10.0.0.9", "- https own.example Headers");
        check("1.1.1.1, rubbish, 10.0.0.9", "- https own.example Headers");
        check("", "10.0.0.1#7 https own.example Kernel");
    }

    #[test]
    fn headers_behind_a_proxy_header_are_those_of_whom_it_names() {
        let check = |client: &str, expected: &str| {
            let caller = Caller::new(proxies(XForwarded), None, false);
            assert!(caller.speaks_first());
            let caller = caller.named(client.parse().ok());
            assert_eq!(introduced(&caller, LINES).0, expected, "{client}");
        };
        check("192.0.2.1:7", "192.0.2.1#7 http own.example Preface");
        check("10.0.0.5:7", "192.0.2.9 https shop.example Headers");
        check("[::ffff:192.0.2.1]:7", "192.0.2.1#7 http own.example Preface");
        check("nobody", "- http own.example Kernel");
    }

    #[test]
    fn who_is_not_trusted_does_not_speak_first() {
        let speaks = |peer: &str, proxies: Arc<Proxies>| {
            Caller::new(proxies, peer.parse().ok(), false).speaks_first()
        };
        assert!(speaks("10.0.0.1:7", proxies(Nothing)));
        assert!(!speaks("192.0.2.1:7", proxies(Nothing)));
        let silent = Proxies::trusting([Network::Unix]).headers(Forwarded);
        assert!(!speaks("unix", Arc::new(silent)));
    }
}
