//! A stream that tells how its client reads and writes, and is left over when its user is done.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use super::progress::Progress;

/// What HTTP/2 begins with, as far as no request of HTTP/1 would (RFC 9113, 3.4).
const PREFACE: &[u8] = b"PRI * ";

/// A stream under observation.
///
/// It bounds nothing: whoever heeds [`Progress::overdue`] does. So no read or write sets an alarm.
pub(super) struct Paced<I> {
    /// There until it is dropped.
    stream: Option<I>,
    progress: Arc<Progress>,
    rest: Rest<I>,
    /// Whether the network does not take what we have.
    stuck: bool,
    has_read: bool,
    /// Whether the client has closed its side.
    ended: bool,
}

/// Where a stream is left when hyper, which owns it, is done with it; empty where the client has
/// closed already.
pub(super) struct Rest<I>(Arc<Mutex<Option<I>>>);

impl<I> Rest<I> {
    pub(super) fn take(&self) -> Option<I> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl<I> Paced<I> {
    pub(super) fn new(stream: I, progress: Arc<Progress>) -> (Self, Rest<I>) {
        let rest = Arc::new(Mutex::new(None));
        let other = Rest(Arc::clone(&rest));
        let rest = Rest(rest);
        let stream = Some(stream);
        (Self { stream, progress, rest, stuck: false, has_read: false, ended: false }, other)
    }

    fn note_read(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            self.ended = true;
            return;
        }
        let mut pace = self.progress.pace();
        if !self.has_read && bytes.starts_with(PREFACE) {
            pace.speaks_http_2();
        }
        self.has_read = true;
        pace.came(Instant::now);
    }

    /// Notes what became of an attempt to write so many bytes.
    fn note_write<T>(&mut self, outcome: &Poll<io::Result<T>>, bytes: impl Fn(&T) -> usize) {
        match outcome {
            Poll::Pending => {
                self.stuck = true;
                self.progress.pace().stuck(Instant::now());
            }
            Poll::Ready(Ok(count)) if self.stuck => {
                self.stuck = false;
                self.progress.pace().wrote(Instant::now(), bytes(count));
            }
            Poll::Ready(_) => {}
        }
    }
}

impl<I> Drop for Paced<I> {
    fn drop(&mut self) {
        if !self.ended {
            *self.rest.0.lock().unwrap_or_else(PoisonError::into_inner) = self.stream.take();
        }
    }
}

/// What an operation on a stream that was taken out of here would answer; there is none.
fn gone<T>() -> Poll<io::Result<T>> {
    Poll::Ready(Err(io::ErrorKind::NotConnected.into()))
}

impl<I: AsyncRead + Unpin> AsyncRead for Paced<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let had_room = buffer.remaining() > 0;
        let Some(stream) = self.stream.as_mut() else { return gone() };
        let outcome = Pin::new(stream).poll_read(cx, buffer);
        if had_room && matches!(outcome, Poll::Ready(Ok(()))) {
            self.note_read(&buffer.filled()[before..]);
        }
        outcome
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Paced<I> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let Some(stream) = self.stream.as_mut() else { return gone() };
        let outcome = Pin::new(stream).poll_write(cx, bytes);
        self.note_write(&outcome, |count| *count);
        outcome
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let Some(stream) = self.stream.as_mut() else { return gone() };
        let outcome = Pin::new(stream).poll_write_vectored(cx, slices);
        self.note_write(&outcome, |count| *count);
        outcome
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.as_ref().is_some_and(AsyncWrite::is_write_vectored)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(stream) = self.stream.as_mut() else { return gone() };
        let outcome = Pin::new(stream).poll_flush(cx);
        self.note_write(&outcome, |()| 0);
        outcome
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(stream) = self.stream.as_mut() else { return gone() };
        let outcome = Pin::new(stream).poll_shutdown(cx);
        self.note_write(&outcome, |()| 0);
        outcome
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    use super::*;
    use crate::http::pace::Overdue;
    use crate::http::patience::{First, first_of};
    use crate::server::Limits;

    const MINUTE: Duration = Duration::from_secs(60);

    /// Runs a talk between a server's stream and its client under a clock that jumps.
    fn talk(talk: impl AsyncFnOnce(Paced<DuplexStream>, DuplexStream, Arc<Progress>)) {
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let (ours, theirs) = duplex(1024);
            let progress = Progress::new(Limits::default(), None);
            let (paced, _) = Paced::new(ours, Arc::clone(&progress));
            talk(paced, theirs, progress).await;
        });
    }

    #[test]
    fn a_client_that_does_not_read_is_overdue_and_one_that_reads_is_not() {
        talk(async |mut paced, mut client, progress| {
            let begun = Instant::now();
            let (_turn, _) = progress.asked(http::Version::HTTP_11);
            match first_of(paced.write_all(&[0; 1025]), progress.overdue()).await {
                First::Other(overdue) => assert_eq!(overdue, Overdue::NotReading),
                First::One(_) => unreachable!("there is no room for it"),
            }
            assert_eq!(begun.elapsed(), MINUTE);
            client.read_exact(&mut [0; 1000]).await.unwrap();
            paced.write_all(&[0; 1000]).await.unwrap();
            assert_eq!(progress.pace().due(), None);
        });
    }

    #[test]
    fn what_is_read_of_a_kept_connection_begins_a_head_but_the_preface_does_not() {
        let check = |bytes: &'static [u8], expected: Overdue| {
            talk(async |mut paced, mut client, progress| {
                drop(progress.asked(http::Version::HTTP_11));
                client.write_all(bytes).await.unwrap();
                paced.read_exact(&mut [0; 6]).await.unwrap();
                assert_eq!(progress.overdue().await, expected);
            });
        };
        check(b"GET / ", Overdue::Head);
        check(PREFACE, Overdue::Idle);
    }

    #[test]
    fn a_stream_is_left_over_unless_its_client_has_closed() {
        let (ours, theirs) = duplex(16);
        let progress = Progress::new(Limits::default(), None);
        let (paced, rest) = Paced::new(ours, progress);
        drop(paced);
        assert!(rest.take().is_some() && rest.take().is_none());
        drop(theirs);
        talk(async |mut paced, client, _| {
            drop(client);
            assert_eq!(paced.read(&mut [0]).await.unwrap(), 0);
            let rest = Rest(Arc::clone(&paced.rest.0));
            drop(paced);
            assert!(rest.take().is_none());
        });
    }
}
