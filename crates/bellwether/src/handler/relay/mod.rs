//! The relay: carries connections to a program that has a port of its own.
//!
//! The last resort, for programs that cannot be given our listeners. A [`Relay`] is a thread of the
//! program's warden, the [`carrier`]. It waits at the listeners as any handler does, through the
//! same notification and under the rules for those who hold many connections ([`door`]), and for
//! each connection that it wins calls the program. A [`passage`] is such a connection, with a
//! [`flow`] in each direction; the kernel moves the bytes through [`pipes`] (splice(2)), and nothing
//! is read here that cannot be passed on.

mod carrier;
mod door;
mod flow;
mod passage;
mod pipes;
#[cfg(test)]
mod tests;

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};
use std::sync::mpsc;

use rustix::event::{EventfdFlags, eventfd};

use super::post::Post;
use carrier::Carrier;

/// What a relay is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Order {
    /// Accept and carry.
    Serve,
    /// Accept no more; carry what there is to its end.
    Close,
    /// The program has ended: pass on what it has said.
    Finish,
}

/// What both threads know.
#[derive(Debug)]
struct Shared {
    order: AtomicU8,
    /// Readable when there is an order, or a reason to look into the buffers.
    word: OwnedFd,
    /// Connections that are carried, and those among them that wait for an answer; kept when the
    /// relay accepts no more.
    open: AtomicUsize,
    unanswered: AtomicUsize,
    /// Whether it accepts no more, so that the two above are right.
    is_closed: AtomicBool,
    /// Whether a listener is broken, so that it accepts no more.
    lost_listener: AtomicBool,
}

impl Shared {
    fn new() -> io::Result<Self> {
        Ok(Self {
            order: AtomicU8::new(Order::Serve as u8),
            word: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?,
            open: AtomicUsize::new(0),
            unanswered: AtomicUsize::new(0),
            is_closed: AtomicBool::new(false),
            lost_listener: AtomicBool::new(false),
        })
    }

    fn has_order(&self, order: Order) -> bool {
        self.order.load(Ordering::Acquire) >= order as u8
    }

    fn say(&self, order: Order) {
        self.order.fetch_max(order as u8, Ordering::AcqRel);
        self.rouse();
    }

    fn rouse(&self) {
        let _ = rustix::io::write(&self.word, &1u64.to_ne_bytes());
    }
}

/// The thread that carries connections to a program.
#[derive(Debug)]
pub(super) struct Relay(Arc<Shared>);

impl Relay {
    /// Begins to wait at the listeners; what is won is carried to this place.
    ///
    /// `most` bounds how many connections the program is given at once, where it cannot take more.
    pub(super) fn start(
        post: &Arc<Post>,
        program: SocketAddr,
        most: Option<usize>,
    ) -> io::Result<Self> {
        let shared = Arc::new(Shared::new()?);
        let (post, theirs) = (Arc::clone(post), Arc::clone(&shared));
        let (tell, begun) = mpsc::channel();
        let carry = move || match Carrier::new(post, theirs, program, most) {
            Ok(carrier) => {
                let _ = tell.send(Ok(()));
                carrier.carry();
            }
            Err(error) => drop(tell.send(Err(error))),
        };
        std::thread::Builder::new().name("relay".into()).spawn(carry)?;
        begun.recv().map_err(io::Error::other)??;
        Ok(Self(shared))
    }

    /// Looks into the buffers: something may have been overlooked.
    pub(super) fn look(&self) {
        self.0.rouse();
    }

    /// Accepts no more.
    pub(super) fn close(&self) {
        self.0.say(Order::Close);
    }

    /// The program has ended: passes on what it has said, and ends each connection after that.
    pub(super) fn finish(&self) {
        self.0.say(Order::Finish);
    }

    /// Tells whether it accepts no more and carries nothing.
    pub(super) fn is_empty(&self) -> bool {
        self.has_closed() && self.0.open.load(Ordering::Acquire) == 0
    }

    /// Tells whether it accepts no more and whoever it carries has got what was asked for.
    pub(super) fn is_idle(&self) -> bool {
        self.has_closed() && self.0.unanswered.load(Ordering::Acquire) == 0
    }

    /// Tells whether a listener is broken, so that this handler is of no more use.
    pub(super) fn lost_listener(&self) -> bool {
        self.0.lost_listener.load(Ordering::Acquire)
    }

    fn has_closed(&self) -> bool {
        self.0.is_closed.load(Ordering::Acquire)
    }
}
