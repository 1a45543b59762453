//! What a request tells of its connection, where hyper tells nothing.

use std::net::SocketAddr;
use std::time::Duration;

/// The client's network address, an extension of every request that came over TCP.
///
/// Behind a proxy it is the proxy's. A Unix socket has none.
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
