//! Watching files and folders by inotify(7).
//!
//! The kernel watches folders one by one, so only those are watched whose changes can count: what a
//! package manager or a compiler fills with thousands of files costs nothing. (The crate `notify`
//! would watch a tree with all that is in it, in a thread of its own.)

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use bellwether::{Error, Result};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use rustix::io::Errno;

use super::ignoring::Ignoring;

/// What is watched, and which changes of it count.
#[derive(Debug)]
pub(super) struct Watch {
    kernel: OwnedFd,
    ignoring: Ignoring,
    /// What the user wants to be watched, wherever it comes from and goes to.
    roots: Vec<PathBuf>,
    /// The folders that are watched, by the numbers that the kernel gave.
    places: BTreeMap<i32, Place>,
    /// Files that are new.
    fresh: BTreeSet<PathBuf>,
}

/// A folder that is watched.
#[derive(Debug, Default)]
struct Place {
    folder: PathBuf,
    /// Whether all that is in it counts, unless it is left out.
    whole: bool,
    /// Names in it that count in any case.
    names: BTreeSet<OsString>,
}

/// What the kernel tells.
#[derive(Debug)]
struct Report {
    place: i32,
    what: ReadFlags,
    name: Option<OsString>,
}

const TOLD: WatchFlags = WatchFlags::CLOSE_WRITE
    .union(WatchFlags::CREATE)
    .union(WatchFlags::DELETE)
    .union(WatchFlags::MOVED_FROM)
    .union(WatchFlags::MOVED_TO)
    .union(WatchFlags::ONLYDIR)
    // A file that has no name any more is nobody's.
    .union(WatchFlags::EXCL_UNLINK);

