//! The kernel's queue behind an address: how much waits, how much may wait, how much was lost.

use std::io;

use crate::address::{Kind, Listener};
use crate::sys::{socket, unix_diag};

/// A reading of the buffer behind an address.
///
/// The buffer belongs to the kernel; it is measured and never copied. A TCP reading costs two
/// `getsockopt` calls, a Unix one a netlink message; neither needs a privilege.
///
/// ```no_run
/// use bellwether::{Buffer, Server};
/// let server = Server::builder().listen("127.0.0.1:0").open()?;
/// for listener in server.listeners() {
///     let buffer = Buffer::of(listener)?;
///     println!("{listener}: {} of {} wait", buffer.depth, buffer.limit);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Buffer {
    /// Connections that have arrived and were not yet accepted.
    pub depth: u32,
    /// How many may wait: the backlog, as far as the kernel granted it (`net.core.somaxconn`).
    pub limit: u32,
    /// Connections that the kernel has dropped here since the address was opened.
    ///
    /// With deferred accept the kernel counts every connection that it holds back as dropped
    /// once; then this is the number of overflows of all addresses in the network namespace since
    /// then, if that is smaller. `None` for Unix sockets: there the client waits, or is told to try again.
    pub overflows: Option<u64>,
}

impl Buffer {
    /// Reads the buffer behind a listener.
    ///
    /// # Errors
    /// Whatever the kernel answers; ENOENT where it has no `unix_diag` (`CONFIG_UNIX_DIAG`).
    pub fn of(listener: &Listener) -> io::Result<Self> {
        match listener.kind() {
            Kind::Tcp => {
                let (depth, limit) = socket::tcp_queue(listener)?;
                Ok(Self { depth, limit, overflows: overflows(listener) })
            }
            Kind::Unix => {
                let (depth, limit) = unix_diag::queue(listener)?;
                Ok(Self { depth, limit, overflows: None })
            }
        }
    }

    /// Returns the depth alone, for a look that must be cheap.
    pub(crate) fn depth(listener: &Listener) -> u32 {
        match listener.kind() {
            Kind::Tcp => socket::tcp_queue(listener).map_or(0, |(depth, _)| depth),
            // Without unix_diag it is only known whether anything waits.
            Kind::Unix => unix_diag::queue(listener)
                .map_or_else(|_| listener.has_pending().into(), |(depth, _)| depth),
        }
    }
}

fn overflows(listener: &Listener) -> Option<u64> {
    let drops = socket::drops(listener).ok().map(u64::from)?;
    match listener.overflows_before() {
        Some(before) if drops > 0 => {
            socket::overflows_everywhere().map(|now| now.saturating_sub(before).min(drops))
        }
        _ => Some(drops),
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use super::*;
    use crate::address::{Defaults, Defer, open_all};

    #[test]
    fn a_buffer_that_runs_over_counts_what_it_dropped() {
        let address = "127.0.0.1:0?backlog=1".parse().unwrap();
        let listeners = open_all(
            &[address],
            Defaults { defer_accept: Defer::Off, take_over: false },
            &mut Vec::new(),
        )
        .unwrap();
        let at = listeners[0].address().strip_prefix("tcp://").unwrap().parse().unwrap();
        let patience = std::time::Duration::from_millis(50);
        let clients: Vec<_> = (0..6).map(|_| TcpStream::connect_timeout(&at, patience)).collect();
        let buffer = Buffer::of(&listeners[0]).unwrap();
        assert_eq!((buffer.depth, buffer.limit), (2, 1), "the kernel lets backlog + 1 wait");
        assert!(buffer.overflows > Some(0), "{buffer:?}");
        assert_eq!(clients.len(), 6);
    }
}
