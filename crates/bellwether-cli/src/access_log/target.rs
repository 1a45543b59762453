//! Where lines of requests go: a file, wherever it is moved, or standard output.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;

use crate::followed::Followed;

/// How long a reader of a pipe may take before its line is given up.
const PATIENCE: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };

/// How often it is looked whether the file is still the one at its path.
pub(super) const LOOK: Duration = Duration::from_secs(1);

/// Where lines go.
#[derive(Debug)]
pub(super) enum Target {
    Output(OwnedFd),
    File(Followed),
}

impl Target {
    /// Standard output, as it is.
    pub(super) fn output() -> io::Result<Self> {
        Ok(Self::Output(rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdout(), 3)?))
    }

    /// The file at this path, made if there is none; others may add to it at the same time.
    pub(super) fn file(path: &Path) -> io::Result<Self> {
        Followed::open(path).map(Self::File)
    }

    #[cfg(test)]
    pub(super) fn pipe(end: io::PipeWriter) -> Self {
        Self::Output(end.into())
    }

    /// Opens the file anew if another is at its path now, or none: somebody has moved it.
    pub(super) fn follow(&mut self) -> io::Result<()> {
        match self {
            Self::Output(_) => Ok(()),
            Self::File(file) => file.follow(),
        }
    }

    /// Adds a line by one write(2), so that lines of several handlers do not mix.
    ///
    /// # Errors
    /// Not all of it was taken: the disk is full, or nobody reads the pipe.
    pub(super) fn add(&self, line: &[u8]) -> io::Result<()> {
        loop {
            match rustix::io::write(self, line) {
                Ok(length) if length == line.len() => return Ok(()),
                Ok(_) => return Err(io::ErrorKind::WriteZero.into()),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => self.wait()?,
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    fn wait(&self) -> io::Result<()> {
        let mut polled = [PollFd::new(self, PollFlags::OUT)];
        match rustix::event::poll(&mut polled, Some(&PATIENCE)) {
            Ok(0) => Err(io::ErrorKind::TimedOut.into()),
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }
}

impl AsFd for Target {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Output(output) => output.as_fd(),
            Self::File(file) => file.as_fd(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{read_to_string, remove_file, rename};

    use super::*;

    #[test]
    fn the_file_at_the_path_is_written_to_whatever_became_of_the_last() {
        let folder = tempfile::tempdir().unwrap();
        let (path, moved) = (folder.path().join("log"), folder.path().join("log.1"));
        let mut target = Target::file(&path).unwrap();
        target.add(b"one\n").unwrap();
        rename(&path, &moved).unwrap();
        target.add(b"two\n").unwrap();
        target.follow().unwrap();
        target.add(b"three\n").unwrap();
        assert_eq!(read_to_string(&moved).unwrap(), "one\ntwo\n");
        assert_eq!(read_to_string(&path).unwrap(), "three\n");
        remove_file(&path).unwrap();
        target.follow().unwrap();
        target.follow().unwrap();
        target.add(b"four\n").unwrap();
        assert_eq!(read_to_string(&path).unwrap(), "four\n");
    }

    #[test]
    fn a_file_that_cannot_be_followed_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let below = folder.path().join("below");
        std::fs::create_dir(&below).unwrap();
        let mut target = Target::file(&below.join("log")).unwrap();
        rename(&below, folder.path().join("moved")).unwrap();
        assert!(target.follow().is_err());
        target.add(b"line\n").unwrap();
        assert_eq!(read_to_string(folder.path().join("moved/log")).unwrap(), "line\n");
    }
}
