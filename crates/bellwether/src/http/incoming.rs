//! The body of a request, bounded in size and in time.

use std::error::Error;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming as Unbounded;
use tokio::time::{Instant, Sleep, sleep_until};

use super::allowance::Allowance;
use super::progress::Progress;
use crate::server::Limits;

/// The body of a request, as it comes in.
///
/// It ends with an error where it becomes longer than
/// [`Limits::body_bytes`](crate::http::Limits::body_bytes), or where the client does not send on
/// for [`Limits::body`](crate::http::Limits::body); whatever the service then answers, the client
/// gets 413 or 408.
///
/// ```
/// use bellwether::http::Incoming;
/// use http_body_util::BodyExt;
///
/// async fn length(request: ::http::Request<Incoming>) -> Result<usize, bellwether::BoxError> {
///     Ok(request.into_body().collect().await?.to_bytes().len())
/// }
/// ```
#[derive(Debug)]
pub struct Incoming {
    body: Unbounded,
    /// Where there may be anything to bound.
    watch: Option<Box<Watch>>,
}

/// Why the body of a request has no end.
#[derive(Debug)]
#[non_exhaustive]
pub enum BodyError {
    /// It is longer than it may be.
    TooLarge,
    /// The client did not send on in time.
    TooSlow,
    /// The client has broken it off, or what it sent is no body.
    Broken(hyper::Error),
}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge => f.write_str("the body is longer than it may be"),
            Self::TooSlow => f.write_str("the client did not send the body in time"),
            Self::Broken(error) => write!(f, "the body is broken: {error}"),
        }
    }
}

impl Error for BodyError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Broken(error) => Some(error),
            Self::TooLarge | Self::TooSlow => None,
        }
    }
}

/// What became of a body, for whoever answers its request.
#[derive(Debug, Default)]
pub(super) struct Fate {
    fault: AtomicU8,
    /// Whether the head of the answer is there.
    answered: AtomicBool,
}

/// What is wrong with a body by the client's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BodyFault {
    TooLarge = 1,
    TooSlow = 2,
    Malformed = 3,
}

impl Fate {
    fn is_sealed_by(&self, fault: BodyFault) {
        self.fault.store(fault as u8, Ordering::Relaxed);
    }

    pub(super) fn fault(&self) -> Option<BodyFault> {
        let all = [BodyFault::TooLarge, BodyFault::TooSlow, BodyFault::Malformed];
        let fault = self.fault.load(Ordering::Relaxed);
        all.into_iter().find(|it| *it as u8 == fault)
    }

    /// From now on the body may take its time.
    pub(super) fn answered(&self) {
        self.answered.store(true, Ordering::Relaxed);
    }
}

/// The bounds of one body.
#[derive(Debug)]
struct Watch {
    left: u64,
    allowance: Allowance,
    alarm: Option<Pin<Box<Sleep>>>,
    ended: bool,
    fate: Arc<Fate>,
    progress: Arc<Progress>,
}

impl Incoming {
    /// Bounds a body; what becomes of it is told where there may be one.
    pub(super) fn new(
        body: Unbounded,
        limits: &Limits,
        progress: &Arc<Progress>,
    ) -> (Self, Option<Arc<Fate>>) {
        if body.is_end_stream() {
            return (Self { body, watch: None }, None);
        }
        let fate = Arc::new(Fate::default());
        let watch = Box::new(Watch {
            left: limits.body_bytes,
            allowance: Allowance::new(limits.body),
            alarm: None,
            ended: false,
            fate: Arc::clone(&fate),
            progress: Arc::clone(progress),
        });
        (Self { body, watch: Some(watch) }, Some(fate))
    }
}

impl Body for Incoming {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let Self { body, watch } = self.get_mut();
        let Some(watch) = watch else {
            return Pin::new(body).poll_frame(cx).map_err(BodyError::Broken);
        };
        if watch.fate.fault().is_some() {
            return Poll::Ready(None); // it has been told
        }
        match Pin::new(body).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => Poll::Ready(Some(watch.came(frame))),
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(watch.broke(error)))),
            Poll::Ready(None) => {
                watch.ended = true;
                Poll::Ready(None)
            }
            Poll::Pending => watch.wait(cx).map(|error| Some(Err(error))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Watch {
    fn came(&mut self, frame: Frame<Bytes>) -> Result<Frame<Bytes>, BodyError> {
        let length = frame.data_ref().map_or(0, Bytes::len);
        match self.left.checked_sub(length as u64) {
            Some(left) => self.left = left,
            None => return Err(self.failed(BodyFault::TooLarge, BodyError::TooLarge)),
        }
        if self.allowance.waits() {
            self.allowance.moved(Instant::now(), length);
        }
        Ok(frame)
    }

    fn broke(&self, error: hyper::Error) -> BodyError {
        if is_malformed(&error) {
            self.fate.is_sealed_by(BodyFault::Malformed);
        }
        BodyError::Broken(error)
    }

    /// The client is waited for, unless it has its answer.
    fn wait(&mut self, cx: &mut Context<'_>) -> Poll<BodyError> {
        if self.fate.answered.load(Ordering::Relaxed) {
            self.allowance.forget();
            return Poll::Pending;
        }
        self.allowance.wait(Instant::now());
        let Some(over) = self.allowance.over_at() else { return Poll::Pending };
        let alarm = self.alarm.get_or_insert_with(|| Box::pin(sleep_until(over)));
        if alarm.deadline() != over {
            alarm.as_mut().reset(over);
        }
        ready!(alarm.as_mut().poll(cx));
        Poll::Ready(self.failed(BodyFault::TooSlow, BodyError::TooSlow))
    }

    fn failed(&self, fault: BodyFault, error: BodyError) -> BodyError {
        self.fate.is_sealed_by(fault);
        error
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if !self.ended {
            self.progress.leave_unread();
        }
    }
}

/// Tells whether what came is no body, and not just broken off.
fn is_malformed(error: &hyper::Error) -> bool {
    let cause = error.source().and_then(|cause| cause.downcast_ref::<io::Error>());
    let kinds = [io::ErrorKind::InvalidData, io::ErrorKind::InvalidInput];
    cause.is_some_and(|cause| kinds.contains(&cause.kind()))
}
