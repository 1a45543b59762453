//! How the files of a directory are served.

use crate::config::settings::PoolSettings;

/// What was chosen about it.
#[derive(Clone, Debug)]
pub(crate) struct Manner {
    /// Whether a folder without an index is answered with a list.
    pub(super) listing: bool,
}

impl Manner {
    /// The manner that these settings ask for.
    pub(crate) fn of(pool: &PoolSettings) -> Self {
        Self { listing: pool.listing.is_some_and(|it| it.0.0) }
    }
}
