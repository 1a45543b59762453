//! The file that lines are added to, wherever it is moved.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;

/// How long a reader of a pipe may take before its line is given up.
const PATIENCE: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };

/// How often it is looked whether the file is still the one at its path.
pub(super) const LOOK: Duration = Duration::from_secs(1);

/// Where lines go.
#[derive(Debug)]
pub(super) struct Target {
    file: File,
    /// Where it should be; `None` for standard output.
    path: Option<PathBuf>,
}

impl Target {
    /// Standard output, as it is.
    pub(super) fn output() -> io::Result<Self> {
        let file = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdout(), 3)?;
        Ok(Self { file: file.into(), path: None })
    }

    /// The file at this path, made if there is none; others may add to it at the same time.
    pub(super) fn file(path: &Path) -> io::Result<Self> {
        let path = std::path::absolute(path)?;
        Ok(Self { file: open(&path)?, path: Some(path) })
    }

    #[cfg(test)]
    pub(super) fn pipe(end: io::PipeWriter) -> Self {
        Self { file: std::os::fd::OwnedFd::from(end).into(), path: None }
    }

    /// Opens the file anew if another is at its path now, or none: somebody has moved it.
    pub(super) fn follow(&mut self) -> io::Result<()> {
        let Some(path) = &self.path else { return Ok(()) };
        let identity = |it: std::fs::Metadata| (it.dev(), it.ino());
        let there = std::fs::metadata(path).map(identity).ok();
        if there != Some(identity(self.file.metadata()?)) {
            self.file = open(path)?;
        }
        Ok(())
    }

    /// Adds a line by one write(2), so that lines of several handlers do not mix.
    ///
    /// # Errors
    /// Not all of it was taken: the disk is full, or nobody reads the pipe.
    pub(super) fn add(&self, line: &[u8]) -> io::Result<()> {
        loop {
            match rustix::io::write(&self.file, line) {
                Ok(length) if length == line.len() => return Ok(()),
                Ok(_) => return Err(io::ErrorKind::WriteZero.into()),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => self.wait()?,
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    fn wait(&self) -> io::Result<()> {
        let mut polled = [PollFd::new(&self.file, PollFlags::OUT)];
        match rustix::event::poll(&mut polled, Some(&PATIENCE)) {
            Ok(0) => Err(io::ErrorKind::TimedOut.into()),
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }
}

fn open(path: &Path) -> io::Result<File> {
    // Addresses of clients are nobody else's business.
    OpenOptions::new().append(true).create(true).mode(0o640).open(path)
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
