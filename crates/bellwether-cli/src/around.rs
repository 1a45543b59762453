//! What is done around every answer, whatever is served: the line in the log, the time in the buffer.

use std::convert::Infallible;
use std::sync::Arc;

use bellwether::http::Waited;
use bellwether::{Result, Seat};
use bytes::Bytes;
use http::header::{HeaderName, HeaderValue};
use http::{Request, Response};
use http_body::Body;

use crate::access_log::{AccessLog, Log, Note, Noted};
use crate::config::settings::PoolSettings;

const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// What was chosen about it.
#[derive(Clone, Debug)]
pub(crate) struct Around {
    log: Option<AccessLog>,
    /// Whether clients are told how long they waited in the buffer.
    tells_wait: bool,
}

impl Around {
    /// What these settings ask for.
    pub(crate) fn of(pool: &PoolSettings) -> Self {
        let tells_wait = pool.server_timing.is_some_and(|it| it.0.0);
        Self { log: AccessLog::of(pool), tells_wait }
    }

    /// Tells the operator at once what would keep handlers from starting.
    ///
    /// # Errors
    /// The log cannot be written.
    pub(crate) fn try_out(&self) -> Result<()> {
        self.log.as_ref().map_or(Ok(()), AccessLog::try_out)
    }

    /// Makes it ready for the thread that sits here.
    ///
    /// # Errors
    /// The log cannot be written.
    pub(crate) fn at(&self, seat: &Seat) -> Result<Desk> {
        let log = self.log.as_ref().map(AccessLog::open).transpose()?;
        Ok(Desk { log, slot: seat.slot(), tells_wait: self.tells_wait })
    }
}

/// Where one thread of a handler is asked.
#[derive(Clone, Debug)]
pub(crate) struct Desk {
    log: Option<Arc<Log>>,
    slot: usize,
    tells_wait: bool,
}

impl Desk {
    /// Has a request answered.
    pub(crate) async fn attend<Q, B, F>(
        self,
        request: Request<Q>,
        answer: impl FnOnce(Request<Q>) -> F,
    ) -> Result<Response<Noted<B>>, Infallible>
    where
        F: Future<Output = Result<Response<B>, Infallible>>,
        B: Body<Data = Bytes> + Unpin,
    {
        let waited = request.extensions().get().copied().filter(|_| self.tells_wait);
        let mut note = self.log.as_ref().map(|log| Note::of(&request, log, self.slot));
        let mut response = answer(request).await?;
        if let Some(note) = &mut note {
            note.answered(response.status());
        }
        if let Some(timing) = waited.and_then(timing) {
            response.headers_mut().insert(SERVER_TIMING, timing);
        }
        Ok(response.map(|body| Noted::new(body, note)))
    }
}

/// The wait in milliseconds, as browsers show it beside their own times (Server-Timing, W3C).
fn timing(Waited(time): Waited) -> Option<HeaderValue> {
    HeaderValue::try_from(format!("buffer;dur={}", time.as_millis())).ok()
}
