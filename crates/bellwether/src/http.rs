//! HTTP/1.1 and HTTP/2 for any tower service, by hyper.

mod origin;
mod patience;
mod reply;
#[cfg(feature = "tls")]
mod secure;
mod shed;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use http::header::{CONNECTION, HeaderValue};
use http::{Method, Request, Response, StatusCode, Version};
use http_body::Body;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
pub use origin::{Peer, Waited};
use patience::{First, first_of, last_request, patience, patiently};
use reply::Reply;
#[cfg(feature = "tls")]
use secure::{Opening, Secure};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, timeout};
use tower_service::Service;

use crate::error::{BoxError, Result};
use crate::handler::gate::Terms;
use crate::handler::requests::Unfinished;
use crate::handler::{Connection, Shift, Stream};
use crate::server::{Pool, Server};
use crate::spawner::Stopped;

/// How many connections one thread holds at once, unless told otherwise.
pub const CONNECTIONS: usize = 1024;

/// How long a client may take for the head of a request, the first one included.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// How often an HTTP/2 client that says nothing is asked whether it is there.
const PING_INTERVAL: Duration = Duration::from_secs(30);

/// Serves a tower service (an axum `Router` is one) until the process is told to stop.
///
/// `start` runs in each thread of each handler process, after the fork, and returns the service;
/// each connection gets a clone. HTTP/1.1 and HTTP/2 (with prior knowledge) are told apart by
/// their first bytes. A handler that leaves finishes its requests, closes idle connections, and
/// tells the others to go (`Connection: close`, GOAWAY). One thread holds at most
/// [`CONNECTIONS`] connections. A client has 30 s for the head of a request; one that never asks
/// is sent away after as long.
///
/// Where the server sets deadlines, each request carries its [`Deadline`](crate::Deadline) as an
/// extension, labelled with its method and path. A service that has not answered by the soft
/// deadline is dropped in the middle of its work, and the client gets 503; the other requests of
/// the handler go on. Once the head of the answer is sent the soft deadline is void, but the
/// request lasts, as far as the hard deadline goes, until its body has ended or its client is
/// gone. The time in the buffer counts for the first request of a connection.
///
/// Each request carries its client's address as an extension ([`Peer`]), the first one of a
/// connection also how long that waited in the buffer ([`Waited`]).
///
/// Where [`Builder::shed`](crate::Builder::shed) is on, a connection that comes out of the buffer too
/// late is not given to the service: its first request gets 503 with `Retry-After: 1`, and the
/// connection is closed as soon as the client has that answer.
///
/// With [`Builder::tls`](crate::Builder::tls) all of that goes over TLS. A client has 10 s of its 30 s for the
/// handshake; one that comes too late is closed without one; one that speaks no TLS gets 400.
///
/// Open the address with [`Defer::ON`](crate::Defer::ON): in HTTP the client speaks first.
///
/// ```no_run
/// use std::convert::Infallible;
/// use bellwether::{Defer, Server, Shift, http};
/// use tower::service_fn;
///
/// # fn main() -> Result<(), bellwether::Error> {
/// let server = Server::builder().listen("127.0.0.1:8080").defer_accept(Defer::ON).open()?;
/// http::serve(server, |shift: Shift| async move {
///     let slot = shift.seat().slot();
///     Ok(service_fn(move |_request| async move {
///         Ok::<_, Infallible>(::http::Response::new(format!("hello from slot {slot}\n")))
///     }))
/// })?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// As [`Server::run`].
pub fn serve<S, F, V, B>(server: Server, start: S) -> Result<Stopped>
where
    S: Fn(Shift) -> F + Clone + Sync + 'static,
    F: Future<Output = Result<V, BoxError>>,
    V: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + Sync + 'static,
    V::Future: Send + 'static,
    V::Error: Into<BoxError>,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    pool(server, start).run()
}

