//! How far the talk over one connection is, as all who take part in it see it.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Poll, ready};

use http::Version;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::pace::{Overdue, Pace};
use crate::handler::{Parting, Shift};
use crate::server::Limits;

/// How far the talk over one connection is.
#[derive(Debug)]
pub(super) struct Progress {
    /// The version of HTTP that is spoken, 0 before the first request.
    version: AtomicU8,
    /// Whether the answer to a request is to be the last.
    leaving: AtomicBool,
    /// Whether the body of the last request was not read to its end.
    unread: AtomicBool,
    pace: Mutex<Pace>,
    parting: OnceLock<Parting>,
    parted: Notify,
}

impl Progress {
    /// Of a connection whose first request must be there by then.
    pub(super) fn new(limits: Limits, asks_by: Option<Instant>) -> Arc<Self> {
        let pace = Mutex::new(Pace::new(limits, Instant::now(), asks_by));
        let [leaving, unread] = [false; 2].map(AtomicBool::new);
        let (parting, parted) = (OnceLock::new(), Notify::new());
        Arc::new(Self { version: AtomicU8::new(0), leaving, unread, pace, parting, parted })
    }

    /// What it says holds also after a panic: each change is whole.
    pub(super) fn pace(&self) -> MutexGuard<'_, Pace> {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a request, which lasts as long as what is returned; and whether it is the first.
    pub(super) fn asked(self: &Arc<Self>, version: Version) -> (Turn, bool) {
        let version = if version < Version::HTTP_2 { 1 } else { 2 };
        self.version.store(version, Ordering::Relaxed);
        self.unread.store(false, Ordering::Relaxed);
        let is_first = self.pace().asked();
        (Turn { progress: Arc::clone(self), answered: false }, is_first)
    }

    pub(super) fn is_http_2(&self) -> bool {
        self.version.load(Ordering::Relaxed) == 2
    }

    /// The next answer is to be the last.
    pub(super) fn leave(&self) {
        self.leaving.store(true, Ordering::Relaxed);
    }

    /// Lets the client go on with others, where its handler holds far more than its share: the next
    /// answer is the last, and HTTP/2 has words for it.
    pub(super) fn part_if_too_many(&self, shift: &Shift) {
        if self.parting.get().is_some() {
            return;
        }
        if let Some(parting) = shift.part() {
            let _ = self.parting.set(parting);
            self.leave();
            self.parted.notify_one();
        }
    }

    /// Waits until a client of HTTP/2 is to be told to go on with others.
    pub(super) async fn parted(&self) {
        loop {
            self.parted.notified().await;
            if self.is_http_2() {
                return;
            }
        }
    }

    /// Tells whether an answer is to say that it is the last (HTTP/1 alone has that header).
    pub(super) fn is_last(&self) -> bool {
        self.leaving.load(Ordering::Relaxed) && !self.is_http_2()
    }

    /// Tells whether a client has begun a request of HTTP/1, of which the head is not all there.
    pub(super) fn is_being_asked(&self) -> bool {
        self.pace().is_being_asked()
    }

    /// The body of a request was given up before its end.
    pub(super) fn leave_unread(&self) {
        self.unread.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_unread(&self) -> bool {
        self.unread.load(Ordering::Relaxed) && !self.is_http_2()
    }

    /// Waits until the client has used up its time.
    ///
    /// To be polled by the task of the connection beside what may move it: then the alarm is set
    /// anew only where something is due sooner, and not with each request.
    pub(super) async fn overdue(&self) -> Overdue {
        let mut alarm = pin!(sleep_until(self.next_look()));
        poll_fn(|cx| {
            loop {
                let due = self.pace().due();
                if let Some((moment, _)) = due.filter(|(moment, _)| *moment < alarm.deadline()) {
                    alarm.as_mut().reset(moment);
                }
                ready!(alarm.as_mut().poll(cx));
                match due {
                    Some((moment, overdue)) if moment <= Instant::now() => {
                        return Poll::Ready(overdue);
                    }
                    Some((moment, _)) => alarm.as_mut().reset(moment),
                    None => alarm.as_mut().reset(self.next_look()),
                }
            }
        })
        .await
    }

    fn next_look(&self) -> Instant {
        Instant::now() + self.pace().next_look()
    }
}

/// A request on its way; dropping it is its end.
#[derive(Debug)]
pub(super) struct Turn {
    progress: Arc<Progress>,
    answered: bool,
}

impl Turn {
    /// The head of an answer is there.
    pub(super) const fn answered(&mut self) {
        self.answered = true;
    }

    /// A piece of the answer is handed out.
    pub(super) fn hand_out(&self) -> Held {
        self.progress.pace().handed_out(Instant::now());
        Held(Arc::clone(&self.progress))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.progress.pace().ended(Instant::now(), self.answered);
    }
}

/// A piece of an answer that was not taken yet, as long as it is there.
#[derive(Debug)]
pub(super) struct Held(Arc<Progress>);

impl Held {
    /// So many bytes of it were taken.
    pub(super) fn taken(&self, bytes: usize) {
        self.0.pace().taken(Instant::now(), bytes);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.pace().gone(Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::sleep;

    use super::*;
    use crate::http::patience::{First, first_of};

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// Lets a client do something, and tells how and after how many seconds it is overdue.
    fn overdue_after(client: impl AsyncFnOnce(Arc<Progress>)) -> (u64, Overdue) {
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let start = Instant::now();
            let [idle, head, write] = [60, 30, 20].map(seconds);
            let limits = Limits { idle, head, write, ..Limits::default() };
            let progress = Progress::new(limits, Some(start + head));
            let doing = async {
                client(Arc::clone(&progress)).await;
                std::future::pending::<()>().await;
            };
            match first_of(doing, progress.overdue()).await {
                First::One(()) => unreachable!("it never ends"),
                First::Other(overdue) => ((Instant::now() - start).as_secs(), overdue),
            }
        })
    }

    #[test]
    fn who_never_asks_is_overdue_at_the_moment_that_was_set() {
        assert_eq!(overdue_after(async |_| ()), (30, Overdue::Silent));
    }

    #[test]
    fn the_alarm_rings_in_time_whatever_it_was_set_to_before() {
        let kept = async |progress: Arc<Progress>| {
            let (mut turn, is_first) = progress.asked(Version::HTTP_11);
            sleep(seconds(100)).await;
            turn.answered();
            assert!(is_first);
        };
        assert_eq!(overdue_after(kept), (160, Overdue::Idle));
        let begun = async |progress: Arc<Progress>| {
            kept(Arc::clone(&progress)).await;
            sleep(seconds(20)).await;
            progress.pace().came(Instant::now);
        };
        assert_eq!(overdue_after(begun), (150, Overdue::Head));
    }

    #[test]
    fn a_piece_that_is_not_taken_outlives_its_answer() {
        let held = async |progress: Arc<Progress>| {
            let (turn, _) = progress.asked(Version::HTTP_2);
            let held = turn.hand_out();
            sleep(seconds(10)).await;
            held.taken(5000);
            drop(turn);
            std::future::pending::<()>().await;
        };
        assert_eq!(overdue_after(held), (30, Overdue::NotReading));
    }
}