impl Watch {
    /// Watches a folder with all that counts in it, or, if any are given, these paths instead.
    pub(super) fn begin(folder: &Path, named: &[PathBuf], patterns: &[String]) -> Result<Self> {
        let kernel = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)
            .map_err(|errno| cannot_watch(folder, errno.into()))?;
        let ignoring = Ignoring::from(folder, patterns)?;
        let (roots, places, fresh) = Default::default();
        let mut watch = Self { kernel, ignoring, roots, places, fresh };
        let cannot = |(path, error): (PathBuf, io::Error)| cannot_watch(&path, error);
        if named.is_empty() {
            watch.roots.push(folder.into());
        }
        for path in named {
            let root = path.canonicalize().map_err(|error| is_not_there(path, &error))?;
            watch.await_name(&root).map_err(cannot)?;
            watch.roots.push(root);
        }
        watch.scan().map_err(cannot)?;
        Ok(watch)
    }

    /// How many folders are watched as a whole.
    pub(super) fn folders(&self) -> usize {
        self.places.values().filter(|place| place.whole).count()
    }

    /// What the user wants to be watched.
    pub(super) fn roots(&self) -> &[PathBuf] {
        &self.roots
    }

    /// Returns what has changed and counts, without waiting.
    pub(super) fn changes(&mut self) -> Vec<PathBuf> {
        let mut changes = Vec::new();
        for report in self.reports() {
            self.hear(report, &mut changes);
        }
        changes
    }

    /// Leaves out what has come and is gone again, as the file that an editor renames in the end.
    ///
    /// From then on nothing is new.
    pub(super) fn leave_out_what_passed(&mut self, changes: &mut Vec<PathBuf>) {
        let fresh = std::mem::take(&mut self.fresh);
        let stays = |path: &PathBuf| !fresh.contains(path) || path.exists();
        // Something has changed, whatever became of it.
        if changes.iter().any(stays) {
            changes.retain(stays);
        }
    }

    fn reports(&self) -> Vec<Report> {
        let mut records = [MaybeUninit::uninit(); 16 * 1024];
        let mut reader = Reader::new(&self.kernel, &mut records);
        let mut reports = Vec::new();
        while let Ok(event) = reader.next() {
            let name = event.file_name().map(|name| OsStr::from_bytes(name.to_bytes()).into());
            reports.push(Report { place: event.wd(), what: event.events(), name });
        }
        reports
    }

    fn hear(&mut self, Report { place, what, name }: Report, changes: &mut Vec<PathBuf>) {
        if what.contains(ReadFlags::QUEUE_OVERFLOW) {
            // Nobody knows what has changed.
            changes.extend(self.roots.first().cloned());
            return self.scan_again();
        }
        if what.contains(ReadFlags::IGNORED) {
            self.places.remove(&place);
            return;
        }
        let (Some(place), Some(name)) = (self.places.get(&place), name) else { return };
        let path = place.folder.join(&name);
        if place.whole && name == ".gitignore" {
            return self.scan_again();
        }
        let is_folder = what.contains(ReadFlags::ISDIR);
        let counts = place.whole && self.ignoring.counts(&path, is_folder);
        if !counts && !place.names.contains(&name) {
            return;
        }
        if what.contains(ReadFlags::CREATE) {
            self.fresh.insert(path.clone());
        }
        let comes = what.intersects(ReadFlags::CREATE | ReadFlags::MOVED_TO);
        match (is_folder, comes) {
            (true, true) => self.arrived(&path, changes),
            (true, false) => {
                self.forget(&path);
                changes.push(path);
            }
            // A new file is told of again when it is written; one that only has a new name is not.
            (false, _) if what.contains(ReadFlags::CREATE) && !is_complete(&path) => {}
            (false, _) => changes.push(path),
        }
    }

    /// A folder has come; what is in it may have been there before it was watched.
    fn arrived(&mut self, folder: &Path, changes: &mut Vec<PathBuf>) {
        if let Err((path, error)) = self.watch_tree(folder, changes) {
            tracing::warn!("{}", cannot_watch(&path, error));
        }
    }

    /// Reads anew what git ignores, and watches what was not watched before.
    fn scan_again(&mut self) {
        if let Err((path, error)) = self.scan() {
            tracing::warn!("{}", cannot_watch(&path, error));
        }
    }

    fn scan(&mut self) -> Result<(), (PathBuf, io::Error)> {
        for root in self.roots.clone() {
            self.ignoring.learn_above(&root);
            if root.is_dir() {
                self.watch_tree(&root, &mut Vec::new())?;
            }
        }
        Ok(())
    }

    /// Watches a folder and those in it that count, and notes the files that it finds.
    fn watch_tree(
        &mut self,
        folder: &Path,
        files: &mut Vec<PathBuf>,
    ) -> Result<(), (PathBuf, io::Error)> {
        let mut folders = vec![folder.to_owned()];
        while let Some(folder) = folders.pop() {
            match self.place(&folder) {
                Ok(place) => place.whole = true,
                // It is gone again, or not for us to see.
                Err(error) if is_of_no_use(&error) => continue,
                Err(error) => return Err((folder, error)),
            }
            self.look_into(&folder, &mut folders, files);
        }
        Ok(())
    }

    /// Finds the folders and the files in a folder that count.
    fn look_into(&mut self, folder: &Path, folders: &mut Vec<PathBuf>, files: &mut Vec<PathBuf>) {
        self.ignoring.learn(folder);
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            // Links are not followed: they may lead anywhere, also in circles.
            let is_folder = entry.file_type().is_ok_and(|it| it.is_dir());
            let path = entry.path();
            if self.ignoring.counts(&path, is_folder) {
                if is_folder { &mut *folders } else { &mut *files }.push(path);
            }
        }
    }

    /// Watches for a name in the folder in which it is, or will be again.
    fn await_name(&mut self, path: &Path) -> Result<(), (PathBuf, io::Error)> {
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else { return Ok(()) };
        let place = self.place(folder);
        place.map_err(|error| (folder.to_owned(), error))?.names.insert(name.into());
        Ok(())
    }

    /// Returns the place of a folder, which the kernel watches from now on.
    fn place(&mut self, folder: &Path) -> io::Result<&mut Place> {
        let number = inotify::add_watch(&self.kernel, folder, TOLD)?;
        let place = self.places.entry(number).or_default();
        folder.clone_into(&mut place.folder);
        Ok(place)
    }

    /// Ends the watching of a folder that is gone, or has gone elsewhere.
    fn forget(&mut self, folder: &Path) {
        let below = self.places.iter().filter(|(_, place)| place.folder.starts_with(folder));
        for number in below.map(|(number, _)| *number).collect::<Vec<_>>() {
            // The kernel has forgotten what does not exist any more.
            let _ = inotify::remove_watch(&self.kernel, number);
            self.places.remove(&number);
        }
    }
}

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.kernel.as_fd()
    }
}

/// Tells whether a file is there with all its content as soon as it has a name: as a link.
fn is_complete(path: &Path) -> bool {
    let found = std::fs::symlink_metadata(path);
    found.is_ok_and(|it| it.is_symlink() || it.is_file() && it.nlink() > 1)
}

fn is_of_no_use(error: &io::Error) -> bool {
    let errno = Errno::from_io_error(error);
    matches!(errno, Some(Errno::NOENT | Errno::NOTDIR | Errno::ACCESS))
}

fn is_not_there(path: &Path, error: &io::Error) -> Error {
    let problem = format!("`{}`: {error}; name a file or a folder that is there", path.display());
    Error::Configure { what: "watch".into(), problem }
}

fn cannot_watch(path: &Path, error: io::Error) -> Error {
    let limit = match Errno::from_io_error(&error) {
        Some(Errno::NOSPC) => Some("fs.inotify.max_user_watches"),
        Some(Errno::MFILE) => Some("fs.inotify.max_user_instances"),
        _ => None,
    };
    let source = limit.map_or(error, |limit| {
        io::Error::other(format!(
            "the limit `{limit}` is reached; watch less (--watch PATH, --ignore PATTERN), or raise \
             it with sysctl"
        ))
    });
    Error::System { doing: format!("watch {}", path.display()), source }
}