/// Makes a pool of a tower service as [`serve`] serves it, to be run beside others by
/// [`Group::run`](crate::Group::run).
pub fn pool<S, F, V, B>(server: Server, start: S) -> Pool
where
    S: Fn(Shift) -> F + Clone + Sync + 'static,
    F: Future<Output = Result<V, BoxError>>,
    V: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + Sync + 'static,
    V::Future: Send + 'static,
    V::Error: Into<BoxError>,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    let terms = Terms { limit: CONNECTIONS, connection_is_request: false, sheds: true };
    #[cfg(feature = "tls")]
    let (server, tls) = server.without_tls();
    server.gated(terms, move || {
        #[cfg(feature = "tls")]
        let secure = tls.as_ref().map(Secure::load).transpose()?;
        #[cfg(not(feature = "tls"))]
        let secure = None;
        let start = start.clone();
        Ok(move |shift: Shift| {
            let (starting, secure) = (start(shift.clone()), secure.clone());
            async move {
                #[cfg(feature = "tls")]
                if secure.is_some() {
                    Secure::warm_up()?;
                }
                let service = starting.await?;
                let protocol = protocol();
                Ok(move |connection: Connection| {
                    let service = Counted::new(service.clone(), &shift, &connection);
                    attend(protocol.clone(), connection, service, shift.clone(), secure.clone())
                })
            }
        })
    })
}

/// Without TLS nobody is.
#[cfg(not(feature = "tls"))]
#[derive(Clone)]
enum Secure {}

fn protocol() -> auto::Builder<TokioExecutor> {
    let mut protocol = auto::Builder::new(TokioExecutor::new());
    protocol.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
    protocol.http2().timer(TokioTimer::new()).keep_alive_interval(PING_INTERVAL);
    protocol
}

/// Serves one connection, or sends it away.
async fn attend<V, B>(
    protocol: auto::Builder<TokioExecutor>,
    connection: Connection,
    service: Counted<V>,
    mut shift: Shift,
    secure: Option<Secure>,
) where
    V: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
    V::Future: Send + 'static,
    V::Error: Into<BoxError>,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    let unwanted = connection.is_unwanted();
    let Ok(stream) = Stream::try_from(connection) else { return };
    match secure {
        None if unwanted => shed::send_away(protocol, stream, shift, Reply::too_many).await,
        None => {
            if speaks(&stream, &mut shift).await {
                talk(protocol, stream, service, shift, Instant::now() + HEAD_TIMEOUT).await;
            }
        }
        // To say no takes a handshake, which costs more than most requests: it is closed.
        #[cfg(feature = "tls")]
        Some(_) if unwanted => {}
        #[cfg(feature = "tls")]
        Some(secure) => {
            let asks_by = Instant::now() + HEAD_TIMEOUT;
            match secure.open(stream, &mut shift).await {
                Some(Opening::Secure(it)) => talk(protocol, it, service, shift, asks_by).await,
                Some(Opening::Plain(it)) => {
                    shed::send_away(protocol, it, shift, Reply::not_secure).await;
                }
                None => {}
            }
        }
    }
}

/// Serves one connection until it ends, or as soon as the shift is over and it allows.
async fn talk<I, V, B>(
    protocol: auto::Builder<TokioExecutor>,
    stream: I,
    service: Counted<V>,
    mut shift: Shift,
    asks_by: Instant,
) where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    V: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
    V::Future: Send + 'static,
    V::Error: Into<BoxError>,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    let progress = Arc::clone(&service.progress);
    let service = TowerToHyperService::new(service);
    let talk = protocol.serve_connection_with_upgrades(TokioIo::new(stream), service);
    let mut talk = std::pin::pin!(talk);
    let silence = async {
        tokio::time::sleep_until(asks_by).await;
        if progress.has_asked() {
            std::future::pending::<()>().await;
        }
    };
    let result = match first_of(talk.as_mut(), first_of(shift.over(), silence)).await {
        First::One(result) => result,
        First::Other(First::One(())) => {
            progress.leaving.store(true, Ordering::Relaxed);
            // HTTP/2 has words for it: the client is told which of its requests are served.
            let patience = if progress.is_http_2() { Duration::ZERO } else { last_request(&shift) };
            match timeout(patience, talk.as_mut()).await {
                Ok(result) => result,
                Err(_) => {
                    talk.as_mut().graceful_shutdown();
                    talk.await
                }
            }
        }
        First::Other(First::Other(())) => return, // a client that began and never asked
    };
    if let Err(error) = result {
        // A client that goes away is the client's right.
        tracing::debug!(%error, "a connection ended early");
    }
}

