//! The page of a server that has nothing else to show: who answers, and how they race for it.

use std::convert::Infallible;
use std::sync::Arc;

use bellwether::{Result, Seat};
use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::{Request, Response, Version};
use serde_json::json;

use crate::banner::{Crew, meaning};
use crate::page::{self, Body, Refusal, only_reads, wants_html};

/// What one thread of one handler answers; made once, when its shift begins.
#[derive(Clone, Debug)]
pub(crate) struct Welcome(Arc<Answers>);

#[derive(Debug)]
struct Answers {
    html: Bytes,
    text: Bytes,
    json: Bytes,
}

impl Welcome {
    /// Prepares the answers of the thread that sits here.
    pub(crate) fn by(seat: &Seat, name: &str, crew: &Crew) -> Self {
        let facts = [
            ("@version@", env!("CARGO_PKG_VERSION").into()),
            ("@name@", name.to_owned()),
            ("@slot@", seat.slot().to_string()),
            ("@pid@", std::process::id().to_string()),
            ("@generation@", seat.generation().to_string()),
            ("@thread@", seat.thread().to_string()),
            ("@handlers@", crew.bounds.0.max(1).to_string()),
            ("@crew@", crew.to_string()),
            ("@mode@", crew.notification.to_string()),
            ("@meaning@", meaning(crew.notification)),
        ];
        let fill = |template: &str| {
            let filled = facts
                .iter()
                .fold(template.to_owned(), |text, (key, value)| text.replace(key, value));
            Bytes::from(filled)
        };
        let json = json!({
            "name": name,
            "slot": seat.slot(),
            "pid": std::process::id(),
            "generation": seat.generation(),
            "thread": seat.thread(),
        });
        Self(Arc::new(Answers {
            html: fill(include_str!("welcome.html")),
            text: fill(include_str!("welcome.txt")),
            json: format!("{json}\n").into(),
        }))
    }

    /// Answers one request.
    pub(crate) async fn answer<B>(self, request: Request<B>) -> Result<Response<Body>, Infallible> {
        let asked = request.headers();
        if !only_reads(request.method()) {
            return Ok(Refusal::NotAllowed.answer(asked));
        }
        let mut answer = match request.uri().path() {
            "/" if wants_html(asked) => page::html(self.0.html.clone()),
            "/" => page::text(self.0.text.clone()),
            "/whoami" => page::json(self.0.json.clone()),
            _ => return Ok(Refusal::NotFound.answer(asked)),
        };
        let headers = answer.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(header::VARY, HeaderValue::from_static("accept"));
        // Every question is a race of its own. HTTP/2 has no such header.
        if request.version() <= Version::HTTP_11 {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        Ok(answer)
    }
}
