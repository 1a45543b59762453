//! One process of the raw pool: the system calls of a notification mode and nothing else.
//!
//! The listener is descriptor 0. Descriptor 1 is a stream socket to the program that measures:
//! each byte it sends is answered with the counters, and its end ends this process.

use std::io;

use anyhow::{Context as _, Result};
use clap::Args;
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::fd::{AsFd as _, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use rustix::net::{self, RecvFlags, SendFlags, SocketFlags};
use rustix::process::{Signal, set_parent_process_death_signal};

use crate::load::REPLY;

const LISTENER: u64 = 0;
const CONTROL: u64 = 1;

#[derive(Args)]
pub(crate) struct Options {
    /// Wait with EPOLLEXCLUSIVE
    #[arg(long)]
    exclusive: bool,
    /// Go to the end of the kernel's queue of waiters after each accept that won
    #[arg(long)]
    rearm: bool,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    let (stdin, stdout) = (io::stdin(), io::stdout());
    RawLoop::new(stdin.as_fd(), stdout.as_fd(), options)
        .and_then(RawLoop::serve)
        .context("the raw loop failed")
}

struct RawLoop<'a> {
    epoll: OwnedFd,
    listener: BorrowedFd<'a>,
    control: BorrowedFd<'a>,
    interest: EventFlags,
    rearm: bool,
    wins: u64,
    losses: u64,
}

impl<'a> RawLoop<'a> {
    fn new(
        listener: BorrowedFd<'a>,
        control: BorrowedFd<'a>,
        options: &Options,
    ) -> Result<Self, Errno> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let exclusive = if options.exclusive { EventFlags::EXCLUSIVE } else { EventFlags::empty() };
        let interest = EventFlags::IN | exclusive;
        epoll::add(&epoll, listener, EventData::new_u64(LISTENER), interest)?;
        epoll::add(&epoll, control, EventData::new_u64(CONTROL), EventFlags::IN)?;
        Ok(Self { epoll, listener, control, interest, rearm: options.rearm, wins: 0, losses: 0 })
    }

    fn serve(mut self) -> Result<(), Errno> {
        let mut events = Vec::with_capacity(2);
        loop {
            match epoll::wait(&self.epoll, spare_capacity(&mut events), None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => return Err(errno),
            }
            for event in events.drain(..) {
                if event.data.u64() == LISTENER {
                    self.accept()?;
                } else if !self.report()? {
                    return Ok(());
                }
            }
        }
    }

    fn accept(&mut self) -> Result<(), Errno> {
        match net::accept_with(self.listener, SocketFlags::CLOEXEC) {
            Ok(connection) => {
                self.wins += 1;
                if self.rearm {
                    self.rearm()?;
                }
                // A client that left early is its own loss, and the client's tally shows it.
                answer(&connection).ok();
                Ok(())
            }
            Err(Errno::AGAIN) => {
                self.losses += 1;
                Ok(())
            }
            Err(Errno::CONNABORTED | Errno::INTR) => Ok(()),
            Err(errno) => Err(errno),
        }
    }

    fn rearm(&self) -> Result<(), Errno> {
        epoll::delete(&self.epoll, self.listener)?;
        epoll::add(&self.epoll, self.listener, EventData::new_u64(LISTENER), self.interest)
    }

    /// Says whether the program that measures is still there.
    fn report(&self) -> Result<bool, Errno> {
        let (_, asked) = net::recv(self.control, &mut [0; 1], RecvFlags::empty())?;
        if asked > 0 {
            let counters = [self.wins.to_le_bytes(), self.losses.to_le_bytes()].concat();
            net::send(self.control, &counters, SendFlags::NOSIGNAL)?;
        }
        Ok(asked > 0)
    }
}

fn answer(connection: &OwnedFd) -> Result<(), Errno> {
    let mut request = [0; 256];
    net::recv(connection, &mut request, RecvFlags::empty())?;
    net::send(connection, &REPLY, SendFlags::NOSIGNAL)?;
    Ok(())
}
