//! An axum service in a pool of processes, with a WebSocket and server-sent events.
//!
//! Try: `curl http://127.0.0.1:7779/`, `curl -N http://127.0.0.1:7779/events`, and
//! `bellwether reload` meanwhile.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::http::StatusCode;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use axum::{Extension, Router};
use bellwether::http::{Peer, Waited};
use bellwether::{Deadline, Server, Shift, http};
use futures_util::{Stream, StreamExt, stream};
use tower_http::timeout::TimeoutLayer;

fn main() -> Result<(), bellwether::Error> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:7779".into());
    // An address alone would do in place of these settings.
    let server =
        Server::builder().listen(address).handlers(2).soft_deadline(Duration::from_secs(10));
    http::serve(server, |shift| async { Ok(app(shift)) })?;
    Ok(())
}

fn app(shift: Shift) -> Router {
    // A second for this route, where others have ten.
    let second =
        TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, Duration::from_secs(1));
    Router::new()
        .route("/", get(hello))
        .route("/stuck", get(stuck).layer(second))
        .route("/echo", any(echo))
        .route("/events", get(events))
        .with_state(shift)
}

/// What is known of a request beside itself is in its extensions.
async fn hello(
    State(shift): State<Shift>,
    Extension(deadline): Extension<Deadline>,
    peer: Option<Extension<Peer>>,     // not over a Unix socket
    waited: Option<Extension<Waited>>, // of the first request of a connection
) -> String {
    let slot = shift.seat().slot();
    let peer = peer.map_or_else(|| "somebody on this machine".into(), |it| it.0.0.to_string());
    let waited = waited.map_or(0, |it| it.0.0.as_millis());
    let left = deadline.left().as_secs_f64();
    format!("hello {peer} from slot {slot}: you waited {waited} ms, and {left:.1} s are left\n")
}

async fn stuck() -> &'static str {
    std::future::pending().await
}

async fn echo(upgrade: WebSocketUpgrade, State(shift): State<Shift>) -> Response {
    upgrade.on_upgrade(|socket| answer_all(socket, shift)).into_response()
}

/// Answers until the client goes or the handler has to: the next one is there to reconnect to.
async fn answer_all(mut socket: WebSocket, mut shift: Shift) {
    loop {
        let message = tokio::select! {
            message = socket.recv() => message,
            () = shift.over() => return say_goodbye(socket).await,
        };
        let sent = match message {
            Some(Ok(said @ (Message::Text(_) | Message::Binary(_)))) => socket.send(said).await,
            Some(Ok(_)) => Ok(()), // pings are answered by axum
            Some(Err(_)) | None => return,
        };
        if sent.is_err() {
            return;
        }
    }
}

async fn say_goodbye(mut socket: WebSocket) {
    let frame = CloseFrame { code: close_code::AWAY, reason: "please connect again".into() };
    if socket.send(Message::Close(Some(frame))).await.is_ok() {
        // What is under way is not answered any more; the client's goodbye ends it.
        while let Some(Ok(_)) = socket.recv().await {}
    }
}

/// Counts until the client goes or the handler has to: browsers ask again by themselves.
async fn events(
    State(mut shift): State<Shift>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let ticks = stream::unfold(0_u64, |number| async move {
        tokio::time::sleep(Duration::from_millis(100)).await;
        Some((Ok(Event::default().data(number.to_string())), number + 1))
    });
    let until = async move { shift.over().await };
    Sse::new(ticks.take_until(until)).keep_alive(KeepAlive::default())
}
