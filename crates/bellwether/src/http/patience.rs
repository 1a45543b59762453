//! How long a client is waited for, and the waiting.

use std::future::Future;
use std::task::Poll;
use std::time::Duration;

use tokio::time::timeout;

use crate::handler::Shift;

/// How long a handler that leaves, while others serve on, waits for one more request over a
/// connection that is kept alive, to say with its answer that it was the last.
///
/// Closed at once, the connection would cut a request that is under way.
const LAST_REQUEST: Duration = Duration::from_secs(5);

/// The same when the whole server stops.
const LAST_REQUEST_AT_STOP: Duration = Duration::from_millis(250);

/// Waits so long for what a client begins with, and once the handler leaves no longer than it says.
pub(super) async fn patiently<F: Future>(
    opening: F,
    limit: Duration,
    leaving: impl Future<Output = Duration>,
) -> Option<F::Output> {
    let mut opening = std::pin::pin!(timeout(limit, opening));
    match first_of(opening.as_mut(), leaving).await {
        First::One(begun) => begun.ok(),
        First::Other(moment) => timeout(moment, opening).await.ok()?.ok(),
    }
}

/// Waits until the shift is over, and tells how long a client may still take.
pub(super) async fn patience(shift: &mut Shift) -> Duration {
    shift.over().await;
    last_request(shift)
}

/// How long to wait for a last request once the shift is over.
pub(super) fn last_request(shift: &Shift) -> Duration {
    if shift.ends_with_the_server() { LAST_REQUEST_AT_STOP } else { LAST_REQUEST }
}

/// Which of two futures was first.
pub(super) enum First<A, B> {
    One(A),
    Other(B),
}

pub(super) async fn first_of<A: Future, B: Future>(
    one: A,
    other: B,
) -> First<A::Output, B::Output> {
    let (mut one, mut other) = (std::pin::pin!(one), std::pin::pin!(other));
    std::future::poll_fn(|cx| match one.as_mut().poll(cx) {
        Poll::Ready(output) => Poll::Ready(First::One(output)),
        Poll::Pending => other.as_mut().poll(cx).map(First::Other),
    })
    .await
}
