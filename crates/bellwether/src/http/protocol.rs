//! HTTP/1.1 and HTTP/2 as hyper speaks them, with every bound that it has said aloud.

use std::time::Duration;

use hyper_util::rt::{TokioExecutor, TokioTimer};
use hyper_util::server::conn::auto;

use crate::server::Limits;

/// How many bytes hyper stores of what it reads and writes over a connection of HTTP/1, at least:
/// a head must fit, and pieces of bodies should not be small.
const BUFFER: usize = 64 << 10;

/// How often an HTTP/2 client that says nothing is asked whether it is there, and for how long its
/// answer is waited for.
const PING_INTERVAL: Duration = Duration::from_secs(30);
const PONG: Duration = Duration::from_secs(20);

/// How many requests a client of HTTP/2 may have under way; RFC 9113, 6.5.2 asks for no fewer.
const STREAMS: u32 = 100;

/// How much of the bodies of one request, and of all of a connection, is stored that no service has
/// read yet.
const WINDOW: u32 = 256 << 10;
const WINDOW_OF_ALL: u32 = 512 << 10;

/// How much of the answer to one request is stored beyond what the client has asked for.
const SEND_BUFFER: usize = 64 << 10;

/// How many requests may be taken back between two looks (rapid reset, CVE-2023-44487), and how
/// many we may have to refuse for what the client does wrong (made you reset, CVE-2025-8671), before
/// the connection is closed with ENHANCE_YOUR_CALM.
const TAKEN_BACK: usize = 20;
const WRONG: usize = 100;

/// How a handler speaks with its clients.
///
/// Times are kept by [`Progress`](super::progress::Progress), for both versions. h2 itself allows
/// five CONTINUATION frames a head and answers PING and SETTINGS only as fast as they are read.
pub(super) fn protocol(limits: &Limits) -> auto::Builder<TokioExecutor> {
    let mut protocol = auto::Builder::new(TokioExecutor::new());
    protocol.http1().timer(TokioTimer::new()).header_read_timeout(None).max_buf_size(room(limits));
    protocol
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PONG)
        .max_concurrent_streams(STREAMS)
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW_OF_ALL)
        .max_send_buf_size(SEND_BUFFER)
        .max_pending_accept_reset_streams(TAKEN_BACK)
        .max_local_error_reset_streams(WRONG)
        .max_header_list_size(u32::try_from(room(limits)).unwrap_or(u32::MAX));
    protocol
}

/// How long a head may be so that we can say why it is refused; to a longer one hyper does.
fn room(limits: &Limits) -> usize {
    limits.head_bytes.saturating_mul(2).max(BUFFER)
}
