//! The lines of a program, each with its handler before it.
//!
//! The program has pipes where it would have our standard output and error. A thread for each reads
//! here and writes there: whoever does not read what we write makes the program wait, as without us,
//! and never its keeper. What cannot be written is dropped; nobody ends because of it.

use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags};
use rustix::fs::Uid;
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::stdio;

/// The longest part of a line that is passed on at once; other tools cut there, too (Docker).
///
/// A file and a terminal take it whole; of a pipe that is nearly full only 4 KiB are sure (pipe(7)).
const LONGEST: usize = 16 << 10;

/// How long what the pipes still hold is passed on when the program has ended: if nobody reads it, or
/// somebody whom we do not know of holds them open.
const LAST: Duration = Duration::from_millis(200);

/// A thread here reads and writes, and nothing else.
const STACK: usize = 64 << 10;

/// Colours that are read on a dark ground and on a light one; none means danger.
const COLOURS: [u8; 5] = [36, 33, 35, 32, 34];

/// The pipes of a program that is about to be started.
pub(super) struct Pipes {
    output: Pipe,
    /// Where ours are one file, there is one pipe for both, which keeps their order.
    error: Option<Pipe>,
}

struct Pipe {
    ours: OwnedFd,
    theirs: OwnedFd,
}

/// What passes the lines of a program on.
pub(super) struct Lines {
    /// Closes when all is passed on; nothing is ever said.
    ended: Receiver<()>,
}

impl Pipes {
    /// Opens them for a program of this user, if it has one of its own.
    pub(super) fn open(owner: Option<u32>) -> io::Result<Self> {
        let output = pipe(owner)?;
        let are_one = are_one(stdio::stdout(), stdio::stderr());
        let error = if are_one { None } else { Some(pipe(owner)?) };
        Ok(Self { output, error })
    }

    /// In the process of the program: makes its standard output and error of them.
    pub(super) fn take_place(&self) {
        let error = self.error.as_ref().unwrap_or(&self.output);
        // Both numbers are open, so that nothing can be missing for this.
        let _ = stdio::dup2_stdout(&self.output.theirs);
        let _ = stdio::dup2_stderr(&error.theirs);
    }

    /// Starts to pass on what comes of them.
    pub(super) fn pass_on(self, handler: &str, slot: usize) -> io::Result<Lines> {
        let (running, ended) = channel();
        let to_output = Outlet::new(stdio::stdout(), handler, slot);
        to_output.feed_from(self.output.ours, running.clone())?;
        if let Some(error) = self.error {
            Outlet::new(stdio::stderr(), handler, slot).feed_from(error.ours, running)?;
        }
        Ok(Lines { ended })
    }
}

impl Lines {
    /// Waits until all that was written is passed on, but not for long.
    pub(super) fn finish(&self) {
        let _ = self.ended.recv_timeout(LAST);
    }
}

fn are_one(one: BorrowedFd<'_>, other: BorrowedFd<'_>) -> bool {
    let name = |fd| rustix::fs::fstat(fd).map(|it| (it.st_dev, it.st_ino));
    matches!((name(one), name(other)), (Ok(one), Ok(other)) if one == other)
}

fn pipe(owner: Option<u32>) -> io::Result<Pipe> {
    let (ours, theirs) = pipe_with(PipeFlags::CLOEXEC)?;
    if let Some(owner) = owner.filter(|number| *number != u32::MAX) {
        // It may open /dev/stdout anew, as those do that take a path for their log.
        let _ = rustix::fs::fchown(&theirs, Some(Uid::from_raw(owner)), None);
    }
    Ok(Pipe { ours, theirs })
}

/// Where lines go to, and what they get on the way.
struct Outlet {
    to: BorrowedFd<'static>,
    line: Line,
}

impl Outlet {
    fn new(to: BorrowedFd<'static>, handler: &str, slot: usize) -> Self {
        Self { to, line: Line::of(prefix(handler, slot, is_colourful(to))) }
    }

    /// Passes on what comes, until nobody can write any more.
    fn feed_from(mut self, pipe: OwnedFd, running: Sender<()>) -> io::Result<()> {
        let body = move || {
            self.feed(File::from(pipe));
            drop(running);
        };
        thread::Builder::new().name("lines".into()).stack_size(STACK).spawn(body).map(drop)
    }

