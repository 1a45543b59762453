//! The files of a directory over HTTP.
//!
//! [`Folder`] is what is served. A request is answered with a file from the [`Store`], where
//! tower-http finds it and reads it from the [`disk`]; what is not there is refused.

mod disk;
mod folder;
mod store;

use std::convert::Infallible;
use std::sync::Arc;

use http::{Request, Response};
use http_body_util::Either;

pub(crate) use folder::Folder;
use store::{NoBody, Store};

use crate::page::{Body, Refusal, only_reads};

/// Answers requests for files.
#[derive(Clone, Debug)]
pub(crate) struct Files(Arc<Site>);

/// What is served, and how.
#[derive(Debug)]
struct Site {
    folder: Folder,
    store: Store,
}

impl Files {
    /// Serves the files of a directory.
    pub(crate) fn of(folder: &Folder) -> Self {
        Self(Arc::new(Site { folder: folder.clone(), store: Store::of(folder) }))
    }

    /// Answers one request.
    pub(crate) async fn answer<B>(self, request: Request<B>) -> Result<Response<Body>, Infallible> {
        // The body is not wanted, and need not be waited for.
        let request = request.map(|_| NoBody::new());
        Ok(self.0.answer(&request).await)
    }
}

impl Site {
    async fn answer(&self, asked: &Request<NoBody>) -> Response<Body> {
        if !only_reads(asked.method()) {
            return Refusal::NotAllowed.answer(asked.headers());
        }
        match self.look_up(asked).await {
            Ok(found) => found,
            Err(refusal) => refusal.answer(asked.headers()),
        }
    }

    async fn look_up(&self, asked: &Request<NoBody>) -> Result<Response<Body>, Refusal> {
        let path = asked.uri().path();
        self.folder.place(path).ok_or(Refusal::NotFound)?;
        Ok(self.store.file(asked.clone()).await?.map(Either::Left))
    }
}
