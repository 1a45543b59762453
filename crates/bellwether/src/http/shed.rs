//! Sending a client away that had waited too long: 503, and a close that does not cut the answer.

use std::convert::Infallible;
use std::future::ready;
use std::net::TcpStream;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use super::reply::Reply;
use super::{First, first_of, last_request};
use crate::handler::{Connection, Shift, Stream};

/// How long all of it may take: a client that does not ask or does not read is not waited for as
/// long as one that is served.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long to read on after the answer: time for the client to stop sending.
const LINGER: Duration = Duration::from_secs(1);

/// Answers the first request with 503 and closes the connection.
///
/// HTTP/1 says by its header that the answer is the last; in HTTP/2 all that is asked before the
/// client hears of GOAWAY gets the same answer. No service sees any of it.
pub(super) async fn send_away(
    protocol: auto::Builder<TokioExecutor>,
    connection: Connection,
    mut shift: Shift,
) {
    let rest = connection.as_fd().try_clone_to_owned();
    let Ok(stream) = Stream::try_from(connection) else { return };
    let talk = async {
        refuse(protocol, stream).await;
        if let Ok(rest) = rest {
            let _ = timeout(LINGER, read_on(rest)).await;
        }
    };
    let leaving = async {
        shift.over().await;
        sleep(last_request(&shift)).await;
    };
    let _ = timeout(PATIENCE, first_of(talk, leaving)).await;
}

async fn refuse(protocol: auto::Builder<TokioExecutor>, stream: Stream) {
    let asked = Arc::new(Notify::new());
    let hear = Arc::clone(&asked);
    let service = service_fn(move |request: Request<Incoming>| {
        hear.notify_one();
        let answer: Response<Reply<Incoming>> = Reply::too_many(request.version());
        ready(Ok::<_, Infallible>(answer))
    });
    let mut talk = std::pin::pin!(protocol.serve_connection(TokioIo::new(stream), service));
    if let First::Other(()) = first_of(talk.as_mut(), asked.notified()).await {
        talk.as_mut().graceful_shutdown();
        let _ = talk.await;
    }
}

/// Reads what the client still sends, until it closes.
///
/// Closed with something unread, a connection is reset, and the client may lose what it was sent
/// last (RFC 9112, 9.6). hyper closes its own descriptor at the end; this is another one.
async fn read_on(rest: OwnedFd) -> std::io::Result<()> {
    // Only TCP tells how long a connection has waited, so no other is ever sent away.
    let rest = tokio::net::TcpStream::from_std(TcpStream::from(rest))?;
    let mut unread = [0; 4096];
    loop {
        rest.readable().await?;
        match rest.try_read(&mut unread) {
            Ok(0) => return Ok(()),
            Err(error) if error.kind() != std::io::ErrorKind::WouldBlock => return Err(error),
            Ok(_) | Err(_) => {}
        }
    }
}
