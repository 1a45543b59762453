//! What a request tells of its connection, where hyper tells nothing.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use http::Request;
use http::uri::{Authority, Scheme};

/// The client's network address, an extension of every request that came over TCP.
///
/// Behind a proxy it is the proxy's: [`client`] and [`Origin`] say for whom that asks. A Unix socket
/// has none.
///
/// ```
/// use bellwether::http::Peer;
///
/// fn client<B>(request: &::http::Request<B>) -> String {
///     match request.extensions().get::<Peer>() {
///         Some(Peer(address)) => address.ip().to_string(),
///         None => "somebody on this machine".into(),
///     }
/// }
/// # let mut request = ::http::Request::new(());
/// # assert_eq!(client(&request), "somebody on this machine");
/// # request.extensions_mut().insert(Peer(([192, 0, 2, 1], 4711).into()));
/// # assert_eq!(client(&request), "192.0.2.1");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Peer(pub SocketAddr);

/// How long the connection waited in the buffer, an extension of its first request.
///
/// As [`Connection::waited`](crate::Connection::waited) says: from the first data on, exact to one
/// tick of the kernel (1 to 10 ms). The other requests of a connection have not waited, and over a
/// Unix socket nobody knows: they have none.
///
/// ```
/// use bellwether::http::Waited;
///
/// /// For the header `Server-Timing`, which browsers show beside their own times.
/// fn timing<B>(request: &::http::Request<B>) -> Option<String> {
///     let Waited(time) = request.extensions().get()?;
///     Some(format!("buffer;dur={}", time.as_millis()))
/// }
/// # let mut request = ::http::Request::new(());
/// # assert_eq!(timing(&request), None);
/// # request.extensions_mut().insert(Waited(std::time::Duration::from_millis(7)));
/// # assert_eq!(timing(&request).unwrap(), "buffer;dur=7");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Waited(pub Duration);

/// For whom a request is asked, as far as anybody says who is trusted; an extension of every request
/// of a server with [`Builder::proxies`](crate::Builder::proxies).
///
/// The client is the first from the right in the list of proxies that is not trusted itself:
/// whoever stands before it there may be anybody's invention. What nobody is trusted to say is taken
/// out of the request (`Forwarded`, `X-Real-IP`, `X-Forwarded-…`), so that nothing in an
/// application believes it; headers that are believed stay as they came, with what is invented.
///
/// ```
/// use bellwether::http::Origin;
///
/// fn is_secure<B>(request: &::http::Request<B>) -> bool {
///     let origin = request.extensions().get::<Origin>();
///     origin.is_some_and(|origin| *origin.scheme() == ::http::uri::Scheme::HTTPS)
/// }
/// # assert!(!is_secure(&::http::Request::new(())));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    pub(super) client: Option<IpAddr>,
    pub(super) port: Option<u16>,
    pub(super) scheme: Scheme,
    pub(super) host: Option<Authority>,
    pub(super) teller: Teller,
}

/// Who told the address of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Teller {
    /// The kernel: the client is whoever connected.
    Kernel,
    /// The PROXY header at the beginning of the connection.
    Preface,
    /// A header of the request.
    Headers,
}

impl Origin {
    /// Returns the client's address; `None` for one at a Unix socket, and one that a trusted proxy
    /// does not name, or not so that it can be read.
    #[must_use]
    pub const fn client(&self) -> Option<IpAddr> {
        self.client
    }

    /// Returns the client's port, where it was told.
    #[must_use]
    pub const fn port(&self) -> Option<u16> {
        self.port
    }

    /// Returns by which scheme the client asks, `http` or `https`.
    #[must_use]
    pub const fn scheme(&self) -> &Scheme {
        &self.scheme
    }

    /// Returns which host the client asks, with its port where it names one: what a proxy says, else
    /// what the request says.
    #[must_use]
    pub const fn host(&self) -> Option<&Authority> {
        self.host.as_ref()
    }

    /// Returns who told the client's address.
    #[must_use]
    pub const fn told(&self) -> Teller {
        self.teller
    }
}

/// Returns the address of who asks: that of the [`Origin`], else that of the [`Peer`].
///
/// ```
/// let request = ::http::Request::new(());
/// assert_eq!(bellwether::http::client(&request), None); // somebody at a Unix socket
/// ```
#[must_use]
pub fn client<B>(request: &Request<B>) -> Option<IpAddr> {
    match request.extensions().get::<Origin>() {
        Some(origin) => origin.client,
        None => request.extensions().get().map(|Peer(address)| address.ip()),
    }
}
