//! HTTP/1.1 and HTTP/2 for any tower service, by hyper.
//!
//! # From axum, in three lines
//!
//! ```ignore
//! #[tokio::main]
//! async fn main() {
//!     let listener = tokio::net::TcpListener::bind("0.0.0.0:3000").await.unwrap();
//!     axum::serve(listener, app()).await.unwrap();
//! }
//! ```
//!
//! becomes
//!
//! ```no_run
//! # use axum::{Router, routing::get};
//! # fn app() -> Router { Router::new().route("/", get("hello")) }
//! fn main() -> Result<(), bellwether::Error> {
//!     bellwether::http::serve("0.0.0.0:3000", |_shift| async { Ok(app()) })?;
//!     Ok(())
//! }
//! ```
//!
//! `main` has no runtime any more, because the process that forks has one thread: each handler
//! makes its own. What needs one (a pool of connections to a database) is made inside the closure, and
//! as it can fail, the closure returns a `Result`: `?` works in it, and a handler that could not
//! start says why. What needs none can be made once before, and cloned:
//! `move |_shift| std::future::ready(Ok(app.clone()))`.
//!
//! What axum takes from the connection (`ConnectInfo`) is here an extension: `Extension<Peer>`, and so
//! are `Extension<Deadline>` and `Extension<Waited>`. More settings: a [`Builder`](crate::Builder) in
//! place of the address. See the example `axum.rs` for WebSockets and server-sent events, `grpc.rs`
//! for tonic.
//!
//! # A time for a route of its own
//!
//! [`Builder::soft_deadline`](crate::Builder::soft_deadline) bounds all requests, with 503. Who wants
//! less for some of them uses the layers that there are, `tower_http::timeout::TimeoutLayer` or
//! `tower::timeout`: whichever comes first drops the rest of the service. A service that can
//! do with less time asks its `Deadline` how much is left.

mod allowance;
mod caller;
mod complaints;
mod fault;
mod forwarded;
mod incoming;
mod into_server;
mod origin;
mod pace;
mod paced;
mod patience;
mod preface;
mod progress;
mod protocol;
mod reply;
#[cfg(feature = "tls")]
mod secure;
mod shed;
mod stay;
mod talk;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use caller::Caller;
use fault::Fault;
use http::header::{CONNECTION, HeaderValue};
use http::{Method, Request, Response, StatusCode, Version};
use http_body::Body;
use hyper::body::Incoming as Unbounded;
use hyper_util::rt::TokioExecutor;
use hyper_util::server::conn::auto;
pub use incoming::{BodyError, Incoming};
pub use into_server::IntoServer;
pub use origin::{Origin, Peer, Teller, Waited, client};
use patience::{patience, patiently};
use progress::Progress;
use protocol::protocol;
use reply::Reply;
#[cfg(feature = "tls")]
use secure::{Opening, Secure};
use stay::until_dropped;
use talk::talk;
use tokio::time::Instant;
use tower_service::Service;

use crate::error::{BoxError, Result};
use crate::handler::requests::Unfinished;
use crate::handler::{Connection, Shift, Stream};
pub use crate::server::{LEAST_RATE, Limits, Network, Proxies, ProxyHeaders};
use crate::server::{Pool, Server};
use crate::spawner::Stopped;

