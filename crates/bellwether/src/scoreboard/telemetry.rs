//! The telemetry page: what one handler says about itself.
//!
//! The handler writes words, the spawner reads a copy and believes it only within bounds: a
//! [`Snapshot`] is the copy after the check. A page that contradicts itself is marked, shown as
//! zeros, and its handler is replaced.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::histogram::{self, CLASSES};
use super::mark::{self, Mark};
pub(crate) use super::snapshot::Snapshot;
use crate::sys::clock;
use crate::sys::memory::{self, Page, View};

/// The most threads that a handler can have.
pub(crate) const MAX_THREADS: usize = 1024;

const LAYOUT: usize = 0;
pub(super) const OPEN: usize = 1;
const FORKED_AT: usize = 2;
const FIRST_ACCEPT_AT: usize = 3;
const ACCEPT_ERRORS: usize = 4;
const LATE: usize = 5;
const SHED: usize = 6;
pub(super) const ASKS_UNTIL: usize = 7;
const WAITS: usize = 8;
/// Bucket k counts waits of less than 2^k ms and at least 2^(k-1); bucket 0: less than 1 ms.
pub(crate) const WAIT_BUCKETS: usize = 24;
/// How long requests were served, by [`histogram::class`], and all of that in microseconds.
const SERVED: usize = WAITS + WAIT_BUCKETS;
const SERVED_IN_ALL: usize = SERVED + CLASSES;
/// What comes before is whole cache lines.
pub(super) const LINES: usize = (SERVED_IN_ALL + 1).next_multiple_of(LINE);

/// "bell" and the version of this layout.
const LAYOUT_MARK: u64 = 0x6265_6c6c_0000_0004;

// The words of one thread: one cache line. STATE and what is counted in races has one writer, the thread
// that races; what is counted at the ends of connections may have several, the threads of a runtime; SINCE
// is written by whoever holds its `Mark`.
pub(super) const STATE: usize = 0;
const WAKEUPS: usize = 1;
const WINS: usize = 2;
const LOSSES: usize = 3;
const COMPLETED: usize = 4;
const ABORTED: usize = 5;
const REQUESTS: usize = 6;
const SINCE: usize = 7;
const LINE: usize = 8;

/// What STATE says of a thread that waits; of one that serves it says since when (ns since boot).
const IDLE: u64 = 1;

/// After the lines of all threads come their labels, so that a line stays one cache line.
const fn words(threads: usize) -> usize {
    label_at(threads, threads)
}

const fn label_at(threads: usize, thread: usize) -> usize {
    LINES + LINE * threads + mark::WORDS * thread
}

/// Creates the file behind the page of one handler.
pub(crate) fn file(threads: usize) -> io::Result<OwnedFd> {
    let fd = memory::file("bellwether-telemetry", words(threads))?;
    memory::seal_the_seals(&fd)?;
    Ok(fd)
}

/// The handler's side: it writes, and forgets.
#[derive(Clone)]
pub(crate) struct Telemetry {
    pub(super) page: Arc<Page>,
    threads: usize,
}

impl Telemetry {
    pub(crate) fn map(fd: impl AsFd, threads: usize, forked_at: Duration) -> io::Result<Self> {
        let page = Page::map(fd, words(threads))?;
        let ns = u64::try_from(forked_at.as_nanos()).unwrap_or(0);
        page[FORKED_AT].store(ns, Ordering::Relaxed);
        page[LAYOUT].store(LAYOUT_MARK, Ordering::Release);
        Ok(Self { page: Arc::new(page), threads })
    }

    /// Returns the line of one thread.
    pub(crate) fn line(&self, thread: usize) -> Line<'_> {
        Line { page: &self.page, base: LINES + LINE * thread }
    }

    /// Returns how many accepted connections have not ended; allocates and locks nothing.
    pub(crate) fn unfinished(&self) -> u64 {
        (0..self.threads).map(|thread| self.line(thread).unfinished()).sum()
    }

    /// Returns the place where one thread says what its oldest request is.
    pub(crate) fn mark(&self, thread: usize) -> Mark {
        let (since, label) = (LINES + LINE * thread + SINCE, label_at(self.threads, thread));
        Mark::new(Arc::clone(&self.page), since, label)
    }
}

/// One thread's line of the page.
#[derive(Clone, Copy)]
pub(crate) struct Line<'a> {
    page: &'a Page,
    base: usize,
}