    fn feed(&mut self, mut pipe: File) {
        let mut bytes = vec![0; LONGEST];
        loop {
            match pipe.read(&mut bytes) {
                Ok(0) => break,
                Ok(read) => {
                    let come = bytes.get(..read).unwrap_or_default();
                    self.line.take(come, |line| put(self.to, line));
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        self.line.end(|line| put(self.to, line));
    }
}

fn is_colourful(to: BorrowedFd<'_>) -> bool {
    let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    !no_colour && to.is_terminal()
}

fn prefix(handler: &str, slot: usize, colourful: bool) -> String {
    match COLOURS.get(slot % COLOURS.len()) {
        Some(colour) if colourful => format!("\x1b[{colour}m{handler} |\x1b[0m "),
        _ => format!("{handler} | "),
    }
}

/// Writes a line, however long that takes; what cannot be written is dropped.
fn put(to: BorrowedFd<'_>, line: &[u8]) {
    let mut rest = line;
    while !rest.is_empty() {
        match rustix::io::write(to, rest) {
            Ok(written) => rest = rest.get(written..).unwrap_or_default(),
            Err(Errno::INTR) => {}
            // Somebody who shares it has made it so.
            Err(Errno::AGAIN) => {
                let _ = rustix::event::poll(&mut [PollFd::new(&to, PollFlags::OUT)], None);
            }
            Err(_) => return,
        }
    }
}

/// A line in the making: what stands before each, and what there is of this one.
struct Line {
    text: Vec<u8>,
    prefix: usize,
}

impl Line {
    fn of(prefix: String) -> Self {
        Self { prefix: prefix.len(), text: prefix.into() }
    }

    /// Adds bytes, and gives away each line that is whole by then, or as long as one may be.
    fn take(&mut self, mut bytes: &[u8], mut put: impl FnMut(&[u8])) {
        while !bytes.is_empty() {
            let room = LONGEST.saturating_sub(self.text.len() - self.prefix);
            // An end of line needs no room.
            let end = bytes.iter().take(room + 1).position(|byte| *byte == b'\n');
            let (now, later) = bytes.split_at(end.unwrap_or(room).min(bytes.len()));
            self.text.extend_from_slice(now);
            if end.is_some() || !later.is_empty() {
                self.give(&mut put);
            }
            bytes = later.get(usize::from(end.is_some())..).unwrap_or_default();
        }
    }

    /// Gives away a last line that has no end.
    fn end(&mut self, mut put: impl FnMut(&[u8])) {
        if self.text.len() > self.prefix {
            self.give(&mut put);
        }
    }

    fn give(&mut self, put: &mut impl FnMut(&[u8])) {
        self.text.push(b'\n');
        put(&self.text);
        self.text.truncate(self.prefix);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::fd::AsFd;

    use super::*;

    fn lines(parts: &[&[u8]]) -> Vec<Vec<u8>> {
        let mut line = Line::of("a/0 | ".into());
        let mut given = Vec::new();
        for part in parts {
            line.take(part, |it| given.push(it.to_vec()));
        }
        line.end(|it| given.push(it.to_vec()));
        given
    }

    #[test]
    fn every_line_gets_its_handler_however_it_comes() {
        let check = |parts: &[&[u8]], expected: &[&[u8]]| assert_eq!(lines(parts), expected);
        check(&[], &[]);
        check(&[b"one\n"], &[b"a/0 | one\n"]);
        check(&[b"o", b"ne\ntw", b"o\n\n"], &[b"a/0 | one\n", b"a/0 | two\n", b"a/0 | \n"]);
        check(&[b"no end"], &[b"a/0 | no end\n"]);
        check(&[b"\xff\xfe\r\n\0"], &[b"a/0 | \xff\xfe\r\n", b"a/0 | \0\n"]);
    }

    #[test]
    fn a_line_that_is_too_long_comes_in_pieces() {
        let check = |length: usize, end: &str, pieces: &[usize]| {
            let text = "x".repeat(length) + end;
            for parts in [text.as_bytes().chunks(4096).collect(), vec![text.as_bytes()]] {
                let given: Vec<_> = lines(&parts).iter().map(|it| it.len() - 7).collect();
                assert_eq!(given, pieces, "{length}");
            }
        };
        check(LONGEST, "\n", &[LONGEST]);
        check(LONGEST, "", &[LONGEST]);
        check(LONGEST + 1, "\n", &[LONGEST, 1]);
        check(2 * LONGEST, "\n", &[LONGEST, LONGEST]);
        check(2 * LONGEST + 5, "\ny", &[LONGEST, LONGEST, 5, 1]);
    }

    #[test]
    fn each_slot_has_a_colour_where_there_are_any() {
        let check = |slot, colourful, expected: &str| {
            assert_eq!(prefix(&format!("a/{slot}"), slot, colourful), expected);
        };
        check(3, false, "a/3 | ");
        check(0, true, "\x1b[36ma/0 |\x1b[0m ");
        check(6, true, "\x1b[33ma/6 |\x1b[0m ");
    }

    #[test]
    fn what_cannot_be_written_is_dropped() {
        let full = File::options().write(true).open("/dev/full").unwrap();
        put(full.as_fd(), b"lost\n");
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        put(writer.as_fd(), b"lost\n");
    }

    #[test]
    fn a_pipe_that_does_not_block_is_waited_for() {
        let (mut reader, writer) = io::pipe().unwrap();
        rustix::io::ioctl_fionbio(&writer, true).unwrap();
        let long = vec![b'x'; 1 << 20];
        let mut read = Vec::new();
        thread::scope(|scope| {
            scope.spawn(|| {
                put(writer.as_fd(), &long);
                drop(writer);
            });
            reader.read_to_end(&mut read).unwrap();
        });
        assert!(read == long);
    }

    #[test]
    fn the_end_is_waited_for_and_not_longer() {
        let (ours, mut theirs) = io::pipe().unwrap();
        let (running, ended) = channel();
        let null = File::options().write(true).open("/dev/null").unwrap();
        let to: &'static File = Box::leak(Box::new(null));
        Outlet::new(to.as_fd(), "a/0", 0).feed_from(ours.into(), running).unwrap();
        let lines = Lines { ended };
        theirs.write_all(b"held\n").unwrap();
        lines.finish(); // somebody holds it
        drop(theirs);
        assert!(lines.ended.recv().is_err(), "all is passed on");
    }
}