/// Serves a tower service (an axum `Router` is one) until the process is told to stop.
///
/// Where to, says an address, a [`Builder`](crate::Builder) or an open [`Server`] ([`IntoServer`]).
/// `start` runs in each thread of each handler process, after the fork, and returns the service;
/// each connection gets a clone. HTTP/1.1 and HTTP/2 (with prior knowledge) are told apart by
/// their first bytes. A handler that leaves finishes its requests, closes idle connections, and
/// tells the others to go (`Connection: close`, GOAWAY). One thread holds at most
/// [`Builder::connections`](crate::Builder::connections) of them.
/// How long a client is waited for and how much it may send, in time and in bytes, is set by
/// [`Limits`]; a request that must not be served as it is (RFC 9112: no host, or two; a transfer
/// coding but `chunked`; a target that its method does not have) is refused before the service
/// sees it.
///
/// A connection that was upgraded (a WebSocket) is held by the service, and counts until that drops
/// it. A handler that leaves waits for it, within
/// [`Builder::stop_grace`](crate::Builder::stop_grace): to end it well, the service heeds
/// [`Shift::over`].
///
/// Where the server sets deadlines, each request carries its [`Deadline`](crate::Deadline) as an
/// extension (labelled with its method and path, where
/// [`Builder::label_requests`](crate::Builder::label_requests) says so). A service that has not answered by the soft
/// deadline is dropped in the middle of its work, and the client gets 503; the other requests of
/// the handler go on. Once the head of the answer is sent the soft deadline is void, but the
/// request lasts, as far as the hard deadline goes, until its body has ended or its client is
/// gone. The time in the buffer counts for the first request of a connection.
///
/// Each request carries the address of its connection's peer as an extension ([`Peer`]), the first
/// one of a connection also how long that waited in the buffer ([`Waited`]). Where proxies are named
/// ([`Builder::proxies`](crate::Builder::proxies)), each has an [`Origin`], too.
///
/// Where [`Builder::shed`](crate::Builder::shed) is on, a connection that comes out of the buffer too
/// late is not given to the service: its first request gets 503 with `Retry-After: 1`, and the
/// connection is closed as soon as the client has that answer.
///
/// With [`Builder::tls`](crate::Builder::tls) all of that goes over TLS. A client has 10 s of the time for its first head for the
/// handshake; one that comes too late is closed without one; one that speaks no TLS gets 400.
///
/// ```no_run
/// use std::convert::Infallible;
/// use bellwether::{Server, Shift, http};
/// use tower::service_fn;
///
/// # fn main() -> Result<(), bellwether::Error> {
/// let server = Server::builder().listen("127.0.0.1:8080").handlers(4);
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
/// As [`Builder::open`](crate::Builder::open) and [`Server::run`].
pub fn serve<T, S, F, V, B>(server: T, start: S) -> Result<Stopped>
where
    T: IntoServer,
    S: Fn(Shift) -> F + Clone + Sync + 'static,
    F: Future<Output = Result<V, BoxError>>,
    V: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + Sync + 'static,
    V::Future: Send + 'static,
    V::Error: Into<BoxError>,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    pool(server.into_server()?, start).run()
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
    let terms = server.terms_of_http();
    let limits = *server.http_limits();
    let proxies = server.proxies().cloned().map(Arc::new);
    #[cfg(feature = "tls")]
    let (server, tls) = server.without_tls();
    server.gated(terms, move || {
        #[cfg(feature = "tls")]
        let secure = tls.as_ref().map(Secure::load).transpose()?;
        #[cfg(not(feature = "tls"))]
        let secure = None;
        let (start, proxies) = (start.clone(), proxies.clone());
        Ok(move |shift: Shift| {
            let (starting, secure) = (start(shift.clone()), secure.clone());
            let proxies = proxies.clone();
            async move {
                #[cfg(feature = "tls")]
                if secure.is_some() {
                    Secure::warm_up()?;
                }
                let service = starting.await?;
                let protocol = protocol(&limits);
                Ok(move |connection: Connection| {
                    let proxies = proxies.clone();
                    let caller =
                        proxies.map(|it| Caller::new(it, connection.client(), secure.is_some()));
                    let service = Counted::new(service.clone(), &shift, &connection, limits);
                    let service = Counted { caller: caller.map(Arc::new), ..service };
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

/// Serves one connection, or sends it away.
async fn attend<V, B>(
    protocol: auto::Builder<TokioExecutor>,
    connection: Connection,
    mut service: Counted<V>,
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
    let (progress, limits) = (Arc::clone(&service.progress), service.limits);
    let Ok(mut stream) = Stream::try_from(connection) else { return };
    stream.bound_unsent();
    if let Some(caller) = service.caller.take() {
        let Ok(caller) = caller.met(&mut stream, limits.head, &mut shift).await else { return };
        service.caller = Some(caller);
    }
    match secure {
        None if unwanted => shed::send_away(protocol, stream, shift, Reply::too_many).await,
        None => {
            if speaks(&stream, &mut shift, limits.head).await {
                let pace = (progress, limits);
                until_dropped(stream, |held| talk(protocol, held, service, shift, pace)).await;
            }
        }
        // To say no takes a handshake, which costs more than most requests: it is closed.
        #[cfg(feature = "tls")]
        Some(_) if unwanted => {}
        #[cfg(feature = "tls")]
        Some(secure) => match secure.open(stream, &mut shift).await {
            Some(Opening::Secure(it)) => {
                let pace = (progress, limits);
                until_dropped(it, |held| talk(protocol, held, service, shift, pace)).await;
            }
            Some(Opening::Plain(it)) => {
                shed::send_away(protocol, it, shift, Reply::not_secure).await;
            }
            None => {}
        },
    }
}

/// Waits for the client's first bytes, and tells whether they came.
///
/// Without them the protocol is not known, and a connection whose protocol is not known cannot
/// be shut down gracefully: a request that waited in the buffer would be cut. So a leaving
/// handler, too, gives bytes that are under way a moment to arrive.
async fn speaks(stream: &Stream, shift: &mut Shift, limit: Duration) -> bool {
    matches!(patiently(stream.readable(), limit, patience(shift)).await, Some(Ok(())))
}

/// A service whose requests are counted, and bounded where they have deadlines.
#[derive(Clone)]
struct Counted<V> {
    service: V,
    shift: Shift,
    /// How long the connection waited in the buffer.
    waited: Option<Duration>,
    peer: Option<Peer>,
    /// Where there are proxies.
    caller: Option<Arc<Caller>>,
    limits: Limits,
    progress: Arc<Progress>,
}

impl<V> Counted<V> {
    fn new(service: V, shift: &Shift, connection: &Connection, limits: Limits) -> Self {
        let progress = Progress::new(limits, Instant::now().checked_add(limits.head));
        let (waited, peer) = (connection.waited(), connection.client().map(Peer));
        Self { service, shift: shift.clone(), waited, peer, caller: None, limits, progress }
    }

    /// A request has come: it is told where from, and given a deadline, where there is one.
    fn begin(&self, request: &mut Request<Incoming>, is_first: bool) -> Option<Unfinished> {
        let waited = self.waited.filter(|_| is_first);
        self.peer.map(|peer| request.extensions_mut().insert(peer));
        self.caller.iter().for_each(|caller| caller.introduce(request));
        waited.map(|time| request.extensions_mut().insert(Waited(time)));
        let begun = self.shift.begin(waited)?;
        let deadline = begun.deadline();
        if self.shift.labels() {
            deadline.label(&format!("{} {}", request.method(), request.uri().path()));
        }
        if self.shift.has_deadlines() {
            request.extensions_mut().insert(deadline);
        }
        Some(begun)
    }
}

impl<V, B> Service<Request<Unbounded>> for Counted<V>
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

    fn call(&mut self, request: Request<Unbounded>) -> Self::Future {
        let (version, limits, since) = (request.version(), self.limits, Instant::now());
        let (mut turn, is_first) = self.progress.asked(version);
        if let Some(fault) = Fault::of(&request, &limits) {
            turn.answered();
            return Box::pin(async move { Ok(Reply::refused(fault, &limits, version)) });
        }
        let (parts, body) = request.into_parts();
        let (body, fate) = Incoming::new(body, &limits, &self.progress);
        let mut request = Request::from_parts(parts, body);
        let begun = self.begin(&mut request, is_first);
        let connects = request.method() == Method::CONNECT;
        let (answering, shift) = (self.service.call(request), self.shift.clone());
        let progress = Arc::clone(&self.progress);
        Box::pin(async move {
            let answer = in_time(answering, begun.as_ref()).await;
            shift.count_request(since.elapsed());
            turn.answered();
            if let Some(fault) = fate.as_ref().and_then(|fate| fate.fault()) {
                return Ok(Reply::refused(Fault::Body(fault), &limits, version));
            }
            fate.iter().for_each(|fate| fate.answered());
            let Some(answer) = answer else { return Ok(Reply::too_late(version)) };
            let mut response = answer?;
            if !ends_http(connects, response.status()) {
                progress.part_if_too_many(&shift);
                if progress.is_last() {
                    say_last(&mut response, version);
                }
            }
            Ok(response.map(|body| Reply::theirs(body, turn, begun)))
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
