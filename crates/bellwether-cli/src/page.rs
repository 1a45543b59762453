//! Small answers: pages for people in browsers, plain text for everybody else.

use std::io;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderValue};
use http::{Method, Response, StatusCode};
use http_body_util::{Either, Full};
use rustix::io::Errno;
use tower_http::services::fs::ServeFileSystemResponseBody;

/// What an answer carries: a file, or a few bytes made here.
pub(crate) type Body = Either<ServeFileSystemResponseBody, Full<Bytes>>;

/// Why there is no file or page to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// There is nothing at this path, or nothing that may be read.
    NotFound,
    /// Nothing here can be changed.
    NotAllowed,
    /// The file is there, and reading it failed.
    Broken,
}

impl Refusal {
    pub(crate) const fn status(self) -> StatusCode {
        match self {
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::NotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::Broken => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::NotFound => ("Not found", "There is nothing to read at this address."),
            Self::NotAllowed => ("Not allowed", "Here one can only read: GET and HEAD."),
            Self::Broken => ("Cannot be read", "The server could not read this. Its log says why."),
        }
    }

    /// Makes the answer, in the form that these request headers ask for.
    pub(crate) fn answer(self, asked: &HeaderMap) -> Response<Body> {
        let (title, sentence) = self.words();
        let mut answer = if wants_html(asked) {
            html(include_str!("page.html").replace("@title@", title).replace("@text@", sentence))
        } else {
            text(format!("{title}. {sentence}\n"))
        };
        *answer.status_mut() = self.status();
        answer.headers_mut().insert(header::VARY, HeaderValue::from_static("accept"));
        if self == Self::NotAllowed {
            answer.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
        }
        answer
    }
}

/// Tells whether a request only looks.
pub(crate) fn only_reads(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

/// Tells whether these request headers are those of a browser that opens a page.
pub(crate) fn wants_html(asked: &HeaderMap) -> bool {
    wants(asked, "text/html")
}

/// Tells whether these request headers name a media type.
pub(crate) fn wants(asked: &HeaderMap, kind: &str) -> bool {
    let accepted = asked.get_all(header::ACCEPT).into_iter();
    accepted.filter_map(|value| value.to_str().ok()).any(|value| value.contains(kind))
}

/// An answer that is a page of its own: it loads nothing from elsewhere.
pub(crate) fn html(page: impl Into<Bytes>) -> Response<Body> {
    const ALONE: &str = "default-src 'none'; style-src 'unsafe-inline'; \
                         script-src 'unsafe-inline'; connect-src 'self'; img-src data:";
    let mut answer = bytes(page, "text/html; charset=utf-8");
    let policy = HeaderValue::from_static(ALONE);
    answer.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    answer
}

/// An answer in plain text.
pub(crate) fn text(text: impl Into<Bytes>) -> Response<Body> {
    bytes(text, "text/plain; charset=utf-8")
}

/// An answer in JSON.
pub(crate) fn json(text: impl Into<Bytes>) -> Response<Body> {
    bytes(text, "application/json")
}

fn bytes(body: impl Into<Bytes>, kind: &'static str) -> Response<Body> {
    let mut answer = Response::new(Either::Right(Full::new(body.into())));
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    answer
}

/// Tells whether an error of the file system means that there is nothing to read.
pub(crate) fn means_not_found(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidFilename, InvalidInput, NotADirectory, NotFound, PermissionDenied};
    let kinds = [NotFound, PermissionDenied, NotADirectory, InvalidFilename, InvalidInput];
    // ErrorKind has no stable name for a loop of symbolic links, nor for the file of a socket.
    let nameless = [Errno::LOOP, Errno::NXIO].map(|errno| Some(errno.raw_os_error()));
    kinds.contains(&error.kind()) || nameless.contains(&error.raw_os_error())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(accept: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static(accept))])
    }

    #[test]
    fn browsers_get_pages_and_others_text() {
        let check = |accept: &'static str, kind: &str| {
            let answer = Refusal::NotFound.answer(&asked(accept));
            let given = answer.headers()[header::CONTENT_TYPE].to_str().unwrap();
            assert!(given.starts_with(kind), "{accept}: {given}");
        };
        check("text/html,application/xhtml+xml;q=0.9,*/*;q=0.8", "text/html");
        check("*/*", "text/plain");
        check("application/json", "text/plain");
        check("", "text/plain");
    }

    #[test]
    fn a_refused_method_is_told_which_are_not() {
        let answer = Refusal::NotAllowed.answer(&HeaderMap::new());
        assert_eq!(answer.status(), 405);
        assert_eq!(answer.headers()[header::ALLOW], "GET, HEAD");
    }

    #[test]
    fn what_cannot_be_reached_is_not_found() {
        let check = |errno: i32, expected: bool| {
            let error = io::Error::from_raw_os_error(errno);
            assert_eq!(means_not_found(&error), expected, "{error}");
        };
        for errno in [Errno::NOENT, Errno::ACCESS, Errno::NOTDIR, Errno::NAMETOOLONG, Errno::LOOP] {
            check(errno.raw_os_error(), true);
        }
        check(Errno::NXIO.raw_os_error(), true);
        check(Errno::MFILE.raw_os_error(), false);
        check(Errno::IO.raw_os_error(), false);
    }
}
