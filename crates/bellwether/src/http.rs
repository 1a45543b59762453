//! HTTP/1.1 and HTTP/2 for any tower service, by hyper.

mod reply;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use http::header::{CONNECTION, HeaderValue};
use http::{Request, Response, Version};
use http_body::Body;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use reply::Reply;
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

/// How long what a client has sent may take to be seen by a handler that leaves.
const UNDER_WAY: Duration = Duration::from_millis(100);

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
    let terms = Terms { limit: CONNECTIONS, connection_is_request: false };
    server.gated(terms, move |shift| {
        let starting = start(shift.clone());
        async move {
            let service = starting.await?;
            let protocol = protocol();
            Ok(move |connection| {
                let service = Counted::new(service.clone(), &shift, &connection);
                talk(protocol.clone(), connection, service, shift.clone())
            })
        }
    })
}

fn protocol() -> auto::Builder<TokioExecutor> {
    let mut protocol = auto::Builder::new(TokioExecutor::new());
    protocol.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
    protocol.http2().timer(TokioTimer::new()).keep_alive_interval(PING_INTERVAL);
    protocol
}

/// Serves one connection until it ends, or as soon as the shift is over and it allows.
async fn talk<V, B>(
    protocol: auto::Builder<TokioExecutor>,
    connection: Connection,
    service: Counted<V>,
    mut shift: Shift,
) where
    V: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
    V::Future: Send + 'static,
    V::Error: Into<BoxError>,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    let Ok(stream) = Stream::try_from(connection) else { return };
    if !speaks(&stream, &mut shift).await {
        return;
    }
    let talked = Arc::clone(&service.talked);
    let service = TowerToHyperService::new(service);
    let talk = protocol.serve_connection_with_upgrades(TokioIo::new(stream), service);
    let mut talk = std::pin::pin!(talk);
    let silence = async {
        tokio::time::sleep(HEAD_TIMEOUT).await;
        if talked.asked.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
    };
    let result = match first_of(talk.as_mut(), first_of(shift.over(), silence)).await {
        First::One(result) => result,
        First::Other(First::One(())) => {
            // The next request of a connection that is kept may be on its way: closed now, it
            // would be lost. Its answer says that it was the last.
            talked.ends.store(true, Ordering::Relaxed);
            match first_of(talk.as_mut(), tokio::time::sleep(UNDER_WAY)).await {
                First::One(result) => result,
                First::Other(()) => {
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
    let patient = tokio::time::timeout(HEAD_TIMEOUT, stream.readable());
    match first_of(patient, shift.over()).await {
        First::One(arrived) => matches!(arrived, Ok(Ok(()))),
        First::Other(()) => {
            matches!(tokio::time::timeout(UNDER_WAY, stream.readable()).await, Ok(Ok(())))
        }
    }
}

/// Which of two futures was first.
enum First<A, B> {
    One(A),
    Other(B),
}

async fn first_of<A: Future, B: Future>(one: A, other: B) -> First<A::Output, B::Output> {
    let (mut one, mut other) = (std::pin::pin!(one), std::pin::pin!(other));
    std::future::poll_fn(|cx| match one.as_mut().poll(cx) {
        Poll::Ready(output) => Poll::Ready(First::One(output)),
        Poll::Pending => other.as_mut().poll(cx).map(First::Other),
    })
    .await
}

/// What is known of a connection.
#[derive(Debug, Default)]
struct Talked {
    /// Whether a request has come over it.
    asked: AtomicBool,
    /// Whether it is to end with the next answer.
    ends: AtomicBool,
}

impl Talked {
    /// Tells a client of HTTP/1 that this is the last answer, if it is; one of HTTP/2 is told by
    /// GOAWAY.
    fn say<B>(&self, answer: &mut Response<B>, version: Version) {
        if self.ends.load(Ordering::Relaxed) && version < Version::HTTP_2 {
            answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
    }
}

/// A service whose requests are counted, and bounded where they have deadlines.
#[derive(Clone)]
struct Counted<V> {
    service: V,
    shift: Shift,
    /// How long the connection waited in the buffer.
    waited: Option<Duration>,
    talked: Arc<Talked>,
}

impl<V> Counted<V> {
    fn new(service: V, shift: &Shift, connection: &Connection) -> Self {
        let talked = Arc::default();
        Self { service, shift: shift.clone(), waited: connection.waited(), talked }
    }

    /// A request has come: it is given a deadline, where there is one.
    fn begin(&self, request: &mut Request<Incoming>) -> Option<Unfinished> {
        let is_first = !self.talked.asked.swap(true, Ordering::Relaxed);
        let begun = self.shift.begin(self.waited.filter(|_| is_first))?;
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
        let (answering, shift) = (self.service.call(request), self.shift.clone());
        let talked = Arc::clone(&self.talked);
        Box::pin(async move {
            let answer = in_time(answering, begun.as_ref()).await;
            shift.count_request();
            let Some(answer) = answer else { return Ok(Reply::too_late(version)) };
            answer.map(|mut response| {
                talked.say(&mut response, version);
                response.map(|body| Reply::theirs(body, begun))
            })
        })
    }
}

/// Waits for an answer; `None` when the soft deadline came first.
async fn in_time<F: Future>(answering: F, request: Option<&Unfinished>) -> Option<F::Output> {
    match request {
        None => Some(answering.await),
        Some(request) => request.deadline().bound(answering).await,
    }
}