impl Line<'_> {
    /// Counts one more; as the word has one writer, that needs no locked instruction.
    fn count(&self, word: usize) {
        let word = &self.page[self.base + word];
        word.store(word.load(Ordering::Relaxed).wrapping_add(1), Ordering::Release);
    }

    /// Counts one more where several threads may.
    fn add(&self, word: usize) {
        self.page[self.base + word].fetch_add(1, Ordering::Release);
    }

    fn unfinished(&self) -> u64 {
        let word = |word: usize| self.page[self.base + word].load(Ordering::Acquire);
        let ended = word(COMPLETED).wrapping_add(word(ABORTED));
        word(WINS).saturating_sub(ended)
    }

    fn enter(&self, state: u64) {
        self.page[self.base + STATE].store(state, Ordering::Release);
    }

    /// The thread waits.
    pub(crate) fn idle(&self) {
        self.enter(IDLE);
    }

    /// The thread serves, or has no room for more, since then (time since boot).
    pub(crate) fn busy(&self, since: Duration) {
        let ns = u64::try_from(since.as_nanos()).unwrap_or(u64::MAX);
        self.enter(ns.max(IDLE + 1));
    }

    /// Tells whether the thread says that it serves.
    pub(super) fn is_busy(&self) -> bool {
        self.page[self.base + STATE].load(Ordering::Relaxed) > IDLE
    }

    pub(crate) fn woke(&self) {
        self.count(WAKEUPS);
    }

    /// The thread won a connection that had waited this long in the buffer.
    pub(crate) fn won(&self, waited: Option<Duration>) {
        self.count(WINS);
        if self.page[FIRST_ACCEPT_AT].load(Ordering::Relaxed) == 0 {
            self.page[FIRST_ACCEPT_AT].store(clock::now_ns(), Ordering::Relaxed);
        }
        if let Some(waited) = waited {
            self.page[WAITS + bucket(waited)].fetch_add(1, Ordering::Release);
        }
    }

    /// A request was served for so long.
    pub(crate) fn served(&self, time: Duration) {
        let us = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.page[SERVED + histogram::class(us)].fetch_add(1, Ordering::Relaxed);
        self.page[SERVED_IN_ALL].fetch_add(us, Ordering::Relaxed);
    }

    /// The connection just won had waited longer than it should have.
    pub(crate) fn late(&self) {
        self.page[LATE].fetch_add(1, Ordering::Release);
    }

    /// A late connection is not served, but sent away.
    pub(crate) fn shed(&self) {
        self.page[SHED].fetch_add(1, Ordering::Release);
    }

    pub(crate) fn lost(&self) {
        self.count(LOSSES);
    }

    /// A connection ended as its handler wished.
    pub(crate) fn completed(&self) {
        self.add(COMPLETED);
    }

    /// A connection ended by a panic.
    pub(crate) fn aborted(&self) {
        self.add(ABORTED);
    }

    /// Counts requests: one a connection, or as many as the protocol carried.
    pub(crate) fn requested(&self) {
        self.add(REQUESTS);
    }

    /// `accept` failed in a way that is neither winning nor losing.
    pub(crate) fn accept_failed(&self) {
        self.page[ACCEPT_ERRORS].fetch_add(1, Ordering::Relaxed);
    }

    #[cfg_attr(not(feature = "tokio"), allow(dead_code))] // blocking handlers hold one a thread
    pub(crate) fn opened(&self) {
        self.page[OPEN].fetch_add(1, Ordering::Release);
    }

    #[cfg_attr(not(feature = "tokio"), allow(dead_code))]
    pub(crate) fn closed(&self) {
        self.page[OPEN].fetch_sub(1, Ordering::Release);
    }
}

fn bucket(waited: Duration) -> usize {
    let ms = u64::try_from(waited.as_millis()).unwrap_or(u64::MAX);
    ((u64::BITS - ms.leading_zeros()) as usize).min(WAIT_BUCKETS - 1)
}

/// The spawner's side: it reads, and believes little.
pub(crate) struct TelemetryView {
    pub(super) view: View,
    threads: usize,
}

impl TelemetryView {
    /// Maps the page read-only; children of this process do not see it.
    pub(crate) fn map(fd: &OwnedFd, threads: usize) -> io::Result<Self> {
        let view = View::map(fd, words(threads))?.hidden_from_children()?;
        Ok(Self { view, threads })
    }

    pub(crate) const fn threads(&self) -> usize {
        self.threads
    }

