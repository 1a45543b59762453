//! Who is let in: connections, how many, and for how long.

use std::future::{Future, poll_fn};
use std::os::fd::AsFd;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bellwether::{Error, Listener};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustix::process::Signal;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::net::{TcpListener, UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::answer::Clerk;
use super::live::Thread;

/// So many may be here at once; the others wait in the kernel.
const MOST: usize = 64;

/// How long a client may take for its question.
const HEAD: Duration = Duration::from_secs(5);

/// How long a client may stay that does not watch.
const VISIT: Duration = Duration::from_secs(30);

/// How long after a failed accept the next is tried: something is short.
const PAUSE: Duration = Duration::from_millis(100);

/// Readable when the process is told to end: then its socket file goes with it.
fn told_to_end() -> std::io::Result<UnixStream> {
    let (told, tells) = std::os::unix::net::UnixStream::pair()?;
    for signal in [Signal::TERM, Signal::INT] {
        signal_hook::low_level::pipe::register(signal.as_raw(), tells.try_clone()?)?;
    }
    told.set_nonblocking(true)?;
    UnixStream::from_std(told)
}

/// Lets clients in until the process is told to end.
pub(super) fn keep(listener: Listener, clerk: Clerk) -> Result<(), Error> {
    let system = |source| Error::System { doing: "answer over HTTP".into(), source };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(system)?;
    let kept = runtime.block_on(until_told(&listener, clerk)).map_err(system);
    // A server that does not answer is waited for no longer.
    runtime.shutdown_background();
    kept
}

async fn until_told(listener: &Listener, clerk: Clerk) -> std::io::Result<()> {
    let mut told = told_to_end()?;
    let told = async {
        let _ = told.read_u8().await;
    };
    let fd = listener.as_fd().try_clone_to_owned()?;
    if listener.address().starts_with("tcp://") {
        let tcp = std::net::TcpListener::from(fd);
        tcp.set_nonblocking(true)?;
        let tcp = TcpListener::from_std(tcp)?;
        either(admit(clerk, async || Ok(tcp.accept().await?.0)), told).await;
    } else {
        let unix = std::os::unix::net::UnixListener::from(fd);
        unix.set_nonblocking(true)?;
        let unix = UnixListener::from_std(unix)?;
        either(admit(clerk, async || Ok(unix.accept().await?.0)), told).await;
    }
    Ok(())
}

async fn admit<I>(clerk: Clerk, next: impl AsyncFn() -> std::io::Result<I>)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (clerk, places) = (Arc::new(clerk), Arc::new(Semaphore::new(MOST)));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        match next().await {
            Ok(stream) => {
                let clerk = Arc::clone(&clerk);
                drop(tokio::spawn(async move {
                    serve(stream, &clerk).await;
                    drop(place);
                }));
            }
            Err(error) => {
                tracing::debug!(%error, "nobody can be let in for a moment");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// Serves a client until it has enough, its time is up, or it watches and does not read.
async fn serve<I: AsyncRead + AsyncWrite + Unpin + Send + 'static>(stream: I, clerk: &Arc<Clerk>) {
    let thread = Thread::default();
    let service = service_fn(|request| {
        let (clerk, thread) = (Arc::clone(clerk), thread.clone());
        async move { Ok::<_, std::convert::Infallible>(clerk.answer(&request, &thread).await) }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD).max_buf_size(16 << 10);
    let talk = http.serve_connection(TokioIo::new(stream), service);
    let visit = async {
        let mut talk = pin!(talk);
        if timeout(VISIT, talk.as_mut()).await.is_err() && thread.is_held() {
            let _ = talk.await;
        }
    };
    either(visit, thread.cut()).await;
}

/// Waits for the first of two.
async fn either(one: impl Future<Output = ()>, other: impl Future<Output = ()>) {
    let (mut one, mut other) = (pin!(one), pin!(other));
    poll_fn(|cx| match one.as_mut().poll(cx) {
        Poll::Ready(()) => Poll::Ready(()),
        Poll::Pending => other.as_mut().poll(cx),
    })
    .await;
}
