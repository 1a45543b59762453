//! Pipes through which the kernel moves what is carried, used again and again.

use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::pipe::{PipeFlags, SpliceFlags, pipe_with, splice};

/// How many empty ones are kept: a flow has one only while something is on its way in it.
const SPARE: usize = 8;

/// The most that is moved at once: what a pipe of the usual 16 pages holds (pipe(7)).
const PIECE: usize = 64 << 10;

/// A pipe and how many bytes are in it.
#[derive(Debug)]
pub(super) struct Pipe {
    reader: OwnedFd,
    writer: OwnedFd,
    pub(super) holds: usize,
}

impl Pipe {
    /// Moves a piece from a socket into this empty pipe; 0: the stream has ended.
    ///
    /// As it is empty, EAGAIN means that nothing has come; of a pipe with something in it that would
    /// not be known.
    pub(super) fn fill(&mut self, socket: &OwnedFd) -> rustix::io::Result<usize> {
        self.holds = again(|| splice(socket, None, &self.writer, None, PIECE, HOW))?;
        Ok(self.holds)
    }

    /// Moves what is in it to a socket, as far as that takes it.
    pub(super) fn drain(&mut self, socket: &OwnedFd) -> rustix::io::Result<usize> {
        let moved = again(|| splice(&self.reader, None, socket, None, self.holds, HOW))?;
        self.holds = self.holds.saturating_sub(moved);
        Ok(moved)
    }
}

/// Pages are moved where that can be done, and nobody is waited for.
const HOW: SpliceFlags = SpliceFlags::MOVE.union(SpliceFlags::NONBLOCK);

fn again(mut call: impl FnMut() -> rustix::io::Result<usize>) -> rustix::io::Result<usize> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            done => return done,
        }
    }
}

/// Empty pipes that wait for work.
#[derive(Debug, Default)]
pub(super) struct Pipes(Vec<Pipe>);

impl Pipes {
    pub(super) fn take(&mut self) -> rustix::io::Result<Pipe> {
        if let Some(pipe) = self.0.pop() {
            return Ok(pipe);
        }
        let (reader, writer) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        Ok(Pipe { reader, writer, holds: 0 })
    }

    /// Takes an empty pipe back.
    pub(super) fn put(&mut self, pipe: Pipe) {
        if self.0.len() < SPARE && pipe.holds == 0 {
            self.0.push(pipe);
        }
    }
}
