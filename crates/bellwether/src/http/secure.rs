//! HTTP over TLS: the handshake, before anything is asked.

use std::time::Duration;

use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::patience::{patience, patiently};
use crate::error::{BoxError, Result};
use crate::handler::{Shift, Stream};
use crate::tls::Tls;

/// How long a client may take for its handshake, which counts to the time for its first request.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// The first byte of TLS: a record of a handshake (RFC 8446, 5.1).
const RECORD: u8 = 22;

/// How the handlers of one template speak TLS.
#[derive(Clone)]
pub(super) struct Secure(TlsAcceptor);

/// What a client has begun with.
pub(super) enum Opening {
    Secure(Box<TlsStream<Stream>>),
    /// No TLS: it takes us for a server of plain HTTP.
    Plain(Stream),
}

impl Secure {
    /// Reads the certificates; in the template, so that all its handlers share them.
    pub(super) fn load(tls: &Tls) -> Result<Self, BoxError> {
        Ok(Self(tls.load()?.into()))
    }

    /// Seeds the random numbers of this thread, before its handler is ready.
    ///
    /// AWS-LC does that anew in each process and takes some 30 ms for it (it measures jitter of
    /// the processor beside what the kernel gives); the first client would wait for that.
    pub(super) fn warm_up() -> Result<(), BoxError> {
        aws_lc_rs::rand::fill(&mut [0]).map_err(|_| "there are no random numbers".into())
    }

    /// Shakes hands with a client; `None` when it is gone, does not know how, or takes too long.
    ///
    /// A handler that leaves waits no longer for it than for the head of a request.
    pub(super) async fn open(&self, stream: Stream, shift: &mut Shift) -> Option<Opening> {
        patiently(self.shake_hands(stream), HANDSHAKE, patience(shift)).await?
    }

    async fn shake_hands(&self, stream: Stream) -> Option<Opening> {
        stream.readable().await.ok()?;
        if stream.first_byte().is_some_and(|byte| byte != RECORD) {
            return Some(Opening::Plain(stream));
        }
        match self.0.accept(stream).await {
            Ok(stream) => Some(Opening::Secure(Box::new(stream))),
            Err(error) => {
                tracing::debug!(%error, "a handshake failed");
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::UnixStream;

    use super::*;
    use crate::tls::tests::Folder;

    const HOUR: Duration = Duration::from_secs(3600);
    const MOMENT: Duration = Duration::from_millis(10);

    /// A client that says this and nothing more, and a server that waits so long for its handshake.
    async fn opening(
        said: &[u8],
        limit: Duration,
        leaving: impl Future<Output = Duration>,
    ) -> (Option<Opening>, UnixStream) {
        let folder = Folder::new();
        let secure = Secure::load(&folder.tls("shop.pem", "shop.key").unwrap()).unwrap();
        let (stream, mut client) = UnixStream::pair().unwrap();
        client.write_all(said).await.unwrap();
        let shaking = secure.shake_hands(Stream::Unix(stream));
        (patiently(shaking, limit, leaving).await.flatten(), client)
    }

    fn block_on(test: impl Future<Output = ()>) {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test);
    }

    async fn is_closed(mut client: UnixStream) -> bool {
        client.read(&mut [0; 64]).await.is_ok_and(|length| length == 0)
    }

    #[test]
    fn who_says_no_hello_or_half_of_it_is_gone_after_its_time() {
        block_on(async {
            for said in [&b""[..], &[RECORD], &[RECORD, 3, 1, 2, 0, 1]] {
                let (opening, client) = opening(said, MOMENT, pending()).await;
                assert!(opening.is_none() && is_closed(client).await, "{said:?}");
            }
        });
    }

    #[test]
    fn a_handler_that_leaves_waits_a_moment_only() {
        block_on(async {
            let (opening, client) = opening(&[RECORD], HOUR, ready(MOMENT)).await;
            assert!(opening.is_none() && is_closed(client).await);
        });
    }

    #[test]
    fn plain_http_is_told_from_a_broken_handshake() {
        block_on(async {
            let (plain, _client) = opening(b"GET / HTTP/1.1\r\n\r\n", HOUR, pending()).await;
            assert!(matches!(plain, Some(Opening::Plain(_))));
            let broken = [RECORD, 3, 1, 0, 4, 2, 0, 0, 0]; // the hello of a server
            let (opening, mut client) = opening(&broken, HOUR, pending()).await;
            let mut alert = Vec::new();
            client.read_to_end(&mut alert).await.unwrap();
            assert!(opening.is_none() && alert.first() == Some(&21), "{alert:?}");
        });
    }
}
