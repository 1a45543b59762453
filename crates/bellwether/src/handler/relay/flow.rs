//! One direction of a connection: from one socket to the other, never more than can be passed on.

use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::Shutdown;

use super::pipes::{Pipe, Pipes};

/// So many pieces are moved before others have their turn.
const AT_ONCE: usize = 16;

/// A socket, and what is known of it since the kernel last said that something has changed.
#[derive(Debug)]
pub(super) struct Side {
    pub(super) socket: OwnedFd,
    /// Something may have come.
    pub(super) readable: bool,
    /// There may be room.
    pub(super) writable: bool,
}

impl Side {
    pub(super) const fn new(socket: OwnedFd) -> Self {
        Self { socket, readable: true, writable: true }
    }

    pub(super) const fn has_changed(&mut self) {
        (self.readable, self.writable) = (true, true);
    }
}

/// What became of an attempt to move something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moved {
    /// Whether anything came.
    pub(super) some: bool,
    /// Whether there may be more, although nobody will say so.
    pub(super) more: bool,
}

/// What is on its way in one direction.
#[derive(Debug, Default)]
pub(super) struct Flow {
    held: Option<Pipe>,
    has_ended: bool,
}

impl Flow {
    /// Tells whether the end of the stream was passed on.
    pub(super) const fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// Tells whether something is on its way.
    pub(super) const fn holds_some(&self) -> bool {
        self.held.is_some()
    }

    /// Moves what has come, as far as there is room for it.
    ///
    /// Nothing is read before all that was read before is written: so a reader that is slow slows
    /// the writer, and a pipe is needed only while it is.
    ///
    /// # Errors
    ///
    /// Those of splice(2): one of the two is broken, or there is no pipe to be had.
    pub(super) fn carry(
        &mut self,
        from: &mut Side,
        to: &mut Side,
        pipes: &mut Pipes,
    ) -> rustix::io::Result<Moved> {
        let mut some = false;
        for _ in 0..AT_ONCE {
            if !self.deliver(to, pipes)? || self.has_ended || !from.readable {
                return Ok(Moved { some, more: false });
            }
            some |= self.collect(from, to, pipes)?;
        }
        Ok(Moved { some, more: true })
    }

    /// Writes what was read; returns whether nothing is left of it.
    fn deliver(&mut self, to: &mut Side, pipes: &mut Pipes) -> rustix::io::Result<bool> {
        while let Some(pipe) = self.held.as_mut().filter(|_| to.writable) {
            match pipe.drain(&to.socket) {
                Ok(_) if pipe.holds == 0 => {
                    self.held.take().into_iter().for_each(|it| pipes.put(it))
                }
                Ok(0) => return Err(Errno::PIPE),
                Ok(_) => {}
                Err(Errno::AGAIN) => to.writable = false,
                Err(errno) => return Err(errno),
            }
        }
        Ok(self.held.is_none())
    }

    /// Reads once; returns whether something came.
    fn collect(
        &mut self,
        from: &mut Side,
        to: &Side,
        pipes: &mut Pipes,
    ) -> rustix::io::Result<bool> {
        let mut pipe = pipes.take()?;
        match pipe.fill(&from.socket) {
            Ok(0) => {
                pipes.put(pipe);
                self.has_ended = true;
                // Who is gone need not be told.
                let _ = rustix::net::shutdown(&to.socket, Shutdown::Write);
                Ok(false)
            }
            Ok(_) => {
                self.held = Some(pipe);
                Ok(true)
            }
            Err(Errno::AGAIN) => {
                pipes.put(pipe);
                from.readable = false;
                Ok(false)
            }
            Err(errno) => Err(errno),
        }
    }
}