/// Waits for the client's first bytes, and tells whether they came.
///
/// Without them the protocol is not known, and a connection whose protocol is not known cannot
/// be shut down gracefully: a request that waited in the buffer would be cut. So a leaving
/// handler, too, gives bytes that are under way a moment to arrive.
async fn speaks(stream: &Stream, shift: &mut Shift) -> bool {
    matches!(patiently(stream.readable(), HEAD_TIMEOUT, patience(shift)).await, Some(Ok(())))
}

/// A service whose requests are counted, and bounded where they have deadlines.
#[derive(Clone)]
struct Counted<V> {
    service: V,
    shift: Shift,
    /// How long the connection waited in the buffer.
    waited: Option<Duration>,
    peer: Option<Peer>,
    progress: Arc<Progress>,
}

/// How far the talk over one connection is.
#[derive(Debug, Default)]
struct Progress {
    /// The version of HTTP that is spoken, 0 before the first request.
    version: AtomicU8,
    /// Whether the answer to a request is to be the last.
    leaving: AtomicBool,
}

impl Progress {
    /// Notes a request; returns whether it is the first.
    fn asked(&self, version: Version) -> bool {
        let version = if version < Version::HTTP_2 { 1 } else { 2 };
        self.version.swap(version, Ordering::Relaxed) == 0
    }

    fn has_asked(&self) -> bool {
        self.version.load(Ordering::Relaxed) != 0
    }

    fn is_http_2(&self) -> bool {
        self.version.load(Ordering::Relaxed) == 2
    }

    /// Tells whether an answer is to say that it is the last (HTTP/1 alone has that header).
    fn is_last(&self) -> bool {
        self.leaving.load(Ordering::Relaxed) && !self.is_http_2()
    }
}

impl<V> Counted<V> {
    fn new(service: V, shift: &Shift, connection: &Connection) -> Self {
        let progress = Arc::default();
        let (waited, peer) = (connection.waited(), connection.client().map(Peer));
        Self { service, shift: shift.clone(), waited, peer, progress }
    }

    /// A request has come: it is told where from, and given a deadline, where there is one.
    fn begin(&self, request: &mut Request<Incoming>) -> Option<Unfinished> {
        let is_first = self.progress.asked(request.version());
        let waited = self.waited.filter(|_| is_first);
        self.peer.map(|peer| request.extensions_mut().insert(peer));
        waited.map(|time| request.extensions_mut().insert(Waited(time)));
        let begun = self.shift.begin(waited)?;
        let deadline = begun.deadline();
        deadline.label(&format!("{} {}", request.method(), request.uri().path()));
        request.extensions_mut().insert(deadline);
        Some(begun)
    }
}

impl<V, B> Service<Request<Incoming>> for Counted<V>
where
    V: Service<Request<Incoming>, Response = Response<B>>,
    V::Future: Send + 'static,
{
    type Response = Response<Reply<B>>;
    type Error = V::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, V::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), V::Error>> {
        self.service.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Incoming>) -> Self::Future {
        let begun = self.begin(&mut request);
        let version = request.version();
        let connects = request.method() == Method::CONNECT;
        let (answering, shift) = (self.service.call(request), self.shift.clone());
        let progress = Arc::clone(&self.progress);
        Box::pin(async move {
            let answer = in_time(answering, begun.as_ref()).await;
            shift.count_request();
            let Some(answer) = answer else { return Ok(Reply::too_late(version)) };
            let mut response = answer?;
            if progress.is_last() && !ends_http(connects, response.status()) {
                say_last(&mut response, version);
            }
            Ok(response.map(|body| Reply::theirs(body, begun)))
        })
    }
}

/// Says in an answer that it is the last over its connection.
///
/// An answer of HTTP/1.0 says so by its version, to which hyper would otherwise add `keep-alive`.
fn say_last<B>(response: &mut Response<B>, version: Version) {
    if version == Version::HTTP_10 {
        *response.version_mut() = Version::HTTP_10;
    } else {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
}

/// Tells whether the connection speaks something else after an answer: it says itself how it ends.
fn ends_http(connects: bool, status: StatusCode) -> bool {
    status == StatusCode::SWITCHING_PROTOCOLS || connects && status.is_success()
}

/// Waits for an answer; `None` when the soft deadline came first.
async fn in_time<F: Future>(answering: F, request: Option<&Unfinished>) -> Option<F::Output> {
    match request {
        None => Some(answering.await),
        Some(request) => request.deadline().bound(answering).await,
    }
}
