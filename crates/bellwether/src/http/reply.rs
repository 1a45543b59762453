//! The body of a response: the service's own, or our word that there is none.

use std::io::IoSlice;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use http::header::{CONNECTION, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode, Version};
use http_body::{Body, Frame, SizeHint};

use super::fault::Fault;
use super::progress::{Held, Turn};
use crate::handler::requests::Unfinished;
use crate::server::Limits;

const TOO_LATE: &str = "the request took too long\n";

#[cfg(feature = "tls")]
const NOT_SECURE: &str = "this address speaks HTTPS; try https:// in place of http://\n";

const TOO_MANY: &str = "too many requests wait here; try again in a moment\n";

/// The body of a response; its end is the end of its request.
pub(super) enum Reply<B> {
    /// The service's body.
    Theirs(Pin<Box<B>>, Option<(Turn, Option<Unfinished>)>),
    /// A text of ours that was not sent yet.
    Ours(Bytes),
}

impl<B> Reply<B> {
    pub(super) fn theirs(body: B, turn: Turn, request: Option<Unfinished>) -> Self {
        Self::Theirs(Box::pin(body), Some((turn, request)))
    }

    /// Refuses a request in place of a service.
    pub(super) fn refused(fault: Fault, limits: &Limits, version: Version) -> Response<Self> {
        Self::ours(fault.status(), fault.words(limits), version)
    }

    /// Answers 503 in place of a service that took too long.
    pub(super) fn too_late(version: Version) -> Response<Self> {
        Self::ours(StatusCode::SERVICE_UNAVAILABLE, TOO_LATE, version)
    }

    /// Answers 400 to a client that speaks plain HTTP where TLS is spoken.
    #[cfg(feature = "tls")]
    pub(super) fn not_secure(version: Version) -> Response<Self> {
        Self::ours(StatusCode::BAD_REQUEST, NOT_SECURE, version)
    }

    /// Answers 503 to a client whose connection had waited too long in the buffer.
    pub(super) fn too_many(version: Version) -> Response<Self> {
        let mut response = Self::ours(StatusCode::SERVICE_UNAVAILABLE, TOO_MANY, version);
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
        response
    }

    fn ours(status: StatusCode, text: impl Into<Bytes>, version: Version) -> Response<Self> {
        let mut response = Response::new(Self::Ours(text.into()));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        // HTTP/2 has no such header: there the other requests of the connection go on.
        if version < Version::HTTP_2 {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

impl<B: Body> Body for Reply<B> {
    type Data = Part<B::Data>;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, B::Error>>> {
        match self.get_mut() {
            Self::Theirs(body, request) => body.as_mut().poll_frame(cx).map(|frame| {
                if frame.is_none() {
                    *request = None;
                }
                let held = || request.as_ref().map(|(turn, _)| turn.hand_out());
                frame.map(|frame| {
                    frame.map(|frame| frame.map_data(|data| Part::Theirs(data, held())))
                })
            }),
            Self::Ours(text) if text.is_empty() => Poll::Ready(None),
            Self::Ours(text) => {
                let text = std::mem::take(text);
                Poll::Ready(Some(Ok(Frame::data(Part::Ours(text)))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Theirs(body, _) => body.is_end_stream(),
            Self::Ours(text) => text.is_empty(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Theirs(body, _) => body.size_hint(),
            Self::Ours(text) => SizeHint::with_exact(text.len() as u64),
        }
    }
}

/// A piece of a body.
pub(super) enum Part<D> {
    Theirs(D, Option<Held>),
    Ours(Bytes),
}

impl<D: Buf> Buf for Part<D> {
    fn remaining(&self) -> usize {
        match self {
            Self::Theirs(data, _) => data.remaining(),
            Self::Ours(text) => text.remaining(),
        }
    }

    fn chunk(&self) -> &[u8] {
        match self {
            Self::Theirs(data, _) => data.chunk(),
            Self::Ours(text) => text.chunk(),
        }
    }

    fn advance(&mut self, count: usize) {
        match self {
            Self::Theirs(data, held) => {
                data.advance(count);
                held.iter().for_each(|held| held.taken(count));
            }
            Self::Ours(text) => text.advance(count),
        }
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        match self {
            Self::Theirs(data, _) => data.chunks_vectored(slices),
            Self::Ours(text) => text.chunks_vectored(slices),
        }
    }

    fn copy_to_bytes(&mut self, count: usize) -> Bytes {
        match self {
            Self::Theirs(data, held) => {
                held.iter().for_each(|held| held.taken(count));
                data.copy_to_bytes(count)
            }
            Self::Ours(text) => text.copy_to_bytes(count),
        }
    }
}
