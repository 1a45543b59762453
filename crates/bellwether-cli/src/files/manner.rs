//! How the files of a directory are served.

use http::Uri;

use super::cache::Cache;
use super::folder::Folder;
use crate::config::settings::PoolSettings;

/// What was chosen about it.
#[derive(Clone, Debug)]
pub(crate) struct Manner {
    /// Whether a folder without an index is answered with a list.
    pub(super) listing: bool,
    /// Whether what is hidden is served.
    pub(super) hidden: bool,
    /// With which file paths that lead nowhere are answered: the page of an application.
    pub(super) app: Option<Uri>,
    /// For how long files may be kept.
    pub(super) cache: Cache,
    /// Whether text is made smaller on its way.
    pub(super) compress: bool,
}

impl Manner {
    /// The manner that these settings ask for.
    pub(crate) fn of(pool: &PoolSettings) -> Self {
        Self {
            listing: pool.listing.is_some_and(|it| it.0.0),
            hidden: pool.hidden.is_some_and(|it| it.0.0),
            app: pool.spa.as_ref().map(|it| it.0.uri()),
            cache: Cache::of(pool.cache.iter().map(|it| it.0.clone())),
            compress: pool.compress.is_none_or(|it| it.0.0),
        }
    }

    /// Tells the operator what is not there now, though it may come.
    pub(crate) fn warn_of(&self, folder: &Folder) {
        let place = self.app.as_ref().and_then(|app| folder.place(app.path()));
        if let Some(missing) = place.filter(|it| !it.is_file()) {
            let missing = missing.display();
            tracing::warn!("spa: there is no file {missing}: what it would answer is not found");
        }
    }
}
