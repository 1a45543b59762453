//! Files as tower-http finds them, and what it does not know of HTTP.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use http::header::{self, HeaderMap, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Empty;
use tower_http::services::ServeDir;
use tower_http::services::fs::{DefaultServeDirFallback, ServeFileSystemResponseBody};

use super::disk::Disk;
use super::folder::Folder;
use crate::page::{Refusal, means_not_found};

/// A file on its way, or what is said in its place: not modified, no such range, with a slash.
pub(super) type File = Response<ServeFileSystemResponseBody>;

/// The body of a request that only reads.
pub(super) type NoBody = Empty<bytes::Bytes>;

/// The files of a folder.
#[derive(Debug)]
pub(super) struct Store(ServeDir<DefaultServeDirFallback, Disk>);

impl Store {
    pub(super) fn of(folder: &Folder) -> Self {
        let files = ServeDir::with_backend(folder.path(), Disk);
        Self(files.precompressed_br().precompressed_gzip().precompressed_zstd())
    }

    /// Finds the file that is asked for, by its own path or as the index of a folder.
    pub(super) async fn file(&self, mut asked: Request<NoBody>) -> Result<File, Refusal> {
        self.heed_if_range(&mut asked).await;
        let path = asked.uri().path().to_owned();
        match self.0.clone().try_call(asked).await {
            Ok(found) if found.status() == StatusCode::NOT_FOUND => Err(Refusal::NotFound),
            Ok(found) => Ok(with_vary(with_charset(found))),
            Err(error) if means_not_found(&error) => Err(Refusal::NotFound),
            Err(error) => {
                if once_a_second() {
                    tracing::error!(path, %error, "cannot read a file");
                }
                Err(Refusal::Broken)
            }
        }
    }

    /// Forgets the range that was asked for, if it is one of another version of the file.
    ///
    /// tower-http does not know `If-Range` (RFC 9110, 13.1.5); without it a download that is
    /// resumed after the file has changed would be put together from two versions.
    async fn heed_if_range(&self, request: &mut Request<NoBody>) {
        let Some(version) = request.headers_mut().remove(header::IF_RANGE) else { return };
        let mut look = Request::new(NoBody::new());
        *look.method_mut() = Method::HEAD;
        *look.uri_mut() = request.uri().clone();
        if let Some(encodings) = request.headers().get(header::ACCEPT_ENCODING) {
            look.headers_mut().insert(header::ACCEPT_ENCODING, encodings.clone());
        }
        let now = self.0.clone().try_call(look).await;
        if !now.is_ok_and(|now| is_of(&version, now.headers())) {
            request.headers_mut().remove(header::RANGE);
        }
    }
}

/// Tells whether a validator is one of these of a file.
fn is_of(version: &HeaderValue, file: &HeaderMap) -> bool {
    [header::ETAG, header::LAST_MODIFIED].iter().any(|name| file.get(name) == Some(version))
}

/// Says of text that it is UTF-8: browsers would guess something else.
fn with_charset(mut file: File) -> File {
    let kind = file.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let plain = kind.filter(|kind| kind.starts_with("text/") && !kind.contains("charset"));
    let full = plain.and_then(|kind| HeaderValue::try_from(format!("{kind}; charset=utf-8")).ok());
    if let Some(full) = full {
        file.headers_mut().insert(header::CONTENT_TYPE, full);
    }
    file
}

/// Says of what has not changed, too, by what the answer was chosen (RFC 9110, 15.4.5).
fn with_vary(mut file: File) -> File {
    if file.status() == StatusCode::NOT_MODIFIED {
        file.headers_mut().insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    }
    file
}

/// Lets one log line a second through.
fn once_a_second() -> bool {
    static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);
    static LAST: AtomicU64 = AtomicU64::new(u64::MAX);
    let second = BEGAN.elapsed().as_secs();
    LAST.swap(second, Ordering::Relaxed) != second
}
