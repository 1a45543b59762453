//! Sending a client away whatever it asks: one answer, and a close that does not cut it.

use std::convert::Infallible;
use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use http::Version;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use super::patience::{First, first_of, patience};
use super::reply::Reply;
use super::talk::{LINGER, read_on};
use crate::handler::{Shift, Stream};

/// How long all of it may take: a client that does not ask or does not read is not waited for as
/// long as one that is served.
const PATIENCE: Duration = Duration::from_secs(5);

/// Answers the first request in these words and closes the connection.
///
/// HTTP/1 says by its header that the answer is the last; in HTTP/2 all that is asked before the
/// client hears of GOAWAY gets the same answer. No service sees any of it.
pub(super) async fn send_away(
    protocol: auto::Builder<TokioExecutor>,
    stream: Stream,
    mut shift: Shift,
    words: Words,
) {
    let rest = stream.twin();
    let talk = async {
        refuse(protocol, stream, words).await;
        // hyper closes its own descriptor at the end; this is another one.
        if let Ok(rest) = rest {
            let _ = timeout(LINGER, read_on(rest)).await;
        }
    };
    let leaving = async { sleep(patience(&mut shift).await).await };
    let _ = timeout(PATIENCE, first_of(talk, leaving)).await;
}

/// An answer in the version of HTTP of its request.
type Words = fn(Version) -> Response<Reply<Incoming>>;

async fn refuse(protocol: auto::Builder<TokioExecutor>, stream: Stream, words: Words) {
    let asked = Arc::new(Notify::new());
    let hear = Arc::clone(&asked);
    let service = service_fn(move |request: Request<Incoming>| {
        hear.notify_one();
        ready(Ok::<_, Infallible>(words(request.version())))
    });
    let mut talk = std::pin::pin!(protocol.serve_connection(TokioIo::new(stream), service));
    if let First::Other(()) = first_of(talk.as_mut(), asked.notified()).await {
        talk.as_mut().graceful_shutdown();
        let _ = talk.await;
    }
}
