//! The control page: what the spawner tells its handlers; read-only for them.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::sys::memory::{self, Page, View};

/// The most handlers that a pool can have.
pub(crate) const MAX_SLOTS: usize = 4096;

const HANDLERS: usize = 0;
const ELASTIC: usize = 1;
/// In milliseconds; 0: nobody is sent away.
const SHED_ABOVE: usize = 2;
const WORDS: usize = 8;

/// The spawner's side: the one writable mapping there will ever be.
pub(crate) struct ControlPage {
    page: Page,
    fd: OwnedFd,
}

impl ControlPage {
    /// Creates the page, maps it writable here alone, and seals it against all others.
    pub(crate) fn new() -> io::Result<Self> {
        let fd = memory::file("bellwether-control", WORDS)?;
        let page = Page::map(&fd, WORDS)?.hidden_from_children()?;
        memory::seal_for_readers(&fd)?;
        Ok(Self { page, fd })
    }

    /// Maps the page read-only, for a process that was forked from this one.
    pub(crate) fn view(&self) -> io::Result<ControlView> {
        View::map(&self.fd, WORDS).map(ControlView)
    }

    /// Returns the sealed file behind the page.
    pub(crate) const fn file(&self) -> &OwnedFd {
        &self.fd
    }

    /// Tells all handlers how many of them serve.
    pub(crate) fn set_handlers(&self, handlers: usize) {
        self.page[HANDLERS].store(handlers as u64, Ordering::Relaxed);
    }

    /// Tells all handlers whether their number follows the load, so that they count who is free;
    /// returns whether it does so from now on.
    pub(crate) fn set_elastic(&self, elastic: bool) -> bool {
        let before = self.page[ELASTIC].swap(elastic.into(), Ordering::Relaxed);
        elastic && before == 0
    }

    /// Tells all handlers from which wait in the buffer on (at least 1 ms) they send connections
    /// away; `None`: they serve all.
    pub(crate) fn shed_above(&self, wait: Option<Duration>) {
        let ms = |wait: Duration| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).max(1);
        self.page[SHED_ABOVE].store(wait.map_or(0, ms), Ordering::Relaxed);
    }
}

/// A handler's side.
pub(crate) struct ControlView(View);

impl ControlView {
    /// Returns how many handlers serve, at least 1.
    pub(crate) fn handlers(&self) -> u64 {
        self.0.get(HANDLERS).max(1)
    }

    /// Tells whether the number of handlers follows the load.
    pub(crate) fn is_elastic(&self) -> bool {
        self.0.get(ELASTIC) != 0
    }

    /// Returns the wait in the buffer above which a connection is sent away; `None`: nobody is.
    pub(crate) fn shed_above(&self) -> Option<Duration> {
        Some(self.0.get(SHED_ABOVE)).filter(|ms| *ms > 0).map(Duration::from_millis)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_spawner_says_is_what_its_handlers_read() {
        let page = ControlPage::new().unwrap();
        let view = page.view().unwrap();
        assert_eq!(view.handlers(), 1, "at least the one who asks");
        page.set_handlers(7);
        assert_eq!(view.handlers(), 7);
        assert!(!view.is_elastic());
        assert!(page.set_elastic(true) && view.is_elastic());
        assert!(!page.set_elastic(true), "it was before");
    }

    #[test]
    fn nobody_is_shed_until_the_spawner_says_so() {
        let page = ControlPage::new().unwrap();
        let view = page.view().unwrap();
        assert_eq!(view.shed_above(), None);
        let check = |wait, expected| {
            page.shed_above(wait);
            assert_eq!(view.shed_above(), expected);
        };
        let ms = Duration::from_millis;
        check(Some(ms(50)), Some(ms(50)));
        check(Some(Duration::from_nanos(1)), Some(ms(1)));
        check(Some(Duration::MAX), Some(ms(u64::MAX)));
        check(None, None);
    }

    #[test]
    fn nobody_else_can_write_the_control_page() {
        let page = ControlPage::new().unwrap();
        assert!(Page::map(&page.fd, WORDS).is_err());
    }
}
