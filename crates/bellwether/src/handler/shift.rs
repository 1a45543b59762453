//! What an asynchronous handler is told.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::post::{Order, Seat};
use super::requests::Unfinished;
use super::room::Room;

/// What an asynchronous handler knows about its place and its time.
#[derive(Clone, Debug)]
pub struct Shift {
    pub(super) seat: Seat,
    pub(super) over: watch::Receiver<bool>,
    pub(super) room: Arc<Room>,
}

impl Shift {
    /// Returns where this handler sits.
    #[must_use]
    pub const fn seat(&self) -> &Seat {
        &self.seat
    }

    /// Waits until the handler is to finish what it has and leave.
    pub async fn over(&mut self) {
        // An error means that the gate is gone, which is the same.
        let _ = self.over.wait_for(|over| *over).await;
    }

    /// Tells whether the whole server stops; otherwise others serve on.
    #[cfg_attr(not(feature = "http"), allow(dead_code))]
    pub(crate) fn ends_with_the_server(&self) -> bool {
        self.room.post.heard() == Order::Finish
    }

    /// Counts one request of a protocol that carries several over a connection, served for so long.
    #[cfg_attr(not(feature = "http"), allow(dead_code))]
    pub(crate) fn count_request(&self, served: Duration) {
        let line = self.room.post.telemetry.line(self.seat.thread);
        line.served(served);
        line.requested();
    }

    /// Lets the connection of a request go to others, where this thread holds far more than its share.
    #[cfg(feature = "http")]
    pub(crate) fn part(&self) -> Option<super::Parting> {
        super::Parting::of(&self.room)
    }

    /// Tells whether a request has a deadline.
    #[cfg_attr(not(feature = "http"), allow(dead_code))]
    pub(crate) fn has_deadlines(&self) -> bool {
        self.room.post.deadlines.is_set()
    }

    /// Tells whether a request is to be labelled with what it asks for.
    #[cfg_attr(not(feature = "http"), allow(dead_code))]
    pub(crate) fn labels(&self) -> bool {
        self.room.terms.labels
    }

    /// A request of such a protocol is to be served that has waited so long already.
    ///
    /// `None` where requests have neither deadlines nor labels.
    #[cfg_attr(not(feature = "http"), allow(dead_code))]
    pub(crate) fn begin(&self, waited: Option<Duration>) -> Option<Unfinished> {
        self.room.requests.as_ref().map(|requests| requests.begin(waited))
    }
}
