//! Asynchronous handlers: a runtime serves many connections at once, and a gate lets them in.
//!
//! The gate is a part of the runtime's own work where the runtime has one thread and its epoll can be
//! shared ([`RuntimePoller`]): what is accepted is served without a switch to another thread. Else
//! it has a thread, which waits with an epoll of its own and hands over what it accepts.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;

use tokio::sync::{mpsc as queue, watch};

use super::Departure;
use super::at_once::at_once;
use super::connection::Connection;
use super::gate::{self, Gate};
use super::guest::{Arrival, Guest};
use super::post::Post;
use super::race::Stop;
use super::room::{Room, Terms};
use super::shift::Shift;
use crate::error::BoxError;
use crate::sys::poller::Poller;
use crate::sys::runtime_poller::RuntimePoller;

/// Serves with all threads of this handler until it is time to leave.
pub(crate) fn live<S, F, H, T>(start: &S, post: &Arc<Post>, terms: Terms) -> Departure
where
    S: Fn(Shift) -> F + Sync,
    F: Future<Output = Result<H, BoxError>>,
    H: Fn(Connection) -> T + 'static,
    T: Future<Output = ()> + Send + 'static,
{
    super::together(post, |thread| one_runtime(start, post, thread, terms))
}

fn one_runtime<S, F, H, T>(start: &S, post: &Arc<Post>, thread: usize, terms: Terms) -> Departure
where
    S: Fn(Shift) -> F + Sync,
    F: Future<Output = Result<H, BoxError>>,
    H: Fn(Connection) -> T + 'static,
    T: Future<Output = ()> + Send + 'static,
{
    let room = Room::new(post, thread, terms).map(Arc::new);
    let (room, runtime) = match room.and_then(|room| Ok((room, terms.runtime()?))) {
        Ok(both) => both,
        Err(error) => return post.not_started(&error.into()),
    };
    let (end_shift, over) = watch::channel(false);
    let shift = Shift { seat: post.seat(thread), over, room: Arc::clone(&room) };
    runtime.block_on(async {
        let handler = match start(shift).await {
            Ok(handler) => handler,
            Err(error) => return post.not_started(&error),
        };
        // Before this moment nobody takes what a gate is woken for.
        let departure = Host { room: &room, handler }.receive().await;
        // Nobody comes in any more: the runtime finishes what it has.
        let _ = end_shift.send(true);
        room.empty().await;
        departure
    })
}

/// The runtime's side: serves what the gate lets in.
struct Host<'a, H> {
    room: &'a Arc<Room>,
    handler: H,
}

impl<H, T> Host<'_, H>
where
    H: Fn(Connection) -> T + 'static,
    T: Future<Output = ()> + Send + 'static,
{
    /// Serves until the gate is shut for good.
    async fn receive(&self) -> Departure {
        match RuntimePoller::new().and_then(|place| gate::racer(self.room, place)) {
            Ok(racer) => {
                let take_in = |arrival| {
                    self.serve(arrival);
                    Ok(())
                };
                Gate::new(self.room, take_in).keep(racer).await
            }
            Err(why) => {
                let (slot, thread) = (self.room.post.seat.slot, self.room.thread);
                tracing::debug!(slot, thread, %why, "the gate has a thread of its own");
                self.receive_from_a_thread().await
            }
        }
    }

    async fn receive_from_a_thread(&self) -> Departure {
        let (hand_over, mut arrivals) = queue::unbounded_channel();
        let room = Arc::clone(self.room);
        let named = thread::Builder::new().name(format!("gate {}", room.thread));
        let gate = match named.spawn(move || keep_with_a_thread(&room, &hand_over)) {
            Ok(gate) => gate,
            Err(error) => return self.room.post.not_started(&error.into()),
        };
        while let Some(arrival) = arrivals.recv().await {
            self.serve(arrival);
        }
        // The queue has ended because its sender is gone, and with that the gate.
        gate.join().unwrap_or(Departure::Broken)
    }

    fn serve(&self, Arrival { connection, request }: Arrival) {
        self.room.received();
        let guest = Guest::new(Arc::clone(self.room), request);
        if connection.is_unwanted() && !self.room.terms.sheds {
            guest.shed(connection);
            return;
        }
        // What panics before its first await must not end the runtime either.
        match catch_unwind(AssertUnwindSafe(|| (self.handler)(connection))) {
            Ok(serving) => drop(tokio::spawn(guest.serve(serving))),
            Err(_) => guest.abort(),
        }
    }
}

/// Keeps the gate with a thread that does nothing else.
fn keep_with_a_thread(room: &Room, hand_over: &queue::UnboundedSender<Arrival>) -> Departure {
    match Poller::new(1).and_then(|place| gate::racer(room, place)) {
        Ok(racer) => {
            // A runtime that is gone can serve nothing any more.
            let gone = |_| Stop::Depart(Departure::Broken);
            let take_in = |arrival| hand_over.send(arrival).map_err(gone);
            at_once(Gate::new(room, take_in).keep(racer))
        }
        Err(error) => room.post.not_started(&error.into()),
    }
}
