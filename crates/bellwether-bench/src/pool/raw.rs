//! The raw pool: as many `raw-loop` processes as asked for, around one listener.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::Child;
use std::time::Duration;

use anyhow::{Context as _, Result};
use rustix::net::{self, AddressFamily, SocketFlags, SocketType, sockopt};

use super::{Count, Pool, this_program};
use crate::mode::Mode;

/// As bellwether's, so that neither rival has more room.
const BACKLOG: i32 = 4096;
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) struct RawPool {
    address: SocketAddrV4,
    handlers: Vec<RawHandler>,
}

impl RawPool {
    pub(super) fn start(mode: Mode, handlers: usize) -> Result<Self> {
        let (listener, address) = listen().context("cannot open the raw listener")?;
        let handlers = (0..handlers).map(|slot| RawHandler::start(&listener, mode, slot));
        let mut pool = Self { address, handlers: handlers.collect::<Result<_>>()? };
        // A process that answers has armed its epoll.
        pool.counts()?;
        Ok(pool)
    }
}

impl Pool for RawPool {
    fn address(&self) -> SocketAddrV4 {
        self.address
    }

    fn counts(&mut self) -> Result<Vec<Count>> {
        self.handlers.iter_mut().map(RawHandler::count).collect()
    }

    fn processes(&self) -> Result<Vec<u32>> {
        Ok(self.handlers.iter().map(|handler| handler.child.id()).collect())
    }
}

impl Drop for RawPool {
    /// Kills all before waiting for the first: many processes die faster together.
    fn drop(&mut self) {
        self.handlers.iter_mut().for_each(|handler| handler.kill());
    }
}

struct RawHandler {
    child: Child,
    control: UnixStream,
}

impl RawHandler {
    fn start(listener: &OwnedFd, mode: Mode, slot: usize) -> Result<Self> {
        let (control, far_end) = UnixStream::pair()?;
        control.set_read_timeout(Some(PATIENCE))?;
        let mut command = this_program();
        command.arg("raw-loop").stdin(listener.try_clone()?).stdout(OwnedFd::from(far_end));
        if mode.is_exclusive(slot) {
            command.arg("--exclusive");
        }
        if mode == Mode::Turn {
            command.arg("--rearm");
        }
        let child = command.spawn().context("cannot start a raw loop")?;
        Ok(Self { child, control })
    }

    fn count(&mut self) -> Result<Count> {
        let mut counters = [0; 16];
        self.control
            .write_all(b"?")
            .and_then(|()| self.control.read_exact(&mut counters))
            .context("a raw loop does not answer")?;
        let (wins, losses) = counters.split_at(8);
        Ok(Count {
            pid: self.child.id(),
            wins: u64::from_le_bytes(wins.try_into()?),
            losses: u64::from_le_bytes(losses.try_into()?),
        })
    }

    fn kill(&mut self) {
        // An error means that it has gone already.
        self.child.kill().ok();
    }
}

impl Drop for RawHandler {
    fn drop(&mut self) {
        self.kill();
        self.child.wait().ok();
    }
}

fn listen() -> Result<(OwnedFd, SocketAddrV4)> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let listener = net::socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
    sockopt::set_socket_reuseaddr(&listener, true)?;
    // bellwether sets it too; accepted connections inherit it.
    sockopt::set_tcp_nodelay(&listener, true)?;
    net::bind(&listener, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0))?;
    net::listen(&listener, BACKLOG)?;
    let address = SocketAddrV4::try_from(net::getsockname(&listener)?)?;
    Ok((listener, address))
}
