//! Lines on standard error that never make anybody wait.
//!
//! The spawner must not stop because nobody reads its log, and handlers share its standard error.
//! So a line is written at once or not at all, and those that were not are counted. No thread
//! does this: the process forks, and threads do not survive that.

use std::io::{self, IoSlice, IsTerminal, Write};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, Ordering};

use bellwether::{Error, Result};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::FileType;
use rustix::io::{Errno, ReadWriteFlags};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

const VARIABLE: &str = "BELLWETHER_LOG";

/// The longest line; a pipe takes that much whole or not at all (PIPE_BUF, pipe(7)).
const LONGEST: usize = 4096;

/// Lines of this process that found no room.
static DROPPED: AtomicU64 = AtomicU64::new(0);

/// Starts logging to standard error.
pub(crate) fn start() -> Result<()> {
    start_with("info")
}

/// Starts logging to standard error, these lines (EnvFilter) unless the environment says others.
pub(crate) fn start_with(usual: &str) -> Result<()> {
    let started = tracing_subscriber::fmt()
        .with_env_filter(filter(usual)?)
        .with_writer(|| Stderr)
        .with_ansi(has_colours())
        .with_target(false)
        .log_internal_errors(false)
        .try_init();
    debug_assert!(started.is_ok(), "the log is started once");
    // A panic says what it has to say in the same way, on one line.
    std::panic::set_hook(Box::new(|panic| {
        tracing::error!("{}", panic.to_string().replace('\n', " "));
    }));
    Ok(())
}

/// Tells whether what goes to standard error may be coloured.
pub(crate) fn has_colours() -> bool {
    let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    !no_colour && io::stderr().is_terminal()
}

fn filter(usual: &str) -> Result<EnvFilter> {
    let text = std::env::var(VARIABLE).unwrap_or_default();
    let reader = EnvFilter::builder().with_default_directive(LevelFilter::INFO.into());
    reader.parse(if text.is_empty() { usual } else { &text }).map_err(|_| Error::Configure {
        what: format!("{VARIABLE}={text}"),
        problem: "it is not understood; write off, error, warn, info, debug or trace".into(),
    })
}

/// Standard error as far as it takes a line now.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stderr;

impl Write for Stderr {
    /// Takes all of a line, whatever becomes of it.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let missing = DROPPED.swap(0, Ordering::Relaxed);
        let lost = if missing > 0 && !put(lost_lines(missing).as_bytes()) { missing } else { 0 };
        let lost = lost + u64::from(!put(&fitting(line)));
        DROPPED.fetch_add(lost, Ordering::Relaxed);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn lost_lines(number: u64) -> String {
    format!("({number} lines of process {} are missing here)\n", std::process::id())
}

/// Cuts a line that is too long, and says so at its end.
fn fitting(line: &[u8]) -> Vec<u8> {
    const CUT: &[u8] = b" [cut]\n";
    match line.get(..LONGEST - CUT.len()) {
        Some(start) if line.len() > LONGEST => [start, CUT].concat(),
        _ => line.to_vec(),
    }
}

/// Writes where that is possible at once. A reader that is gone counts as one that is slow.
fn put(line: &[u8]) -> bool {
    let stderr = io::stderr();
    // Without RWF_NOWAIT others who share the pipe could fill it between a look and the write;
    // O_NONBLOCK would be seen by all who share it. Offset -1: where the file is.
    let parts = [IoSlice::new(line)];
    match rustix::io::pwritev2(&stderr, &parts, u64::MAX, ReadWriteFlags::NOWAIT) {
        Ok(_) => true,
        // A terminal, a file system or a kernel that does not know the flag.
        Err(Errno::OPNOTSUPP | Errno::INVAL | Errno::NOSYS | Errno::SPIPE) => {
            has_room(&stderr) && rustix::io::write(&stderr, line).is_ok()
        }
        // A file makes nobody wait for a reader.
        Err(Errno::AGAIN) if is_file(&stderr) => rustix::io::write(&stderr, line).is_ok(),
        Err(_) => false,
    }
}

fn has_room(stderr: &impl AsFd) -> bool {
    let mut polled = [PollFd::new(stderr, PollFlags::OUT)];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    rustix::event::poll(&mut polled, Some(&now)).is_ok()
        && polled[0].revents().contains(PollFlags::OUT)
}

fn is_file(stderr: &impl AsFd) -> bool {
    rustix::fs::fstat(stderr).is_ok_and(|found| FileType::from_raw_mode(found.st_mode).is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_is_too_long_is_cut_and_still_ends() {
        let check = |length: usize, fits: bool| {
            let line = [vec![b'x'; length - 1], vec![b'\n']].concat();
            let written = fitting(&line);
            assert_eq!(written == line, fits, "{length}");
            assert!(written.len() <= LONGEST && written.ends_with(b"\n"), "{length}");
        };
        check(1, true);
        check(LONGEST, true);
        check(LONGEST + 1, false);
        check(10 * LONGEST, false);
    }
}
