//! How files are served: the flags of `serve` that are no flags of `run`.

use clap::Args;

use super::settings::PoolSettings;
use super::written::{Switch, Written};

/// The keys of a pool about its files, as flags.
#[derive(Clone, Debug, Args)]
pub(crate) struct SiteFlags {
    /// Answers a folder without index.html with a list of what is in it.
    ///
    /// A page for browsers, JSON for who asks for application/json, else a name a line. Hidden
    /// files are left out, and of very many only the first are shown.
    #[arg(long, help_heading = FILES)]
    listing: bool,
}

const FILES: &str = "Files";

impl SiteFlags {
    /// The settings that a file with the same settings would give.
    pub(crate) fn added_to(&self, pool: PoolSettings) -> PoolSettings {
        let flags = self.clone();
        PoolSettings { listing: flags.listing.then_some(Written(Switch(true))), ..pool }
    }
}