    /// Copies the page and checks the copy.
    ///
    /// Words are read in the order opposite to that in which an honest handler writes them
    /// (what follows from a wake-up before the wake-up), so that a snapshot taken at any moment
    /// satisfies `completed + aborted <= wins`, `shed <= late <= wins` and
    /// `wins + losses <= wakeups`.
    pub(crate) fn snapshot(&self) -> Snapshot {
        let mut sum =
            Snapshot { accept_errors: self.view.get(ACCEPT_ERRORS), ..Snapshot::default() };
        sum.shed = self.view.get(SHED);
        sum.late = self.view.get(LATE);
        for (k, count) in sum.waits.iter_mut().enumerate() {
            *count = self.view.get(WAITS + k);
        }
        for (class, count) in sum.served.counts.iter_mut().enumerate() {
            *count = self.view.get(SERVED + class);
        }
        sum.served.total_us = self.view.get(SERVED_IN_ALL);
        sum.first_accept = self.first_accept();
        let open = self.view.get(OPEN);
        for thread in 0..self.threads {
            self.add_line(&mut sum, LINES + LINE * thread);
        }
        sum.open = open.max(sum.wins.saturating_sub(sum.completed.saturating_add(sum.aborted)));
        let now = clock::now();
        sum.oldest = sum.oldest.map(|since| since.min(now));
        sum.busy_since = sum.busy_since.map(|since| since.min(now));
        let layout = self.view.get(LAYOUT);
        let blank = layout == 0 && sum == Snapshot::default();
        if (layout == LAYOUT_MARK || blank) && open <= sum.wins && sum.is_consistent() {
            return sum;
        }
        Snapshot { corrupt: true, ..Snapshot::default() }
    }

    fn add_line(&self, sum: &mut Snapshot, base: usize) {
        let get = |word| self.view.get(base + word);
        let since = Some(get(SINCE)).filter(|since| *since != 0).map(Duration::from_nanos);
        sum.oldest = [sum.oldest, since].into_iter().flatten().min();
        sum.requests = sum.requests.saturating_add(get(REQUESTS));
        sum.aborted = sum.aborted.saturating_add(get(ABORTED));
        sum.completed = sum.completed.saturating_add(get(COMPLETED));
        sum.losses = sum.losses.saturating_add(get(LOSSES));
        sum.wins = sum.wins.saturating_add(get(WINS));
        sum.wakeups = sum.wakeups.saturating_add(get(WAKEUPS));
        match get(STATE) {
            0 => {}
            IDLE => sum.idle += 1,
            since => {
                sum.busy += 1;
                let since = Some(Duration::from_nanos(since));
                sum.busy_since = [sum.busy_since, since].into_iter().flatten().min();
            }
        }
    }

    /// Returns what the handler says of its oldest unfinished request; `None` when there is none.
    ///
    /// At most 63 characters, all of which can be shown. Apart from the snapshot, because it is
    /// wanted seldom.
    pub(crate) fn label_of_oldest(&self) -> Option<String> {
        let since = |thread| self.view.get(LINES + LINE * thread + SINCE);
        let begun = (0..self.threads).filter(|thread| since(*thread) != 0);
        let oldest = begun.min_by_key(|thread| since(*thread))?;
        Some(self.label(oldest))
    }

    pub(super) fn label(&self, thread: usize) -> String {
        let base = label_at(self.threads, thread);
        mark::read(|word| self.view.get(base + word))
    }

    /// Returns when the handler was forked (time since boot), as it says; never in the future.
    pub(crate) fn forked_at(&self) -> Duration {
        Duration::from_nanos(self.view.get(FORKED_AT)).min(clock::now())
    }

