//! One thread that keeps 64 short connections going: connect, ask, read until the end, again.

use std::net::SocketAddrV4;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::{self, AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

/// How many connections are open at once.
pub(crate) const CLIENTS: usize = 64;
/// What each client sends; a real request line and a header have about this size.
pub(crate) const REQUEST: [u8; 64] = [b'?'; 64];
/// What a server must answer, byte for byte as long.
pub(crate) const REPLY: [u8; 100] = [b'!'; 100];

/// A server that says nothing to anybody for so long has stopped.
const SILENCE: Timespec = Timespec { tv_sec: 5, tv_nsec: 0 };

/// The clients of one server.
#[derive(Debug)]
pub(crate) struct Load {
    target: SocketAddrV4,
    epoll: OwnedFd,
    clients: Vec<Option<Client>>,
}

/// What the clients saw in one run; every connection that began in it also ended in it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) answered: u64,
    /// Reset, or closed before the whole reply came.
    pub(crate) failed: u64,
    pub(crate) elapsed: Duration,
}

impl Load {
    pub(crate) fn new(target: SocketAddrV4) -> Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        Ok(Self { target, epoll, clients: (0..CLIENTS).map(|_| None).collect() })
    }

    /// Starts connections for `duration`, then waits for the last ones.
    pub(crate) fn run(&mut self, duration: Duration) -> Result<Tally> {
        let start = Instant::now();
        let mut tally = Tally::default();
        (0..CLIENTS).try_for_each(|index| self.begin(index))?;
        let mut open = CLIENTS;
        let mut events = Vec::with_capacity(CLIENTS);
        while open > 0 {
            self.wait(&mut events)?;
            for event in events.drain(..) {
                let index = usize::try_from(event.data.u64())?;
                let Some(answered) = self.advance(index) else { continue };
                *(if answered { &mut tally.answered } else { &mut tally.failed }) += 1;
                if start.elapsed() < duration {
                    self.begin(index)?;
                } else {
                    self.clients[index] = None;
                    open -= 1;
                }
            }
        }
        tally.elapsed = start.elapsed();
        Ok(tally)
    }

    fn wait(&self, events: &mut Vec<epoll::Event>) -> Result<()> {
        match epoll::wait(&self.epoll, spare_capacity(events), Some(&SILENCE)) {
            Ok(0) => bail!("the server at {} stopped answering", self.target),
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(errno) => Err(errno).context("cannot wait for answers"),
        }
    }

    /// Closes the client's old connection, if any, and opens a new one.
    fn begin(&mut self, index: usize) -> Result<()> {
        self.clients[index] = None;
        let client = Client::connect(self.target)?;
        let wanted = if client.asked { EventFlags::IN } else { EventFlags::IN | EventFlags::OUT };
        epoll::add(&self.epoll, &client.socket, EventData::new_u64(index as u64), wanted)?;
        self.clients[index] = Some(client);
        Ok(())
    }

    /// Goes on with a connection on which something happened: whether it was answered, if it ended.
    fn advance(&mut self, index: usize) -> Option<bool> {
        let client = self.clients[index].as_mut()?;
        if client.asked {
            return client.read();
        }
        client.ask().and_then(|()| client.listen_only(&self.epoll, index)).err().map(|_| false)
    }
}

#[derive(Debug)]
struct Client {
    socket: OwnedFd,
    asked: bool,
    received: usize,
}

impl Client {
    /// Connects and, as loopback does so at once, mostly also asks.
    fn connect(target: SocketAddrV4) -> Result<Self> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket = net::socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)
            .context("cannot open a client's socket")?;
        if let Err(errno) = net::connect(&socket, &target)
            && errno != Errno::INPROGRESS
        {
            return Err(errno).with_context(|| format!("cannot connect to {target}"));
        }
        let mut client = Self { socket, asked: false, received: 0 };
        // A lasting error shows again as an event.
        client.ask().ok();
        Ok(client)
    }

    fn ask(&mut self) -> Result<(), Errno> {
        match net::send(&self.socket, &REQUEST, SendFlags::NOSIGNAL) {
            Ok(_) => self.asked = true,
            Err(Errno::AGAIN) => {}
            Err(errno) => return Err(errno),
        }
        Ok(())
    }

    /// Stops waiting for room to ask in, once asked.
    fn listen_only(&self, epoll: &OwnedFd, index: usize) -> Result<(), Errno> {
        if !self.asked {
            return Ok(());
        }
        epoll::modify(epoll, &self.socket, EventData::new_u64(index as u64), EventFlags::IN)
    }

    /// Reads what is there: whether the reply was whole, if the connection ended.
    fn read(&mut self) -> Option<bool> {
        let mut buffer = [0; 256];
        loop {
            match net::recv(&self.socket, &mut buffer, RecvFlags::empty()) {
                Ok((0, _)) => return Some(self.received == REPLY.len()),
                Ok((length, _)) => self.received += length,
                Err(Errno::AGAIN | Errno::INTR) => return None,
                Err(_) => return Some(false),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        io::{Read as _, Write as _},
        net::{SocketAddr, TcpListener},
        thread,
    };

    #[test]
    fn whole_and_broken_answers_are_told_apart() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let SocketAddr::V4(address) = listener.local_addr().unwrap() else { panic!("not IPv4") };
        thread::spawn(move || {
            for (served, stream) in listener.incoming().enumerate() {
                let mut stream = stream.unwrap();
                stream.read_exact(&mut REQUEST.clone()).unwrap();
                stream.write_all(if served == 3 { &REPLY[1..] } else { &REPLY }).unwrap();
            }
        });
        let tally = Load::new(address).unwrap().run(Duration::ZERO).unwrap();
        assert_eq!((tally.answered, tally.failed), (CLIENTS as u64 - 1, 1));
    }
}
