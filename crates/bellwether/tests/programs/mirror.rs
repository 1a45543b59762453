//! A service that answers with what it saw, for tests of requests that are written by hand.

use std::future::poll_fn;
use std::io::Write;
use std::pin::Pin;

use bellwether::http::Incoming;
use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::Body;

/// Answers with one line, in the body and (for HEAD) in the header `saw`: method, target, host, the header `x` where there is
/// one, and the body.
pub(crate) async fn answer(request: Request<Incoming>) -> Response<String> {
    let (parts, body) = request.into_parts();
    let mut saw = format!("{} {} @{}", parts.method, parts.uri, all(&parts.headers, "host"));
    if parts.headers.contains_key("x") {
        saw += &format!(" x={}", all(&parts.headers, "x"));
    }
    saw += &text_of(body).await;
    // For who wants to know what was seen behind a front.
    let _ = writeln!(std::io::stdout(), "{saw}");
    let response = Response::builder().header("saw", &saw).body(saw.clone());
    response.unwrap_or_else(|_| Response::new(saw))
}

/// All values of a header, with `+` between them.
fn all(headers: &HeaderMap, name: &str) -> String {
    let values = headers.get_all(name).iter().map(|value| value.as_bytes().escape_ascii());
    values.map(|value| value.to_string()).collect::<Vec<_>>().join("+")
}

/// The body in quotes, then its trailers; nothing for an empty one, and `!` at the end of a broken one.
async fn text_of(mut body: Incoming) -> String {
    let (mut bytes, mut trailers) = (Vec::new(), String::new());
    let broken = loop {
        match poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
            None => break "",
            Some(Err(_)) => break "!",
            Some(Ok(frame)) => match frame.into_trailers() {
                Ok(fields) => trailers = format!(" t={}", all(&fields, "t")),
                Err(frame) => bytes.extend(frame.into_data().unwrap_or_else(|_| Bytes::new())),
            },
        }
    };
    let shown = match bytes.len() {
        0 => String::new(),
        1..=40 => format!(" \"{}\"", bytes.escape_ascii()),
        length => format!(" {length} bytes"),
    };
    format!("{shown}{trailers}{broken}")
}
