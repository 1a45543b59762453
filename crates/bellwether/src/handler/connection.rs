//! What a handler wins: an accepted connection.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};

use super::deadline::Deadline;
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
/// When its request's [`Deadline`] has passed, a read or write that would have to wait answers
/// [`TimedOut`](io::ErrorKind::TimedOut); what is there is still read, and what fits is still
/// written, so that the client can be told.
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
    deadline: Option<Deadline>,
    /// Whether it is to be sent away by whoever gets it.
    #[cfg_attr(not(feature = "tokio"), allow(dead_code))]
    // blocking handlers are told otherwise
    unwanted: bool,
}

impl Connection {
    pub(crate) fn new(fd: OwnedFd, kind: Kind) -> Self {
        let waited = (kind == Kind::Tcp).then(|| socket::tcp_quiet_ms(&fd).ok()).flatten();
        let waited = waited.map(|ms| Duration::from_millis(ms.into()));
        Self { fd, kind, waited, deadline: None, unwanted: false }
    }

    /// Lets the connection know how long it has.
    pub(super) fn until(self, deadline: Deadline) -> Self {
        Self { deadline: Some(deadline), ..self }
    }

    /// Marks the connection as one that is to be sent away.
    #[cfg(feature = "tokio")]
    pub(super) fn unwanted(self) -> Self {
        Self { unwanted: true, ..self }
    }

    /// Tells whether the connection is to be sent away instead of served.
    #[cfg(feature = "tokio")]
    pub(crate) const fn is_unwanted(&self) -> bool {
        self.unwanted
    }

    /// Returns how long the handler has for this connection's request.
    ///
    /// `None` when the server sets no deadlines, and for connections whose protocol carries
    /// several requests.
    #[must_use]
    pub fn deadline(&self) -> Option<Deadline> {
        self.deadline.clone()
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

    /// Turns the connection into the standard library's TCP stream, which knows no deadline.
    ///
    /// # Errors
    /// Gives the connection back when it is not TCP.
    pub fn into_tcp(self) -> Result<TcpStream, Self> {
        if self.kind == Kind::Tcp { Ok(self.fd.into()) } else { Err(self) }
    }

    /// Turns the connection into the standard library's Unix stream, which knows no deadline.
    ///
    /// # Errors
    /// Gives the connection back when it is not a Unix socket.
    pub fn into_unix(self) -> Result<UnixStream, Self> {
        if self.kind == Kind::Unix { Ok(self.fd.into()) } else { Err(self) }
    }
}

impl Connection {
    /// Tries until it need not wait, or the soft deadline has passed.
    fn in_time<T>(
        &self,
        deadline: &Deadline,
        event: PollFlags,
        mut attempt: impl FnMut() -> Result<T, Errno>,
    ) -> io::Result<T> {
        loop {
            match attempt() {
                Err(Errno::AGAIN) => self.wait_for(event, deadline)?,
                other => return Ok(other?),
            }
        }
    }

    /// Waits for room or data, unless the handler has made the connection non-blocking.
    fn wait_for(&self, event: PollFlags, deadline: &Deadline) -> io::Result<()> {
        if rustix::fs::fcntl_getfl(&self.fd)?.contains(OFlags::NONBLOCK) {
            return Err(Errno::AGAIN.into());
        }
        let left = deadline.told_in();
        if left.is_some_and(|left| left.is_zero()) {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "the request's deadline is over"));
        }
        // A wait that is too long for the kernel is for ever.
        let left = left.and_then(|left| Timespec::try_from(left).ok());
        match rustix::event::poll(&mut [PollFd::new(&self.fd, event)], left.as_ref()) {
            // Another thread may have moved the deadline: look again at each.
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }
}

impl Read for Connection {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let receive = |buffer: &mut [u8], flags| {
            rustix::net::recv(&self.fd, buffer, flags).map(|(length, _)| length)
        };
        let Some(deadline) = &self.deadline else {
            return Ok(receive(buffer, RecvFlags::empty())?);
        };
        self.in_time(deadline, PollFlags::IN, || receive(buffer, RecvFlags::DONTWAIT))
    }
}

impl Write for Connection {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let send = |flags| rustix::net::send(&self.fd, bytes, SendFlags::NOSIGNAL | flags);
        let Some(deadline) = &self.deadline else { return Ok(send(SendFlags::empty())?) };
        self.in_time(deadline, PollFlags::OUT, || send(SendFlags::DONTWAIT))
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

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use super::super::deadline::Deadlines;
    use super::super::requests::{Requests, Unfinished, tests::page};
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const HOUR: Duration = Duration::from_secs(3600);

    /// Both ends of a connection whose request arrived a second ago and has this long.
    fn pair(soft: Option<Duration>) -> (Connection, UnixStream, Unfinished) {
        let (telemetry, _) = page();
        let requests = Requests::of(telemetry.mark(0), Deadlines { soft, hard: None });
        let request = requests.begin(Some(SECOND));
        let (ours, theirs) = UnixStream::pair().unwrap();
        let connection = Connection::new(ours.into(), Kind::Unix).until(request.deadline());
        (connection, theirs, request)
    }

    #[test]
    fn when_time_is_over_what_is_there_is_read_and_nothing_is_waited_for() {
        let (mut connection, mut client, _request) = pair(Some(SECOND));
        client.write_all(b"late").unwrap();
        let mut bytes = [0; 8];
        assert_eq!(connection.read(&mut bytes).unwrap(), 4);
        assert_eq!(connection.read(&mut bytes).unwrap_err().kind(), ErrorKind::TimedOut);
        drop(client);
        assert_eq!(connection.read(&mut bytes).unwrap(), 0, "the end is there to be read");
    }

    #[test]
    fn when_time_is_over_what_fits_is_written_and_no_room_is_waited_for() {
        let (mut connection, client, _request) = pair(Some(SECOND));
        let error = std::iter::repeat_with(|| connection.write_all(&[b'x'; 4096]));
        let error = error.take(1 << 16).find_map(Result::err).unwrap();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        drop(client);
    }

    #[test]
    fn a_read_is_waited_for_until_time_is_over() {
        let (mut connection, client, _request) = pair(Some(SECOND + Duration::from_millis(20)));
        let deadline = connection.deadline().unwrap();
        assert_eq!(connection.read(&mut [0]).unwrap_err().kind(), ErrorKind::TimedOut);
        assert!(deadline.is_over());
        drop(client);
    }

    #[test]
    fn while_there_is_time_a_read_waits_for_the_client() {
        for soft in [Some(HOUR), None] {
            let (mut connection, mut client, _request) = pair(soft);
            let reading = std::thread::spawn(move || {
                let mut line = [0; 5];
                connection.read_exact(&mut line).map(|()| line)
            });
            for byte in b"hello" {
                client.write_all(&[*byte]).unwrap();
            }
            assert_eq!(reading.join().unwrap().unwrap(), *b"hello");
        }
    }

    #[test]
    fn a_connection_that_was_made_non_blocking_does_not_wait() {
        let (mut connection, client, _request) = pair(Some(HOUR));
        rustix::io::ioctl_fionbio(&connection, true).unwrap();
        assert_eq!(connection.read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
        drop(client);
    }
}
