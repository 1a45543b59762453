//! The files of a directory over HTTP.
//!
//! [`Folder`] is what is served. A request is answered with a file from the [`Store`], where
//! tower-http finds it and reads it from the [`disk`], or with the [`listing`] of a folder; what is
//! not there is refused. [`Manner`] is how the operator wants it.

mod disk;
mod folder;
mod listing;
mod manner;
mod store;

use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;

use http::{Request, Response};
use http_body_util::Either;

pub(crate) use folder::Folder;
use listing::Listing;
pub(crate) use manner::Manner;
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
    manner: Manner,
}

impl Files {
    /// Serves the files of a directory.
    pub(crate) fn of(folder: &Folder, manner: &Manner) -> Self {
        let (folder, manner) = (folder.clone(), manner.clone());
        Self(Arc::new(Site { store: Store::of(&folder), folder, manner }))
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
        let place = self.folder.place(asked.uri().path()).ok_or(Refusal::NotFound)?;
        match self.store.file(asked.clone()).await {
            Ok(file) => Ok(file.map(Either::Left)),
            Err(Refusal::NotFound) => self.list(asked, &place).await.ok_or(Refusal::NotFound),
            Err(other) => Err(other),
        }
    }

    /// The answer to a request for a folder that has no index, where it may be listed.
    async fn list(&self, asked: &Request<NoBody>, place: &Path) -> Option<Response<Body>> {
        let path = asked.uri().path();
        // A folder without its slash has been sent there already.
        if !self.manner.listing || !path.ends_with('/') || listing::is_hidden(asked.uri()) {
            return None;
        }
        let listing = Listing::of(place, path).await.ok()?;
        Some(listing.answer(asked.headers()))
    }
}