    fn first_accept(&self) -> Option<Duration> {
        let (forked, accepted) = (self.view.get(FORKED_AT), self.view.get(FIRST_ACCEPT_AT));
        accepted.checked_sub(forked).filter(|_| forked > 0).map(Duration::from_nanos)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::scoreboard::mark::Label;
    use crate::scoreboard::snapshot::BELIEVABLE;

    fn pair(threads: usize) -> (Page, TelemetryView) {
        let fd = file(threads).unwrap();
        (Page::map(&fd, words(threads)).unwrap(), TelemetryView::map(&fd, threads).unwrap())
    }

    #[test]
    fn what_a_handler_counts_is_what_the_spawner_reads() {
        let fd = file(2).unwrap();
        let view = TelemetryView::map(&fd, 2).unwrap();
        assert_eq!(view.snapshot(), Snapshot::default(), "a blank page is a handler that starts");
        let telemetry = Telemetry::map(&fd, 2, Duration::from_nanos(1)).unwrap();
        let line = telemetry.line(1);
        line.idle();
        line.woke();
        line.won(Some(Duration::from_millis(5)));
        line.busy(Duration::from_nanos(7));
        let seen = view.snapshot();
        assert_eq!((seen.wakeups, seen.wins, seen.open, seen.busy), (1, 1, 1, 1));
        assert_eq!(seen.busy_since, Some(Duration::from_nanos(7)));
        assert_eq!(seen.waits[3], 1, "5 ms lie between 4 and 8");
        assert!(seen.first_accept.is_some() && !seen.corrupt);
        line.served(Duration::from_millis(3));
        let served = view.snapshot().served;
        assert_eq!(
            (served.total_us, served.classes().collect::<Vec<_>>()),
            (3000, vec![(3072, 1)])
        );
        assert_eq!((seen.late, seen.shed), (0, 0));
        line.late();
        line.shed();
        line.completed();
        let seen = view.snapshot();
        assert_eq!((seen.late, seen.shed, seen.open), (1, 1, 0));
    }

    #[test]
    fn a_page_that_contradicts_itself_is_marked() {
        let (page, view) = pair(1);
        page[LAYOUT].store(LAYOUT_MARK, Ordering::Relaxed);
        page[LINES + WINS].store(1, Ordering::Relaxed);
        assert!(view.snapshot().corrupt, "a win without a wake-up");
        page[LINES + WAKEUPS].store(1, Ordering::Relaxed);
        assert!(!view.snapshot().corrupt);
        page[LINES + STATE].store(u64::MAX, Ordering::Relaxed);
        let seen = view.snapshot();
        assert!(!seen.corrupt && seen.busy_since <= Some(clock::now()), "busy since the future");
        page[LINES + STATE].store(IDLE, Ordering::Relaxed);
        page[LINES + SINCE].store(1, Ordering::Relaxed);
        assert!(!view.snapshot().corrupt);
        page[LINES + WINS].store(0, Ordering::Relaxed);
        assert!(view.snapshot().corrupt, "an unfinished request that was never won");
        page[LINES + SINCE].store(0, Ordering::Relaxed);
        assert!(!view.snapshot().corrupt);
        page[LATE].store(1, Ordering::Relaxed);
        assert!(view.snapshot().corrupt, "late, but never won");
        page[LINES + WINS].store(1, Ordering::Relaxed);
        assert!(!view.snapshot().corrupt);
        page[SHED].store(2, Ordering::Relaxed);
        assert!(view.snapshot().corrupt, "more sent away than were late");
    }

    #[test]
    fn the_oldest_request_of_all_threads_is_seen_with_its_label() {
        let fd = file(3).unwrap();
        let view = TelemetryView::map(&fd, 3).unwrap();
        let telemetry = Telemetry::map(&fd, 3, Duration::from_nanos(1)).unwrap();
        assert_eq!((view.snapshot().oldest, view.label_of_oldest()), (None, None));
        telemetry.line(0).woke();
        telemetry.line(0).won(None);
        telemetry.mark(0).set(7_000, &Label::of("GET /young"));
        telemetry.mark(2).set(5_000, &Label::of("GET /old"));
        let seen = view.snapshot();
        assert_eq!(seen.oldest, Some(Duration::from_micros(5)));
        assert_eq!(seen.age_of_oldest(Duration::from_micros(8)), Some(Duration::from_micros(3)));
        assert_eq!(view.label_of_oldest().as_deref(), Some("GET /old"));
        telemetry.mark(2).clear();
        assert_eq!(view.label_of_oldest().as_deref(), Some("GET /young"));
        telemetry.mark(0).clear();
        assert_eq!((view.snapshot().oldest, view.label_of_oldest()), (None, None));
    }

    #[test]
    fn a_request_from_the_future_has_no_age() {
        let fd = file(1).unwrap();
        let view = TelemetryView::map(&fd, 1).unwrap();
        let telemetry = Telemetry::map(&fd, 1, Duration::from_nanos(1)).unwrap();
        telemetry.line(0).woke();
        telemetry.line(0).won(None);
        telemetry.mark(0).set(u64::MAX, &Label::default());
        let seen = view.snapshot();
        assert!(seen.oldest.is_some_and(|since| since <= clock::now()));
        assert_eq!(seen.age_of_oldest(Duration::ZERO), Some(Duration::ZERO));
    }

    proptest! {
        #[test]
        fn no_bytes_in_the_page_make_a_snapshot_unbelievable(
            bytes in proptest::collection::vec(any::<u64>(), words(3))
        ) {
            let (page, view) = pair(3);
            for (word, value) in page.iter().zip(bytes) {
                word.store(value, Ordering::Relaxed);
            }
            let seen = view.snapshot();
            prop_assert!(seen.corrupt || seen.is_consistent());
            prop_assert!(seen.wins < BELIEVABLE && seen.open < BELIEVABLE);
            prop_assert!(seen.idle + seen.busy <= 3);
            prop_assert!(seen.oldest.is_none_or(|since| since <= clock::now()));
            let label = view.label_of_oldest().unwrap_or_default();
            prop_assert!(label.chars().count() <= mark::LONGEST);
            prop_assert!(!label.chars().any(char::is_control), "{label:?}");
        }
    }
}
