//! Blocking handlers: each thread waits, races and serves on its own.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::at_once::at_once;
use super::connection::Connection;
use super::post::Post;
use super::race::{self, Outcome, Stop};
use super::requests::Requests;
use super::{Departure, Handler};
use crate::error::BoxError;
use crate::sys::clock;
use crate::sys::poller::Poller;

type Racer<'a> = race::Racer<'a, Poller>;

/// Serves with all threads of this handler until it is time to leave.
pub(crate) fn live<H: Handler>(handler: &H, post: &Post) -> Departure {
    // A handler may be sent to another thread, but not shared between threads.
    let clones: Vec<_> = std::iter::repeat_with(|| Mutex::new(Some(handler.clone())))
        .take(post.seat.threads)
        .collect();
    super::together(post, |thread| {
        let clone = clones.get(thread).and_then(|clone| clone.lock().ok()?.take());
        clone.map_or(Departure::Broken, |clone| one_thread(clone, post, thread))
    })
}

fn one_thread<H: Handler>(handler: H, post: &Post, thread: usize) -> Departure {
    let mut serial = Serial { post, thread, pristine: handler.clone(), handler, requests: None };
    match serial.begin() {
        Ok(racer) => at_once(serial.race(racer)),
        Err(error) => post.not_started(&error),
    }
}

/// One thread that serves what it wins, one connection after the other.
struct Serial<'a, H> {
    post: &'a Post,
    thread: usize,
    handler: H,
    pristine: H,
    /// Its unfinished requests, where they have deadlines.
    requests: Option<Arc<Requests>>,
}

impl<'a, H: Handler> Serial<'a, H> {
    fn begin(&mut self) -> Result<Racer<'a>, BoxError> {
        self.handler.start(&self.post.seat(self.thread))?;
        let racer = Racer::new(self.post, self.thread, Poller::new(1)?)?;
        racer.ready();
        self.requests = Requests::of_thread(self.post, self.thread, false);
        Ok(racer)
    }

    async fn race(mut self, mut racer: Racer<'a>) -> Departure {
        let stop = loop {
            let served = match racer.next(None).await {
                Ok(Outcome::Won(connection)) if racer.sheds(&connection) => {
                    self.shed(&racer, connection)
                }
                Ok(Outcome::Won(connection)) => self.serve(&racer, connection),
                other => other.map(drop),
            };
            if let Err(stop) = served {
                break stop;
            }
        };
        racer.take();
        match stop {
            Stop::Order(order) => {
                let serve = async |racer: &mut Racer<'a>, connection| self.serve(racer, connection);
                racer.empty_buffers(order, serve).await
            }
            Stop::Depart(departure) => {
                self.post.break_up();
                departure
            }
        }
    }

    fn serve(&mut self, racer: &Racer<'a>, connection: Connection) -> Result<(), Stop> {
        let begun = clock::now();
        let served = self.attend(racer, begun, connection, H::handle);
        racer.line.served(clock::now().saturating_sub(begun));
        racer.line.requested();
        self.ended(racer, served)
    }

    /// Sends a connection away, as the handler does that.
    fn shed(&mut self, racer: &Racer<'a>, connection: Connection) -> Result<(), Stop> {
        racer.line.shed();
        let sent = self.attend(racer, clock::now(), connection, H::shed);
        self.ended(racer, sent)
    }

    /// Lets the user's code have a connection; `false`: it panicked.
    fn attend(
        &mut self,
        racer: &Racer<'a>,
        begun: Duration,
        connection: Connection,
        how: impl FnOnce(&mut H, Connection),
    ) -> bool {
        racer.take_at(begun);
        let request = self.requests.as_ref().map(|it| it.begin(connection.waited()));
        let connection = match &request {
            Some(request) => connection.until(request.deadline()),
            None => connection,
        };
        catch_unwind(AssertUnwindSafe(|| how(&mut self.handler, connection))).is_ok()
    }

    /// Counts the end of a connection.
    fn ended(&mut self, racer: &Racer<'a>, well: bool) -> Result<(), Stop> {
        if well {
            racer.line.completed();
        } else {
            racer.line.aborted();
            self.replace()?;
        }
        racer.free();
        Ok(())
    }

    /// A panic may have left the handler half changed: go on with a fresh one.
    fn replace(&mut self) -> Result<(), Stop> {
        tracing::error!(slot = self.post.seat.slot, "a request panicked; its connection is closed");
        self.handler = self.pristine.clone();
        let started = self.handler.start(&self.post.seat(self.thread));
        started.map_err(|error| Stop::Depart(self.post.not_started(&error)))
    }
}
