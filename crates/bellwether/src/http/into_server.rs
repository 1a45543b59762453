//! What an HTTP server can be made of.

use std::net::SocketAddr;

use crate::address::Address;
use crate::error::Result;
use crate::server::{Builder, Server};

/// Where [`serve`](super::serve) can serve: an address is enough.
///
/// An address is opened with the default settings, a [`Builder`] with its own; both with
/// [`Defer::ON`](crate::Defer::ON) where nothing else is said, because in HTTP the client speaks
/// first. A [`Server`] is taken as it was opened.
///
/// ```no_run
/// use bellwether::http::IntoServer;
/// use bellwether::{Defer, Server};
///
/// # fn main() -> Result<(), bellwether::Error> {
/// let builder = || Server::builder().listen("127.0.0.1:8080");
/// // The same three times.
/// let server = "127.0.0.1:8080".into_server()?;
/// let server = builder().into_server()?;
/// let server = builder().defer_accept(Defer::ON).open()?;
/// # Ok(())
/// # }
/// ```
pub trait IntoServer {
    /// Opens it, unless it is open.
    ///
    /// # Errors
    /// As [`Builder::open`].
    fn into_server(self) -> Result<Server>;
}

impl IntoServer for Server {
    fn into_server(self) -> Result<Server> {
        Ok(self)
    }
}

impl IntoServer for Builder {
    fn into_server(self) -> Result<Server> {
        self.open_deferred()
    }
}

impl IntoServer for &str {
    fn into_server(self) -> Result<Server> {
        Server::builder().listen(self).into_server()
    }
}

impl IntoServer for String {
    fn into_server(self) -> Result<Server> {
        self.as_str().into_server()
    }
}

impl IntoServer for Address {
    fn into_server(self) -> Result<Server> {
        Server::builder().listen(self).into_server()
    }
}

impl IntoServer for SocketAddr {
    fn into_server(self) -> Result<Server> {
        Server::builder().listen(self).into_server()
    }
}
