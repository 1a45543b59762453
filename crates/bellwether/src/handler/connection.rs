//! What a handler wins: an accepted connection.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::net::{RecvFlags, SendFlags};

use crate::address::Kind;
use crate::sys::socket;

/// The outcome of one attempt to accept.
///
/// Losing is as ordinary as winning: all who woke tried, and one was first.
#[derive(Debug)]
pub(crate) enum Accepted {
    /// The connection is this handler's.
    Won(Connection),
    /// Nothing was pending any more.
    Lost,
}

/// An accepted connection, to be read from and written to; dropping it closes it.
///
/// ```no_run
/// use std::io::{Read, Write};
/// # fn serve(mut connection: bellwether::Connection) -> std::io::Result<()> {
/// let mut request = [0; 1024];
/// let length = connection.read(&mut request)?;
/// connection.write_all(&request[..length])
/// # }
/// ```
#[derive(Debug)]
pub struct Connection {
    fd: OwnedFd,
    kind: Kind,
    waited: Option<Duration>,
}

impl Connection {
    pub(crate) fn new(fd: OwnedFd, kind: Kind) -> Self {
        let waited = (kind == Kind::Tcp).then(|| socket::tcp_quiet_ms(&fd).ok()).flatten();
        Self { fd, kind, waited: waited.map(|ms| Duration::from_millis(ms.into())) }
    }

    /// Returns how long the connection waited in the buffer before it was accepted.
    ///
    /// Counted from its first data, or from its handshake when there was none yet; exact to one
    /// tick of the kernel (1 to 10 ms). `None` for Unix sockets, where the kernel does not say.
    #[must_use]
    pub const fn waited(&self) -> Option<Duration> {
        self.waited
    }

    /// Returns the client's network address; `None` for Unix sockets.
    #[must_use]
    pub fn client(&self) -> Option<SocketAddr> {
        rustix::net::getpeername(&self.fd).ok()??.try_into().ok()
    }

    /// Turns the connection into the standard library's TCP stream.
    ///
    /// # Errors
    /// Gives the connection back when it is not TCP.
    pub fn into_tcp(self) -> Result<TcpStream, Self> {
        if self.kind == Kind::Tcp { Ok(self.fd.into()) } else { Err(self) }
    }

    /// Turns the connection into the standard library's Unix stream.
    ///
    /// # Errors
    /// Gives the connection back when it is not a Unix socket.
    pub fn into_unix(self) -> Result<UnixStream, Self> {
        if self.kind == Kind::Unix { Ok(self.fd.into()) } else { Err(self) }
    }
}

impl Read for Connection {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let (length, _) = rustix::net::recv(&self.fd, buffer, RecvFlags::empty())?;
        Ok(length)
    }
}

impl Write for Connection {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(rustix::net::send(&self.fd, bytes, SendFlags::NOSIGNAL)?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl From<Connection> for OwnedFd {
    fn from(connection: Connection) -> Self {
        connection.fd
    }
}
