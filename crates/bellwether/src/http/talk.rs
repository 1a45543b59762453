//! The talk over one connection, from its first request to its end.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming as Unbounded;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;
use tower_service::Service;

use super::fault::Fault;
use super::pace::Overdue;
use super::paced::Paced;
use super::patience::{First, first_of, last_request};
use super::progress::Progress;
use crate::error::BoxError;
use crate::handler::Shift;
use crate::server::Limits;

/// How long a client of HTTP/2 that was told to go may still take for what is under way.
const GOODBYE: Duration = Duration::from_secs(5);

/// How long to read on after the last words: time for the client to read them and to stop sending.
pub(super) const LINGER: Duration = Duration::from_secs(1);

/// How a talk ended, as far as it matters to what is left of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// All that was to be said was said and heard.
    Plain,
    /// We have said our last word, and the client may still be sending.
    Unheard,
    /// The client did not come to the end of a head of HTTP/1.
    HeadTooSlow,
    /// There is nobody who would read anything.
    Given,
}

/// Serves one connection until it ends, or as soon as the shift is over and it allows.
pub(super) async fn talk<I, S, B>(
    protocol: auto::Builder<TokioExecutor>,
    stream: I,
    service: S,
    shift: Shift,
    (progress, limits): (Arc<Progress>, Limits),
) where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: Service<Request<Unbounded>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    let (stream, rest) = Paced::new(stream, Arc::clone(&progress));
    let ending = converse(protocol, stream, service, shift, &progress).await;
    let Some(mut rest) = rest.take() else { return };
    let last_words = async {
        if ending == Ending::HeadTooSlow {
            rest.write_all(&too_slow(&limits)).await?;
            rest.shutdown().await?;
        }
        read_on(rest).await
    };
    if matches!(ending, Ending::Unheard | Ending::HeadTooSlow) {
        let _ = timeout(LINGER, last_words).await;
    }
}

/// Lets hyper do the talking.
async fn converse<I, S, B>(
    protocol: auto::Builder<TokioExecutor>,
    stream: Paced<I>,
    service: S,
    mut shift: Shift,
    progress: &Progress,
) -> Ending
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: Service<Request<Unbounded>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    let service = TowerToHyperService::new(service);
    let talk = protocol.serve_connection_with_upgrades(TokioIo::new(stream), service);
    let (mut talk, mut overdue) = (std::pin::pin!(talk), std::pin::pin!(progress.overdue()));
    let mut talking = {
        let mut ends = std::pin::pin!(first_of(overdue.as_mut(), shift.over()));
        match first_of(talk.as_mut(), first_of(ends.as_mut(), progress.parted())).await {
            First::Other(First::Other(())) => {
                // What is under way is finished; new requests take another connection.
                talk.as_mut().graceful_shutdown();
                first_of(talk.as_mut(), ends).await
            }
            First::Other(First::One(end)) => First::Other(end),
            First::One(result) => First::One(result),
        }
    };
    if let First::Other(First::Other(())) = talking {
        progress.leave();
        // HTTP/2 has words for it: the client is told which of its requests are served.
        let patience = if progress.is_http_2() { Duration::ZERO } else { last_request(&shift) };
        let mut heard = timeout(patience, first_of(talk.as_mut(), overdue.as_mut())).await;
        if heard.is_err() && progress.is_being_asked() {
            let patience = last_request(&shift);
            heard = timeout(patience, first_of(talk.as_mut(), overdue.as_mut())).await;
        }
        let heard = match heard {
            Ok(heard) => heard,
            Err(_) => {
                talk.as_mut().graceful_shutdown();
                first_of(talk.as_mut(), overdue).await
            }
        };
        talking = match heard {
            First::One(result) => First::One(result),
            First::Other(overdue) => First::Other(First::One(overdue)),
        };
    }
    match talking {
        First::One(result) => ending_of(result, progress),
        First::Other(First::One(Overdue::Idle | Overdue::Restless)) => {
            talk.as_mut().graceful_shutdown();
            let _ = timeout(GOODBYE, talk).await;
            Ending::Plain
        }
        First::Other(First::One(Overdue::Head)) => Ending::HeadTooSlow,
        First::Other(_) => Ending::Given,
    }
}

fn ending_of(result: Result<(), BoxError>, progress: &Progress) -> Ending {
    let Err(error) = result else {
        return if progress.is_unread() { Ending::Unheard } else { Ending::Plain };
    };
    // A client that goes away is the client's right.
    tracing::debug!(%error, "a connection ended early");
    let refused = error.downcast_ref().is_some_and(hyper::Error::is_parse);
    if refused { Ending::Unheard } else { Ending::Given }
}

/// What is said in place of hyper, which closes without a word.
fn too_slow(limits: &Limits) -> Bytes {
    let (status, words) = (Fault::HeadTooSlow.status(), Fault::HeadTooSlow.words(limits));
    let length = words.len();
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: text/plain; charset=utf-8\r\nconnection: close\r\n\
         content-length: {length}\r\n\r\n{words}"
    )
    .into()
}

/// Reads what the client still sends, until it closes.
///
/// Closed with something unread, a connection is reset, and the client may lose what it was sent
/// last (RFC 9112, 9.6).
pub(super) async fn read_on(mut rest: impl AsyncRead + Unpin) -> std::io::Result<()> {
    let mut unread = [0; 4096];
    while rest.read(&mut unread).await? > 0 {}
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_that_takes_too_long_is_answered_with_408() {
        let said = too_slow(&Limits::default());
        let said = std::str::from_utf8(&said).unwrap();
        let (head, words) = said.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 408 Request Timeout\r\n"), "{head}");
        assert!(head.ends_with(&format!("content-length: {}", words.len())), "{head}");
    }
}
