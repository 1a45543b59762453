//! What browsers are told each second, as server-sent events: the state, and what has happened.
//!
//! The server is asked only while somebody watches, once for all of them. Whoever does not read what it is
//! told is cut off.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, ready};
use std::thread;
use std::time::Duration;

use bellwether::remote;
use bytes::Bytes;
use http_body::{Body, Frame};
use serde::Serialize;
use tokio::sync::Notify;
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// From one look at the server to the next.
const SECOND: Duration = Duration::from_secs(1);

/// How many entries of the journal a newcomer is told.
const KEPT: usize = 50;

/// So much that was not read yet is kept for a watcher.
const UNREAD: usize = KEPT + 14;

/// So many may watch at once.
const MOST: usize = 32;

/// Tells those who watch.
pub(super) struct Live {
    name: Option<String>,
    crowd: Mutex<Crowd>,
    somebody: Condvar,
    started: OnceLock<()>,
}

#[derive(Default)]
struct Crowd {
    watchers: Vec<(Sender<Bytes>, Thread)>,
    entries: VecDeque<Bytes>,
}

/// By what a connection is held as long as it watches, and can be cut.
#[derive(Clone, Debug, Default)]
pub(super) struct Thread {
    held: Arc<OnceLock<()>>,
    cut: Arc<Notify>,
}

impl Thread {
    pub(super) fn is_held(&self) -> bool {
        self.held.get().is_some()
    }

    /// Waits until the connection is cut off.
    pub(super) async fn cut(&self) {
        self.cut.notified().await;
    }
}

impl Live {
    pub(super) fn new(name: Option<String>) -> Self {
        let (crowd, somebody, started) = Default::default();
        Self { name, crowd, somebody, started }
    }

    fn crowd(&self) -> MutexGuard<'_, Crowd> {
        self.crowd.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets somebody watch; `None` where too many do.
    pub(super) fn watch(self: &Arc<Self>, thread: &Thread) -> Option<Feed> {
        self.started.get_or_init(|| self.start());
        let mut crowd = self.crowd();
        crowd.watchers.retain(|(watcher, _)| !watcher.is_closed());
        if crowd.watchers.len() >= MOST {
            return None;
        }
        let (tell, told) = channel(UNREAD);
        for entry in &crowd.entries {
            let _ = tell.try_send(entry.clone());
        }
        let _ = thread.held.set(());
        crowd.watchers.push((tell, thread.clone()));
        self.somebody.notify_all();
        Some(Feed(told))
    }

    /// Starts the two threads that ask; they end with the process.
    fn start(self: &Arc<Self>) {
        let (looking, hearing) = (Arc::clone(self), Arc::clone(self));
        thread::spawn(move || {
            loop {
                looking.wait_for_somebody();
                match remote::status(looking.name.as_deref()) {
                    Ok(status) => looking.tell("status", &status),
                    Err(error) => looking.tell("lost", &error.to_string()),
                }
                thread::sleep(SECOND);
            }
        });
        thread::spawn(move || {
            loop {
                hearing.wait_for_somebody();
                let entries = remote::events(hearing.name.as_deref(), true).into_iter().flatten();
                for entry in entries.map_while(Result::ok) {
                    hearing.tell("entry", &entry);
                }
                // It is gone, and may come back: then it tells again what is kept.
                hearing.crowd().entries.clear();
                thread::sleep(SECOND);
            }
        });
    }

    fn wait_for_somebody(&self) {
        let mut crowd = self.crowd();
        loop {
            crowd.watchers.retain(|(watcher, _)| !watcher.is_closed());
            if !crowd.watchers.is_empty() {
                return;
            }
            crowd = self.somebody.wait(crowd).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn tell(&self, kind: &str, what: &impl Serialize) {
        // In JSON a line has no end within.
        let Ok(json) = serde_json::to_string(what) else { return };
        let event = Bytes::from(format!("event: {kind}\ndata: {json}\n\n"));
        let mut crowd = self.crowd();
        if kind == "entry" {
            if crowd.entries.len() == KEPT {
                crowd.entries.pop_front();
            }
            crowd.entries.push_back(event.clone());
        }
        crowd.watchers.retain(|(watcher, thread)| {
            let hears = watcher.try_send(event.clone()).is_ok();
            if !hears {
                thread.cut.notify_one();
            }
            hears
        });
    }
}

/// What one watcher is told, without an end.
pub(super) struct Feed(Receiver<Bytes>);

impl Body for Feed {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let event = ready!(self.get_mut().0.poll_recv(cx));
        Poll::Ready(event.map(|event| Ok(Frame::data(event))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_does_not_read_is_cut_off_and_others_hear() {
        let live = Arc::new(Live::new(None));
        live.started.get_or_init(|| ()); // nobody is asked here
        let [deaf, good] = [Thread::default(), Thread::default()];
        let silent = live.watch(&deaf).unwrap();
        let mut feed = live.watch(&good).unwrap();
        for number in 0..=UNREAD {
            live.tell("entry", &number);
            let told = feed.0.try_recv().unwrap();
            assert_eq!(told, format!("event: entry\ndata: {number}\n\n"));
        }
        assert_eq!(live.crowd().watchers.len(), 1, "the silent one is gone");
        drop(silent);
        let mut late = live.watch(&Thread::default()).unwrap();
        let first = late.0.try_recv().unwrap();
        assert_eq!(first, format!("event: entry\ndata: {}\n\n", UNREAD + 1 - KEPT));
    }

    #[test]
    fn there_is_room_for_so_many_and_again_when_they_leave() {
        let live = Arc::new(Live::new(None));
        live.started.get_or_init(|| ());
        let feeds: Vec<_> = (0..MOST).map(|_| live.watch(&Thread::default()).unwrap()).collect();
        assert!(live.watch(&Thread::default()).is_none());
        drop(feeds);
        assert!(live.watch(&Thread::default()).is_some());
    }
}
