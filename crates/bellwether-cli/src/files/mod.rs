//! The files of a directory over HTTP.
//!
//! [`Folder`] is what is served. A request is answered with a file from the [`Store`], where
//! tower-http finds it and reads it from the [`disk`]; else with the [`listing`] of a folder, or the
//! page of an [`app`]. What is not there is refused, with a page of the operator if there is one
//! ([`errors`]). [`cache`] says for how long it holds, [`compress`] makes it smaller on its way.
//! [`Manner`] is how the operator wants all that.

mod app;
mod cache;
mod compress;
mod disk;
mod errors;
mod folder;
mod listing;
mod manner;
mod store;

use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;

use http::header::{self, HeaderValue};
use http::{Request, Response};
use http_body_util::Either;

pub(crate) use cache::CacheRule;
use compress::{Packed, Packing};
pub(crate) use folder::Folder;
use folder::is_hidden;
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
    packing: Packing,
}

impl Files {
    /// Serves the files of a directory.
    pub(crate) fn of(folder: &Folder, manner: &Manner) -> Self {
        let (folder, manner) = (folder.clone(), manner.clone());
        let (store, packing) = (Store::of(&folder), Packing::new(manner.compress));
        Self(Arc::new(Site { folder, store, manner, packing }))
    }

    /// Answers one request.
    pub(crate) async fn answer<B>(
        self,
        request: Request<B>,
    ) -> Result<Response<Packed<Body>>, Infallible> {
        // The body is not wanted, and need not be waited for.
        let request = request.map(|_| NoBody::new());
        let answer = self.0.answer(&request).await;
        Ok(self.0.packing.pack(&request, answer))
    }
}

impl Site {
    async fn answer(&self, asked: &Request<NoBody>) -> Response<Body> {
        if !only_reads(asked.method()) {
            return Refusal::NotAllowed.answer(asked.headers());
        }
        match self.look_up(asked).await {
            Ok(found) => found,
            Err(refusal) => {
                let mut answer = errors::answer(refusal, asked, &self.store).await;
                cache::tell_of_none(&mut answer);
                answer
            }
        }
    }

    async fn look_up(&self, asked: &Request<NoBody>) -> Result<Response<Body>, Refusal> {
        let path = asked.uri().path();
        let place = self.folder.place(path).ok_or(Refusal::NotFound)?;
        if is_hidden(path) && !self.manner.hidden {
            return Err(Refusal::NotFound);
        }
        match self.file(asked.clone()).await {
            Ok(file) => return Ok(file),
            Err(Refusal::NotFound) => {}
            Err(other) => return Err(other),
        }
        match self.list(asked, &place).await {
            Some(list) => Ok(list),
            None => self.page_of_the_app(asked).await,
        }
    }

    async fn file(&self, asked: Request<NoBody>) -> Result<Response<Body>, Refusal> {
        let path = asked.uri().path().to_owned();
        let mut file = self.store.file(asked).await?;
        self.manner.cache.tell(&path, &mut file);
        Ok(file.map(Either::Left))
    }

    /// The answer to a request for a folder that has no index, where it may be listed.
    async fn list(&self, asked: &Request<NoBody>, place: &Path) -> Option<Response<Body>> {
        let path = asked.uri().path();
        // A folder without its slash has been sent there already.
        if !self.manner.listing || !path.ends_with('/') || is_hidden(path) {
            return None;
        }
        let mut list = Listing::of(place, path).await.ok()?.answer(asked.headers());
        cache::tell_of_none(&mut list);
        Some(list)
    }

    /// The answer to a request for a path that is the application's business, if there is one.
    async fn page_of_the_app(&self, asked: &Request<NoBody>) -> Result<Response<Body>, Refusal> {
        let app = self.manner.app.as_ref().filter(|_| app::may_be_a_page(asked));
        let app = app.ok_or(Refusal::NotFound)?;
        let mut page = self.file(app::instead(asked, app)).await?;
        page.headers_mut().append(header::VARY, HeaderValue::from_static("accept"));
        Ok(page)
    }
}
