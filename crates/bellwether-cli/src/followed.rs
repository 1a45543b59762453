//! A file that is added to, wherever it is moved.

use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{OFlags, fstat, stat};
use rustix::io::DupFlags;

/// An open file, and where it should be.
#[derive(Debug)]
pub(crate) struct Followed {
    file: OwnedFd,
    path: PathBuf,
}

impl Followed {
    /// Opens the file at this path, made if there is none; others may add to it at the same time.
    ///
    /// # Errors
    /// It cannot be opened, or is a pipe that nobody reads.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let path = std::path::absolute(path)?;
        Ok(Self { file: open(&path)?, path })
    }

    /// Opens the file anew if another is at its path now, or none: somebody has moved it.
    ///
    /// # Errors
    /// It cannot be opened; then the one from before stays.
    pub(crate) fn follow(&mut self) -> io::Result<()> {
        let there = stat(&self.path).ok().map(|it| (it.st_dev, it.st_ino));
        let here = fstat(&self.file)?;
        if there != Some((here.st_dev, here.st_ino)) {
            // By the same number, which is the one that is handed down to children.
            rustix::io::dup3(&open(&self.path)?, &mut self.file, DupFlags::CLOEXEC)?;
        }
        Ok(())
    }

    /// Where it should be.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl AsFd for Followed {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

fn open(path: &Path) -> io::Result<OwnedFd> {
    // A pipe without a reader must not hold anybody up; for files the flag means nothing.
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    // Addresses of clients are nobody else's business.
    let file =
        OpenOptions::new().append(true).create(true).mode(0o640).custom_flags(flags).open(path);
    file.map(OwnedFd::from)
}
