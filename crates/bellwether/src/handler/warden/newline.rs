//! The line by which a program says at a descriptor that it is ready, as those of s6 do.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};

use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};

use super::Warden;
use crate::program::evidence::Evidence;
use crate::program::{Program, Ready};

/// The end of a pipe at which a program is heard.
pub(super) struct Newline {
    pipe: OwnedFd,
}

/// What a program has done with its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// Nothing that matters.
    Nothing,
    /// It has ended a line.
    Said,
    /// Nobody can say any more.
    End,
}

/// The program's end, and the number that it is to have.
pub(super) type Theirs = (OwnedFd, RawFd);

impl Newline {
    /// Opens a pipe for a program that is to say so there.
    pub(super) fn open_for(program: &Program) -> io::Result<Option<(Self, Theirs)>> {
        let Ready::Descriptor(number) = program.ready else { return Ok(None) };
        let (line, end) = Self::open()?;
        Ok(Some((line, (end, number))))
    }

    /// Opens a pipe; returns the program's end of it, too.
    fn open() -> io::Result<(Self, OwnedFd)> {
        let (pipe, theirs) = pipe_with(PipeFlags::CLOEXEC)?;
        // Ours alone never blocks: each end has flags of its own.
        rustix::io::ioctl_fionbio(&pipe, true)?;
        Ok((Self { pipe }, theirs))
    }

    /// Hears what was said; never blocks, and what is not heard this time is heard the next.
    pub(super) fn hear(&self) -> Heard {
        let mut words = [0; 4096];
        match rustix::io::read(&self.pipe, &mut words) {
            Ok(0) => Heard::End,
            Ok(length) if words.iter().take(length).any(|byte| *byte == b'\n') => Heard::Said,
            Ok(_) | Err(Errno::AGAIN | Errno::INTR) => Heard::Nothing,
            Err(_) => Heard::End,
        }
    }
}

impl Warden<'_> {
    /// Hears whether the program has ended its line; what follows is read lest it blocks.
    pub(super) fn hear_the_newline(&mut self) {
        match self.newline.as_ref().map_or(Heard::Nothing, Newline::hear) {
            Heard::Nothing => {}
            Heard::Said => self.become_ready(Evidence::Descriptor),
            Heard::End => {
                self.newline = None;
                self.explain("it closed the descriptor at which it is to end a line".into());
            }
        }
    }
}

impl AsFd for Newline {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pipe.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_newline_ends_a_line() {
        let (line, theirs) = Newline::open().unwrap();
        let check = |words: &[u8], expected| {
            rustix::io::write(&theirs, words).unwrap();
            assert_eq!(line.hear(), expected, "{words:?}");
        };
        assert_eq!(line.hear(), Heard::Nothing);
        check(b"ready", Heard::Nothing);
        check(b"\n", Heard::Said);
        check(b"and more\nof it", Heard::Said);
        drop(theirs);
        assert_eq!(line.hear(), Heard::End);
    }
}
