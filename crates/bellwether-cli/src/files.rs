//! The files of a directory over HTTP.

use std::convert::Infallible;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use bellwether::{Error, Result};
use http::header::{self, HeaderMap, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{Either, Empty};
use tower_http::services::ServeDir;
use tower_http::services::fs::{DefaultServeDirFallback, ServeFileSystemResponseBody};

use crate::disk::Disk;
use crate::page::{Body, Refusal, means_not_found, only_reads};

/// A directory that can be served.
#[derive(Clone, Debug)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// Looks whether there is a directory that this user may enter.
    ///
    /// Links on the way to it are not resolved: whoever replaces one puts other files online.
    pub(crate) fn at(path: &Path) -> Result<Self> {
        let wrong = |problem: String| Error::Configure {
            what: format!("directory {}", path.display()),
            problem: format!(
                "{problem}; give the path of a directory whose files are to be served"
            ),
        };
        let found = fs::metadata(path).map_err(|error| wrong(error.to_string()))?;
        if !found.is_dir() {
            return Err(wrong("it is not a directory".into()));
        }
        rustix::fs::access(path, rustix::fs::Access::EXEC_OK)
            .map_err(|errno| wrong(std::io::Error::from(errno).to_string()))?;
        std::path::absolute(path).map(Self).map_err(|error| wrong(error.to_string()))
    }

    /// Returns its absolute path.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

/// Answers requests for files.
#[derive(Clone, Debug)]
pub(crate) struct Files(ServeDir<DefaultServeDirFallback, Disk>);

impl Files {
    /// Serves the files of a directory.
    pub(crate) fn of(folder: &Folder) -> Self {
        let files = ServeDir::with_backend(folder.path(), Disk);
        Self(files.precompressed_br().precompressed_gzip().precompressed_zstd())
    }

    /// Answers one request.
    pub(crate) async fn answer<B>(self, request: Request<B>) -> Result<Response<Body>, Infallible> {
        // The body is not wanted, and need not be waited for.
        let mut request = request.map(|_| NoBody::new());
        let asked = request.headers().clone();
        if !only_reads(request.method()) {
            return Ok(Refusal::NotAllowed.answer(&asked));
        }
        // The redirection of `//host` to `//host/` would lead to another server.
        if request.uri().path().starts_with("//") {
            return Ok(Refusal::NotFound.answer(&asked));
        }
        self.heed_if_range(&mut request).await;
        Ok(match self.file(request).await {
            Ok(found) => found.map(Either::Left),
            Err(refusal) => refusal.answer(&asked),
        })
    }

    async fn file(&self, request: Request<NoBody>) -> Result<File, Refusal> {
        let path = request.uri().path().to_owned();
        match self.0.clone().try_call(request).await {
            Ok(found) if found.status() == StatusCode::NOT_FOUND => Err(Refusal::NotFound),
            Ok(found) => Ok(with_charset(found)),
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

type File = Response<ServeFileSystemResponseBody>;
type NoBody = Empty<bytes::Bytes>;

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

/// Lets one log line a second through.
fn once_a_second() -> bool {
    static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);
    static LAST: AtomicU64 = AtomicU64::new(u64::MAX);
    let second = BEGAN.elapsed().as_secs();
    LAST.swap(second, Ordering::Relaxed) != second
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_directory_can_be_served() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(Folder::at(place.path()).is_ok());
        for (wrong, hint) in
            [(place.path().join("none"), "No such file"), (file, "not a directory")]
        {
            let error = Folder::at(&wrong).unwrap_err();
            assert_eq!(error.exit_code(), 78);
            assert!(error.to_string().contains(hint), "{error}");
            assert!(error.to_string().contains(wrong.to_str().unwrap()), "{error}");
        }
    }
}
