//! Shared memory as a row of 64-bit atomic words.
//!
//! A mapping is either a [`Page`] (may be written) or a [`View`] (the kernel refuses writes).
//! There are only words: no pointer, length or enum ever lies in shared memory.

use std::io;
use std::ops::Deref;
use std::os::fd::{AsFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering, fence};

use rustix::fs::{MemfdFlags, SealFlags};
use rustix::mm::{Advice, MapFlags, ProtFlags};

const WORD: usize = size_of::<AtomicU64>();

/// Creates an anonymous memory file of `words` zeroed words whose size can never change.
///
/// The fixed size is what makes mappings safe to read: a file that somebody shrinks would kill
/// its readers with SIGBUS.
pub(crate) fn file(name: &str, words: usize) -> io::Result<OwnedFd> {
    let fd = rustix::fs::memfd_create(name, MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    rustix::fs::ftruncate(&fd, (words * WORD) as u64)?;
    rustix::fs::fcntl_add_seals(&fd, SealFlags::SHRINK | SealFlags::GROW)?;
    Ok(fd)
}

/// Forbids every later writable mapping and write of the file; existing mappings stay writable.
///
/// Kernels before 5.1 lack `F_SEAL_FUTURE_WRITE` and answer EINVAL.
pub(crate) fn seal_for_readers(fd: impl AsFd) -> io::Result<()> {
    rustix::fs::fcntl_add_seals(fd, SealFlags::FUTURE_WRITE | SealFlags::SEAL)?;
    Ok(())
}

/// Forbids further seals, so that nobody can add one that would hurt the writer.
pub(crate) fn seal_the_seals(fd: impl AsFd) -> io::Result<()> {
    rustix::fs::fcntl_add_seals(fd, SealFlags::SEAL)?;
    Ok(())
}

#[derive(Debug)]
struct Mapping {
    start: NonNull<AtomicU64>,
    words: usize,
}

impl Mapping {
    fn new(fd: impl AsFd, words: usize, protection: ProtFlags) -> io::Result<Self> {
        // SAFETY: a null address lets the kernel choose a free range, so no memory in use is
        // replaced; the file's size is sealed (see `file`), so the range stays backed.
        let start = unsafe {
            rustix::mm::mmap(
                std::ptr::null_mut(),
                words * WORD,
                protection,
                MapFlags::SHARED,
                fd,
                0,
            )
        }?;
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { start, words })
    }
}

impl Mapping {
    fn hide_from_children(&self) -> io::Result<()> {
        let start = self.start.as_ptr().cast();
        // SAFETY: DONTFORK does not change this process's memory, and the range is our mapping.
        unsafe { rustix::mm::madvise(start, self.words * WORD, Advice::LinuxDontFork) }?;
        Ok(())
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the range was mapped by `new` with this length and is unmapped only here; every
        // borrow of it ended with the owner. A failure would leave it mapped, which is harmless.
        let _ = unsafe { rustix::mm::munmap(self.start.as_ptr().cast(), self.words * WORD) };
    }
}

// SAFETY: the mapping belongs to the process, not to a thread, and its words are atomics.
unsafe impl Send for Mapping {}
// SAFETY: all access through a shared reference is atomic.
unsafe impl Sync for Mapping {}

/// A writable shared mapping.
#[derive(Debug)]
pub(crate) struct Page(Mapping);

impl Page {
    /// Maps `words` words of a file made by [`file`], writable.
    pub(crate) fn map(fd: impl AsFd, words: usize) -> io::Result<Self> {
        Mapping::new(fd, words, ProtFlags::READ | ProtFlags::WRITE).map(Self)
    }

    /// Makes the mapping absent in processes forked from this one.
    pub(crate) fn hidden_from_children(self) -> io::Result<Self> {
        self.0.hide_from_children()?;
        Ok(self)
    }
}

impl Deref for Page {
    type Target = [AtomicU64];

    fn deref(&self) -> &[AtomicU64] {
        // SAFETY: the range is mapped readable and writable for as long as `self` lives, is
        // page-aligned, and every bit pattern is a valid AtomicU64.
        unsafe { std::slice::from_raw_parts(self.0.start.as_ptr(), self.0.words) }
    }
}

/// A read-only shared mapping: the kernel refuses to make it writable when the file is sealed.
#[derive(Debug)]
pub(crate) struct View(Mapping);

impl View {
    /// Maps `words` words of a file made by [`file`], for reading only.
    pub(crate) fn map(fd: impl AsFd, words: usize) -> io::Result<Self> {
        Mapping::new(fd, words, ProtFlags::READ).map(Self)
    }

    /// Makes the mapping absent in processes forked from this one.
    pub(crate) fn hidden_from_children(self) -> io::Result<Self> {
        self.0.hide_from_children()?;
        Ok(self)
    }

    /// Returns word `index`, or 0 beyond the end.
    pub(crate) fn get(&self, index: usize) -> u64 {
        if index >= self.0.words {
            return 0;
        }
        // SAFETY: `index` is inside the mapping, which outlives the pointer.
        let word = unsafe { self.0.start.add(index) };
        // SAFETY: the word is mapped, aligned, and only ever accessed atomically; a relaxed load
        // of 8 bytes is allowed on read-only memory (std::sync::atomic, "Atomic accesses to
        // read-only memory").
        let value = unsafe { word.as_ref() }.load(Ordering::Relaxed);
        fence(Ordering::Acquire);
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_sees_what_the_page_writes() {
        let fd = file("test", 4).unwrap();
        let page = Page::map(&fd, 4).unwrap();
        let view = View::map(&fd, 4).unwrap();
        page[3].store(42, Ordering::Relaxed);
        assert_eq!(view.get(3), 42);
        assert_eq!(view.get(4), 0, "beyond the end reads as zero");
    }

    #[test]
    fn a_file_sealed_for_readers_cannot_be_mapped_writable_or_resized() {
        let fd = file("test", 4).unwrap();
        let page = Page::map(&fd, 4).unwrap();
        seal_for_readers(&fd).unwrap();
        assert_eq!(Page::map(&fd, 4).unwrap_err().raw_os_error(), Some(libc::EPERM));
        assert_eq!(rustix::fs::ftruncate(&fd, 0).unwrap_err().raw_os_error(), libc::EPERM);
        assert_eq!(rustix::io::write(&fd, b"x").unwrap_err().raw_os_error(), libc::EPERM);
        page[0].store(1, Ordering::Relaxed);
        assert_eq!(View::map(&fd, 4).unwrap().get(0), 1, "the first mapping stays writable");
    }
}
