//! The unfinished requests of one thread, of which the telemetry page shows the oldest.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::deadline::{Deadline, Deadlines};
use super::post::Post;
use crate::scoreboard::mark::{Label, Mark};
use crate::sys::clock;

/// The unfinished requests of one thread; there are none to keep where none has a deadline or a label.
pub(crate) struct Requests {
    deadlines: Deadlines,
    unfinished: Mutex<Table>,
}

/// Identifies a request; the older, the smaller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    /// When it arrived (ns since boot).
    pub(super) since: u64,
    number: u64,
}

struct Table {
    mark: Mark,
    begun: u64,
    labels: BTreeMap<Key, Label>,
}

impl Requests {
    /// Keeps the requests of a thread, if they have deadlines here or are labelled.
    pub(super) fn of_thread(post: &Post, thread: usize, labels: bool) -> Option<Arc<Self>> {
        let deadlines = post.deadlines;
        (deadlines.is_set() || labels).then(|| Self::of(post.telemetry.mark(thread), deadlines))
    }

    pub(super) fn of(mark: Mark, deadlines: Deadlines) -> Arc<Self> {
        let table = Table { mark, begun: 0, labels: BTreeMap::new() };
        Arc::new(Self { deadlines, unfinished: Mutex::new(table) })
    }

    /// A request is to be served that has waited so long already.
    pub(crate) fn begin(self: &Arc<Self>, waited: Option<Duration>) -> Unfinished {
        let waited = waited.unwrap_or_default();
        let arrived = clock::now().saturating_sub(waited);
        // 0 in the page means that there is none.
        let since = u64::try_from(arrived.as_nanos()).unwrap_or(u64::MAX).max(1);
        let key = self.table().begin(since);
        Unfinished(Deadline::new(self.deadlines, key, Arc::clone(self)))
    }

    /// Labels a request, if it is not finished yet.
    pub(super) fn label(&self, key: Key, label: &str) {
        self.table().label(key, Label::of(label));
    }

    /// A request is finished, served or not.
    pub(super) fn end(&self, key: Key) {
        self.table().end(key);
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        // Nothing in here panics half-way.
        self.unfinished.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn begin(&mut self, since: u64) -> Key {
        self.begun += 1;
        let key = Key { since, number: self.begun };
        self.labels.insert(key, Label::default());
        self.show_if_oldest(key);
        key
    }

    fn label(&mut self, key: Key, label: Label) {
        if let Some(place) = self.labels.get_mut(&key) {
            *place = label;
            self.show_if_oldest(key);
        }
    }

    fn end(&mut self, key: Key) {
        let oldest = self.oldest();
        self.labels.remove(&key);
        if oldest == Some(key) {
            self.show();
        }
    }

    fn oldest(&self) -> Option<Key> {
        self.labels.first_key_value().map(|(key, _)| *key)
    }

    fn show_if_oldest(&self, key: Key) {
        if self.oldest() == Some(key) {
            self.show();
        }
    }

    fn show(&self) {
        match self.labels.first_key_value() {
            Some((key, label)) => self.mark.set(key.since, label),
            None => self.mark.clear(),
        }
    }
}

/// A request that is not finished; dropping it says that it is.
pub(crate) struct Unfinished(Deadline);

impl Unfinished {
    /// Returns what its handler is to know.
    pub(crate) fn deadline(&self) -> Deadline {
        self.0.clone()
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        self.0.finish();
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::scoreboard::telemetry::{self, Telemetry, TelemetryView};

    /// Both sides of the page of a handler that has won something.
    pub(in super::super) fn page() -> (Telemetry, TelemetryView) {
        let file = telemetry::file(1).unwrap();
        let view = TelemetryView::map(&file, 1).unwrap();
        let telemetry = Telemetry::map(&file, 1, Duration::from_nanos(1)).unwrap();
        telemetry.line(0).woke();
        telemetry.line(0).won(None);
        (telemetry, view)
    }

    #[test]
    fn the_page_shows_the_oldest_request_and_its_label() {
        let (telemetry, view) = page();
        let deadlines = Deadlines { soft: None, hard: Some(Duration::from_secs(60)) };
        let requests = Requests::of(telemetry.mark(0), deadlines);
        let shown = || view.label_of_oldest();
        assert_eq!(shown(), None);
        let young = requests.begin(None);
        assert_eq!(shown().as_deref(), Some(""));
        let old = requests.begin(Some(Duration::from_secs(1)));
        young.deadline().label("young");
        old.deadline().label("old");
        assert_eq!(shown().as_deref(), Some("old"));
        let age = view.snapshot().age_of_oldest(clock::now()).unwrap();
        assert!(age >= Duration::from_secs(1), "its time in the buffer counts: {age:?}");
        let late = old.deadline();
        drop(old);
        late.label("what has ended says nothing");
        assert_eq!(shown().as_deref(), Some("young"));
        drop(young);
        assert_eq!((shown(), view.snapshot().oldest), (None, None));
    }

    #[test]
    fn requests_that_arrived_together_are_told_apart() {
        let (telemetry, view) = page();
        let requests = Requests::of(telemetry.mark(0), Deadlines::default());
        let since_ever = || requests.begin(Some(Duration::MAX));
        let (one, other) = (since_ever(), since_ever());
        drop(one);
        assert!(view.snapshot().oldest.is_some());
        drop(other);
        assert!(view.snapshot().oldest.is_none());
    }
}
