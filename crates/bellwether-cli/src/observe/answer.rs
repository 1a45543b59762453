//! What is answered to whom.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST};
use http::header::{REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;

use super::desk::Desk;
use super::health::{self, Verdict};
use super::host::Hosts;
use super::live::{Feed, Live, Thread};
use super::metrics::{self, Format};

const PAGE: &str = include_str!("page/page.html");
const STYLE: &str = include_str!("page/page.css");
const SCRIPT: &str = include_str!("page/page.js");

const TEXT: &str = "text/plain; charset=utf-8";

/// Nothing but our own files, and nothing in a frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Knows what to say.
pub(super) struct Clerk {
    pub(super) desk: Arc<Desk>,
    pub(super) live: Arc<Live>,
    pub(super) hosts: Hosts,
}

impl Clerk {
    /// Answers a request; who watches is held by a thread.
    pub(super) async fn answer<B>(&self, request: &Request<B>, thread: &Thread) -> Response<Reply> {
        let host = request.headers().get(HOST).and_then(|host| host.to_str().ok());
        let mut response = if !self.hosts.allow(host) {
            let words =
                "not a name of this observer; allow it by `bellwether observe --host NAME`\n";
            whole(StatusCode::MISDIRECTED_REQUEST, TEXT, words)
        } else if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let words = "nothing can be changed here: GET and HEAD alone\n";
            let mut response = whole(StatusCode::METHOD_NOT_ALLOWED, TEXT, words);
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            response
        } else {
            self.page(request, thread).await
        };
        let headers = response.headers_mut();
        for (name, value) in [
            (CACHE_CONTROL, "no-store"),
            (CONTENT_SECURITY_POLICY, POLICY),
            (REFERRER_POLICY, "no-referrer"),
            (X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (X_FRAME_OPTIONS, "DENY"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        response
    }

    async fn page<B>(&self, request: &Request<B>, thread: &Thread) -> Response<Reply> {
        match request.uri().path() {
            "/" => whole(StatusCode::OK, "text/html; charset=utf-8", PAGE),
            "/page.css" => whole(StatusCode::OK, "text/css; charset=utf-8", STYLE),
            "/page.js" => whole(StatusCode::OK, "text/javascript; charset=utf-8", SCRIPT),
            "/metrics" => {
                let accepted = request.headers().get(ACCEPT).and_then(|it| it.to_str().ok());
                let format = Format::wanted(accepted.unwrap_or_default());
                let told = self.desk.ask().await;
                whole(StatusCode::OK, format.name(), metrics::text(told.as_ref().as_ref(), format))
            }
            "/live" => verdict(health::alive(&*self.desk.ask().await)),
            "/ready" => {
                let lenient = request.uri().query() == Some("announcing=ready");
                verdict(health::ready(&*self.desk.ask().await, lenient))
            }
            "/status.json" => self.status().await,
            "/events" if request.method() == Method::HEAD => events(Reply::Whole(Full::default())),
            "/events" => match self.live.watch(thread) {
                Some(feed) => events(Reply::Live(feed)),
                None => whole(StatusCode::SERVICE_UNAVAILABLE, TEXT, "too many watch already\n"),
            },
            _ => {
                let words = "there are /, /metrics, /live, /ready, /status.json and /events\n";
                whole(StatusCode::NOT_FOUND, TEXT, words)
            }
        }
    }

    async fn status(&self) -> Response<Reply> {
        const JSON: &str = "application/json";
        match &*self.desk.ask().await {
            Ok(status) => match serde_json::to_string(status) {
                Ok(json) => whole(StatusCode::OK, JSON, json + "\n"),
                Err(error) => whole(StatusCode::INTERNAL_SERVER_ERROR, TEXT, format!("{error}\n")),
            },
            Err(why) => {
                let json = serde_json::json!({ "result": "error", "reason": why });
                whole(StatusCode::SERVICE_UNAVAILABLE, JSON, format!("{json}\n"))
            }
        }
    }
}

fn verdict(Verdict { is_well, words }: Verdict) -> Response<Reply> {
    let status = if is_well { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    whole(status, TEXT, words + "\n")
}

fn whole(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Response<Reply> {
    reply(status, kind, Reply::Whole(Full::new(body.into())))
}

fn events(feed: Reply) -> Response<Reply> {
    reply(StatusCode::OK, "text/event-stream", feed)
}

fn reply(status: StatusCode, kind: &'static str, body: Reply) -> Response<Reply> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// The body of an answer.
pub(super) enum Reply {
    Whole(Full<Bytes>),
    Live(Feed),
}

impl Body for Reply {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match self.get_mut() {
            Self::Whole(body) => Pin::new(body).poll_frame(cx),
            Self::Live(feed) => Pin::new(feed).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(body) if body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(body) => body.size_hint(),
            Self::Live(_) => SizeHint::default(),
        }
    }
}
