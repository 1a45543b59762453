//! The folder of a running server vanishes: it is made anew, or the server goes on without it.
//!
//! Whoever cleans up a runtime directory (a tmpfiles rule, a logout, an operator) takes lock and
//! control socket away from a server that serves on. The kernel tells at once (inotify(7)); what
//! cannot be made anew is tried again with growing pauses, and nothing else ever waits for it.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

use rustix::fs::inotify::{CreateFlags, WatchFlags, add_watch, init};

use super::Spawner;
use super::event::Source;
use crate::error::Error;
use crate::journal::{Entry, Kind};
use crate::sys::clock;
use crate::sys::poller::Interest;

/// Who removes a folder with all that is in it needs a moment to come to its end.
const SETTLING: Duration = Duration::from_millis(50);
/// The first pause after an attempt that failed; each further one is twice as long…
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// …up to this.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// What is known about the folder.
#[derive(Debug)]
pub(super) struct FolderWatch {
    /// Readable when something has been removed in the folder, or beside it.
    changes: Option<OwnedFd>,
    /// When to look whether all is there.
    pub(super) due: Option<Duration>,
    /// Why nobody can reach the server, if nobody can.
    pub(super) problem: Option<String>,
    pause: Duration,
}

impl FolderWatch {
    /// Begins with a look: a predecessor may have left without a folder.
    pub(super) fn new() -> Self {
        Self { changes: None, due: Some(clock::now()), problem: None, pause: FIRST_PAUSE }
    }

    fn failed(&mut self, now: Duration) {
        self.due = Some(now + self.pause);
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
    }

    fn is_well(&mut self) {
        self.due = None;
        self.problem = None;
        self.pause = FIRST_PAUSE;
    }
}

/// Watches what happens to a folder from inside and from above: a folder that is held open is not
/// told of its own removal.
fn watch(folder: &Path) -> std::io::Result<OwnedFd> {
    let changes = init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
    let removed = WatchFlags::DELETE | WatchFlags::MOVED_FROM;
    let gone = WatchFlags::DELETE_SELF | WatchFlags::MOVE_SELF;
    for path in [Some(folder), folder.parent()].into_iter().flatten() {
        add_watch(&changes, path, removed | gone | WatchFlags::ONLYDIR)?;
    }
    Ok(changes)
}

impl Spawner {
    /// Something has happened in the folder or to it.
    pub(super) fn folder_changed(&mut self) {
        let mut records = [0; 4096];
        if let Some(changes) = &self.folder_watch.changes {
            while rustix::io::read(changes, &mut records).is_ok_and(|length| length > 0) {}
        }
        let soon = clock::now() + SETTLING;
        self.folder_watch.due = Some(self.folder_watch.due.map_or(soon, |due| due.min(soon)));
    }

    /// Looks whether the control socket is where clients look for it, and puts it there again.
    pub(super) fn look_after_folder(&mut self, now: Duration) {
        if self.folder_watch.due.is_none_or(|due| due > now) {
            return;
        }
        let there = self.control.is_there();
        if there && self.folder_watch.changes.is_some() {
            return self.folder_watch.is_well();
        }
        let opened = if there { Ok(()) } else { self.open_control_anew() };
        match opened {
            Ok(()) => {
                self.folder_watch.is_well();
                self.watch_folder();
            }
            Err(error) => {
                self.tell_of_folder(&error);
                self.folder_watch.failed(now);
            }
        }
    }

    fn open_control_anew(&mut self) -> Result<(), Error> {
        self.control.open_anew()?;
        self.folder_watch.changes = None;
        // One that cannot be watched is not lost: the next look finds it deaf no more than before.
        let _ = self.poller.add(&self.control.socket, Source::Control.token(), Interest::Read);
        let place = self.control.folder().0;
        let reason = format!("the control socket was gone; it is in {} again", place.display());
        tracing::warn!("{reason}");
        self.tell(Entry::new(Kind::Mend, "control", reason));
        Ok(())
    }

    fn watch_folder(&mut self) {
        let watched = watch(&self.control.folder().0).and_then(|changes| {
            self.poller.add(&changes, Source::Folder.token(), Interest::Read)?;
            Ok(changes)
        });
        match watched {
            Ok(changes) => self.folder_watch.changes = Some(changes),
            Err(error) => tracing::warn!("the runtime folder cannot be watched: {error}"),
        }
        if !self.control.is_there() {
            // It went before it was watched.
            self.folder_watch.due = Some(clock::now() + SETTLING);
        }
    }

    /// Says once why nobody can reach the server.
    fn tell_of_folder(&mut self, error: &Error) {
        let problem = format!("no control socket, serving goes on: {error}");
        if self.folder_watch.problem.as_ref() == Some(&problem) {
            return;
        }
        tracing::error!("{problem}");
        self.folder_watch.problem = Some(problem.clone());
        self.tell(Entry::new(Kind::Shortage, "control", problem));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_told(changes: &OwnedFd) -> bool {
        rustix::io::read(changes, &mut [0; 4096]).is_ok_and(|length| length > 0)
    }

    #[test]
    fn the_removal_of_a_folder_that_is_held_open_is_told() {
        let base = tempfile::tempdir().unwrap();
        let folder = base.path().join("shop");
        std::fs::create_dir(&folder).unwrap();
        let _held = std::fs::File::open(&folder).unwrap();
        let changes = watch(&folder).unwrap();
        assert!(!is_told(&changes));
        std::fs::remove_dir(&folder).unwrap();
        assert!(is_told(&changes));
    }

    #[test]
    fn the_removal_of_a_file_in_the_folder_is_told_and_its_making_is_not() {
        let base = tempfile::tempdir().unwrap();
        let changes = watch(base.path()).unwrap();
        std::fs::write(base.path().join("x"), "").unwrap();
        assert!(!is_told(&changes));
        std::fs::remove_file(base.path().join("x")).unwrap();
        assert!(is_told(&changes));
    }

    #[test]
    fn pauses_grow_to_their_limit_and_begin_anew() {
        let mut watch = FolderWatch::new();
        let mut pauses = Vec::new();
        for _ in 0..7 {
            watch.failed(Duration::ZERO);
            pauses.extend(watch.due.map(|due| due.as_secs()));
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30]);
        watch.is_well();
        watch.failed(Duration::ZERO);
        assert_eq!(watch.due, Some(FIRST_PAUSE));
    }
}
