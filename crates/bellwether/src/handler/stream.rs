//! A connection in the hands of tokio.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::Pin;
use std::task::{Context, Poll};

#[cfg(feature = "http")]
use rustix::net::{RecvFlags, recv};
#[cfg(feature = "http")]
use tokio::io::Interest;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

use super::connection::Connection;
#[cfg(feature = "http")]
use crate::sys::socket;

/// An accepted connection as an asynchronous stream.
#[derive(Debug)]
#[non_exhaustive]
pub enum Stream {
    /// From a TCP address.
    Tcp(TcpStream),
    /// From a Unix address.
    Unix(UnixStream),
}

impl TryFrom<Connection> for Stream {
    type Error = io::Error;

    /// Registers the connection with the runtime of this thread.
    ///
    /// # Errors
    /// What epoll answers.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    fn try_from(connection: Connection) -> io::Result<Self> {
        match connection.into_tcp() {
            Ok(tcp) => {
                tcp.set_nonblocking(true)?;
                TcpStream::from_std(tcp).map(Self::Tcp)
            }
            Err(other) => {
                let unix: std::os::unix::net::UnixStream = std::os::fd::OwnedFd::from(other).into();
                unix.set_nonblocking(true)?;
                UnixStream::from_std(unix).map(Self::Unix)
            }
        }
    }
}

impl Stream {
    /// Waits until there is something to read, or the client has closed.
    ///
    /// # Errors
    /// What the runtime's epoll answers.
    pub async fn readable(&self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.readable().await,
            Self::Unix(stream) => stream.readable().await,
        }
    }
}

/// How many bytes may lie in the kernel that it cannot send yet.
///
/// Left to itself it takes up to 4 MiB for each connection (net.ipv4.tcp_wmem); of a thousand clients that do not
/// read, that is all the memory that it has for TCP (measured: 2.2 GiB, and 0.3 with this bound).
#[cfg(feature = "http")]
const UNSENT: u32 = 128 << 10;

#[cfg(feature = "http")]
impl Stream {
    /// Bounds what the kernel stores of answers that the client does not read.
    pub(crate) fn bound_unsent(&self) {
        if let Self::Tcp(stream) = self {
            // Where it is not known, it was not before.
            let _ = socket::bound_unsent(stream, UNSENT);
        }
    }

    /// Another descriptor of the same connection.
    pub(crate) fn twin(&self) -> io::Result<Self> {
        let fd = self.as_fd().try_clone_to_owned()?;
        match self {
            Self::Tcp(_) => TcpStream::from_std(fd.into()).map(Self::Tcp),
            Self::Unix(_) => UnixStream::from_std(fd.into()).map(Self::Unix),
        }
    }

    /// Waits for bytes, looks at them and leaves them there; none: the client has closed.
    pub(crate) async fn peek(&self, bytes: &mut [u8]) -> io::Result<usize> {
        let mut look = || Ok(recv(self, &mut *bytes, RecvFlags::PEEK | RecvFlags::DONTWAIT)?.0);
        match self {
            Self::Tcp(stream) => stream.async_io(Interest::READABLE, &mut look).await,
            Self::Unix(stream) => stream.async_io(Interest::READABLE, &mut look).await,
        }
    }

    /// Looks at the first byte that the client has sent and leaves it there; `None`: there is none.
    #[cfg(feature = "tls")]
    pub(crate) fn first_byte(&self) -> Option<u8> {
        let mut first = [0];
        let (length, _) = recv(self, &mut first, RecvFlags::PEEK | RecvFlags::DONTWAIT).ok()?;
        (length == 1).then_some(first[0])
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(stream) => stream.as_fd(),
            Self::Unix(stream) => stream.as_fd(),
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Unix(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            Self::Unix(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Self::Unix(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
