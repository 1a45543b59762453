//! Files as tower-http reads them: regular ones only, by the thread that wants them.
//!
//! A read that is not in the page cache holds up the other connections of its thread, not those
//! of other handlers. In return no request is handed to a thread pool and back, which costs more
//! than most reads, and handlers keep the threads that they were given.

use std::fs::{File, OpenOptions};
use std::future::{Ready, ready};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::OFlags;
use tokio::io::{AsyncRead, AsyncSeek, ReadBuf};
use tower_http::services::fs::{self, Backend};

/// The file system, read directly.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Disk;

impl Backend for Disk {
    type File = RegularFile;
    type Metadata = Metadata;
    type OpenFuture = Ready<io::Result<RegularFile>>;
    type MetadataFuture = Ready<io::Result<Metadata>>;

    fn open(&self, path: PathBuf) -> Self::OpenFuture {
        ready(RegularFile::open(&path))
    }

    fn metadata(&self, path: PathBuf) -> Self::MetadataFuture {
        ready(std::fs::metadata(path).map(Metadata))
    }
}

/// What is known of a file without opening it.
#[derive(Clone, Debug)]
pub(crate) struct Metadata(std::fs::Metadata);

impl fs::Metadata for Metadata {
    fn is_dir(&self) -> bool {
        self.0.is_dir()
    }

    fn modified(&self) -> io::Result<SystemTime> {
        let modified = self.0.modified()?;
        can_be_written(modified).then_some(modified).ok_or_else(|| io::ErrorKind::Other.into())
    }

    fn len(&self) -> u64 {
        self.0.len()
    }
}

/// Tells whether a time has a date that HTTP and RFC 3339 can write: from 1970 to 9999.
///
/// File systems have others; those who write dates panic at them.
pub(super) fn can_be_written(time: SystemTime) -> bool {
    const YEAR_10000: Duration = Duration::from_secs(253_402_300_800);
    time.duration_since(UNIX_EPOCH).is_ok_and(|since| since < YEAR_10000)
}

/// An open file of which every read ends soon.
#[derive(Debug)]
pub(crate) struct RegularFile {
    file: File,
    metadata: std::fs::Metadata,
    place: u64,
}

impl RegularFile {
    /// Opens a file; folders, pipes, sockets and devices are "not found".
    fn open(path: &Path) -> io::Result<Self> {
        // To open a named pipe would wait for somebody to write into it.
        let flags = OFlags::NONBLOCK.bits().cast_signed();
        let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(Self { file, metadata, place: 0 })
    }
}

impl fs::File for RegularFile {
    type Metadata = Metadata;
    type MetadataFuture<'a> = Ready<io::Result<Metadata>>;

    fn metadata(&self) -> Self::MetadataFuture<'_> {
        ready(Ok(Metadata(self.metadata.clone())))
    }
}

impl AsyncRead for RegularFile {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let length = self.file.read(buffer.initialize_unfilled())?;
        buffer.advance(length);
        Poll::Ready(Ok(()))
    }
}

impl AsyncSeek for RegularFile {
    fn start_seek(mut self: Pin<&mut Self>, to: SeekFrom) -> io::Result<()> {
        self.place = self.file.seek(to)?;
        Ok(())
    }

    fn poll_complete(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<u64>> {
        Poll::Ready(Ok(self.place))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_times_with_a_year_of_four_digits_are_written() {
        let year_10000 = Duration::from_secs(253_402_300_800);
        let check = |time, expected| assert_eq!(can_be_written(time), expected, "{time:?}");
        check(UNIX_EPOCH, true);
        check(UNIX_EPOCH - Duration::from_nanos(1), false);
        check(UNIX_EPOCH + year_10000 - Duration::from_secs(1), true);
        check(UNIX_EPOCH + year_10000, false);
    }
}
