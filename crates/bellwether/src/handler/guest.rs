//! A connection's stay with a runtime, and its one request where it has just one.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use super::connection::Connection;
use super::requests::{Requests, Unfinished};
use super::room::Room;
use crate::sys::clock;

/// A connection on its way from the gate to the runtime.
pub(super) struct Arrival {
    pub(super) connection: Connection,
    /// Its one request, where that has a deadline.
    pub(super) request: Option<Unfinished>,
}

impl Arrival {
    /// A connection whose one request has a deadline.
    pub(super) fn with_deadline(connection: Connection, requests: &Arc<Requests>) -> Self {
        let request = requests.begin(connection.waited());
        Self { connection: connection.until(request.deadline()), request: Some(request) }
    }
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Served,
    /// Sent away instead of served.
    Shed,
    /// Cut by a panic or by its deadline.
    Aborted,
}

/// Marks the end of a connection, however it ends.
pub(super) struct Guest {
    room: Arc<Room>,
    since: Duration,
    end: End,
    request: Option<Unfinished>,
}

impl Guest {
    pub(super) fn new(room: Arc<Room>, request: Option<Unfinished>) -> Self {
        Self { room, since: clock::now(), end: End::Served, request }
    }

    /// Serves until the end, or until the handler is told that it takes too long.
    pub(super) async fn serve(mut self, serving: impl Future<Output = ()>) {
        match &self.request {
            None => serving.await,
            Some(request) => {
                if request.deadline().bound(serving).await.is_none() {
                    self.end = End::Aborted;
                }
            }
        }
    }

    /// The connection ends before it was served.
    pub(super) fn abort(mut self) {
        self.end = End::Aborted;
    }

    /// The connection is sent away without being served.
    pub(super) fn shed(mut self, connection: Connection) {
        self.end = End::Shed;
        drop(connection);
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let end = if std::thread::panicking() { End::Aborted } else { self.end };
        self.room.leave(end, self.since);
    }
}
