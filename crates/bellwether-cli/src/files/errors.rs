//! The operator's own pages about what went wrong.

use http::header::{self, HeaderValue};
use http::{HeaderMap, Request, Response, Uri};
use http_body_util::Either;

use super::store::{NoBody, Store};
use crate::page::{Body, Refusal, wants_html};

impl Refusal {
    /// Where in the folder the operator's page about it may be, the best first.
    const fn pages(self) -> &'static [&'static str] {
        match self {
            Self::NotFound => &["/404.html"],
            Self::NotAllowed => &[],
            Self::Broken => &["/500.html", "/50x.html"],
        }
    }
}

/// Answers with the operator's page about a refusal, if there is one, else with ours.
pub(super) async fn answer(
    refusal: Refusal,
    asked: &Request<NoBody>,
    store: &Store,
) -> Response<Body> {
    if wants_html(asked.headers()) {
        for page in refusal.pages() {
            if let Some(mut answer) = own(page, asked, store).await {
                *answer.status_mut() = refusal.status();
                return answer;
            }
        }
    }
    refusal.answer(asked.headers())
}

async fn own(page: &'static str, asked: &Request<NoBody>, store: &Store) -> Option<Response<Body>> {
    let mut request = Request::new(NoBody::new());
    *request.method_mut() = asked.method().clone();
    *request.uri_mut() = Uri::from_static(page);
    // No conditions and no range: those are about what was not found.
    let encodings = asked.headers().get(header::ACCEPT_ENCODING);
    request.headers_mut().extend(encodings.map(|it| (header::ACCEPT_ENCODING, it.clone())));
    let mut answer = store.file(request).await.ok().filter(|it| it.status().is_success())?;
    make_nobody_keep(answer.headers_mut());
    Some(answer.map(Either::Left))
}

/// What belongs to the page is not said of the path at which it is shown.
fn make_nobody_keep(headers: &mut HeaderMap) {
    for name in [header::ETAG, header::LAST_MODIFIED, header::ACCEPT_RANGES] {
        headers.remove(name);
    }
    headers.append(header::VARY, HeaderValue::from_static("accept"));
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use http_body_util::BodyExt;

    use super::super::folder::Folder;
    use super::*;

    /// The status and the text with which a browser is answered.
    fn shown(refusal: Refusal, store: &Store) -> (StatusCode, String) {
        let asked = Request::get("/x").header(header::ACCEPT, "text/html").body(NoBody::new());
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let answer = answer(refusal, &asked.unwrap(), store).await;
            let (head, body) = answer.into_parts();
            let bytes = body.collect().await.unwrap().to_bytes();
            (head.status, String::from_utf8_lossy(&bytes).into_owned())
        })
    }

    #[test]
    fn every_refusal_has_the_best_page_that_is_there() {
        let place = tempfile::tempdir().unwrap();
        let store = Store::of(&Folder::at(place.path()).unwrap());
        let check = |refusal, status: u16, words: &str| {
            let (given, text) = shown(refusal, &store);
            assert_eq!(given, status);
            assert!(text.contains(words), "{words} is not in {text}");
        };
        check(Refusal::Broken, 500, "<h1>Cannot be read</h1>");
        for page in ["50x.html", "500.html", "404.html"] {
            std::fs::write(place.path().join(page), page).unwrap();
            check(Refusal::Broken, 500, if page == "50x.html" { page } else { "500.html" });
        }
        check(Refusal::NotFound, 404, "404.html");
        check(Refusal::NotAllowed, 405, "<h1>Not allowed</h1>");
    }
}
