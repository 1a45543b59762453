//! Files as tower-http reads them: regular ones only, by the thread that wants them.
//!
//! A read that is not in the page cache holds up the other connections of its thread, not those
//! of other handlers. In return no request is handed to a thread pool and back, which costs more
//! than most reads, and handlers keep the threads that they were given.

use std::fs::{File, Metadata, OpenOptions};
use std::future::{Ready, ready};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};

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
        ready(std::fs::metadata(path))
    }
}

/// An open file of which every read ends soon.
#[derive(Debug)]
pub(crate) struct RegularFile {
    file: File,
    metadata: Metadata,
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
        ready(Ok(self.metadata.clone()))
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
