//! HTTP/1.1 and HTTP/2 for any tower service, by hyper.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tower_service::Service;

use crate::error::{BoxError, Result};
use crate::handler::gate::Terms;
use crate::handler::{Connection, Shift, Stream};
use crate::server::Server;
use crate::spawner::Stopped;

/// How many connections one thread holds at once, unless told otherwise.
pub const CONNECTIONS: usize = 1024;

/// How long a client may take for the head of a request, and a connection may stay idle.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// Serves a tower service (an axum `Router` is one) until the process is told to stop.
///
/// `start` runs in each thread of each handler process, after the fork, and returns the service;
/// each connection gets a clone. HTTP/1.1 and HTTP/2 (with prior knowledge) are told apart by
/// their first bytes. A handler that leaves finishes its requests, closes idle connections, and
/// tells the others to go (`Connection: close`, GOAWAY). One thread holds at most
/// [`CONNECTIONS`] connections.
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
    let terms = Terms { limit: CONNECTIONS, connection_is_request: false };
    server.run_gated(terms, move |shift| {
        let starting = start(shift.clone());
        async move {
            let service = starting.await?;
            let protocol = protocol();
            Ok(move |connection| {
                let service = Counted { service: service.clone(), shift: shift.clone() };
                talk(protocol.clone(), connection, service, shift.clone())
            })
        }
    })
}

fn protocol() -> auto::Builder<TokioExecutor> {
    let mut protocol = auto::Builder::new(TokioExecutor::new());
    protocol.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
    protocol.http2().timer(TokioTimer::new());
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
    let service = TowerToHyperService::new(service);
    let talk = protocol.serve_connection_with_upgrades(TokioIo::new(stream), service);
    let mut talk = std::pin::pin!(talk);
    let ended = {
        let mut over = std::pin::pin!(shift.over());
        std::future::poll_fn(|cx| match talk.as_mut().poll(cx) {
            Poll::Ready(result) => Poll::Ready(Some(result)),
            Poll::Pending => over.as_mut().poll(cx).map(|()| None),
        })
        .await
    };
    let result = match ended {
        Some(result) => result,
        None => {
            talk.as_mut().graceful_shutdown();
            talk.await
        }
    };
    if let Err(error) = result {
        // A client that goes away is the client's right.
        tracing::debug!(%error, "a connection ended early");
    }
}

/// A service whose requests are counted.
#[derive(Clone)]
struct Counted<V> {
    service: V,
    shift: Shift,
}

impl<V: Service<Request<Incoming>>> Service<Request<Incoming>> for Counted<V>
where
    V::Future: Send + 'static,
{
    type Response = V::Response;
    type Error = V::Error;
    type Future = Pin<Box<dyn Future<Output = Result<V::Response, V::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), V::Error>> {
        self.service.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        let (answering, shift) = (self.service.call(request), self.shift.clone());
        Box::pin(async move {
            let answer = answering.await;
            shift.count_request();
            answer
        })
    }
}
