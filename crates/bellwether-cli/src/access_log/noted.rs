//! A request under way, and the body of its answer, until there is a line to write.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Instant, SystemTime};

use bellwether::Deadline;
use bellwether::http::{Waited, client};
use bytes::Bytes;
use http::header;
use http::{Request, StatusCode};
use http_body::{Body, Frame, SizeHint};

use super::line::Line;
use super::writer::Log;

/// The status of a request whose client left before there was an answer, as nginx has it.
const CLIENT_CLOSED_REQUEST: u16 = 499;

/// A request under way; when it is dropped, its line is written.
pub(crate) struct Note {
    log: Arc<Log>,
    line: Line,
    began: Instant,
    /// How long there is for an answer, until there is one.
    deadline: Option<Deadline>,
}

impl Note {
    /// Notes a request that has just come to this slot.
    pub(crate) fn of<B>(request: &Request<B>, log: &Arc<Log>, slot: usize) -> Self {
        let extensions = request.extensions();
        let header = |name| request.headers().get(name).cloned();
        let line = Line {
            time: now(),
            client: client(request),
            method: request.method().clone(),
            target: request.uri().clone(),
            version: request.version(),
            status: StatusCode::from_u16(CLIENT_CLOSED_REQUEST).unwrap_or_default(),
            bytes: 0,
            referer: header(header::REFERER),
            agent: header(header::USER_AGENT),
            duration: std::time::Duration::ZERO,
            waited: extensions.get().map(|Waited(time)| *time),
            slot,
        };
        let deadline = extensions.get::<Deadline>().cloned();
        Self { log: Arc::clone(log), line, began: Instant::now(), deadline }
    }

    /// There is an answer; its body may still be long.
    pub(crate) fn answered(&mut self, status: StatusCode) {
        self.line.status = status;
        self.deadline = None;
    }
}

impl Drop for Note {
    fn drop(&mut self) {
        if self.deadline.as_ref().is_some_and(Deadline::is_over) {
            // That is what the library says in the place of an answer that is too late.
            self.line.status = StatusCode::SERVICE_UNAVAILABLE;
        }
        self.line.duration = self.began.elapsed();
        self.log.write(&self.line);
    }
}

#[expect(clippy::disallowed_methods, reason = "people and their tools read when it was")]
fn now() -> SystemTime {
    SystemTime::now().max(SystemTime::UNIX_EPOCH)
}

/// A body whose bytes are counted.
pub(crate) struct Noted<B> {
    body: B,
    note: Option<Note>,
}

impl<B> Noted<B> {
    pub(crate) const fn new(body: B, note: Option<Note>) -> Self {
        Self { body, note }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Noted<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let Self { body, note } = self.get_mut();
        let frame = std::task::ready!(Pin::new(body).poll_frame(cx));
        let sent = frame.as_ref().and_then(|it| it.as_ref().ok()?.data_ref());
        if let (Some(note), Some(sent)) = (note, sent) {
            note.line.bytes += sent.len() as u64;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
