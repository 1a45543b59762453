//! What entrants are put to.

use std::fmt;

use crate::load::CLIENTS;
use crate::wrk::{Clients, Load};

/// The share of what the slowest can do that comes by the clock: nobody has too much to do.
pub(super) const SHARE: f64 = 0.6;

#[derive(Clone, Copy, Debug)]
pub(super) enum Trial {
    /// Clients who ask again as soon as they are answered
    Closed(Clients<'static>),
    /// Requests by the clock, as many a second as all stand
    Open,
}

/// A file that is asked for.
pub(super) struct File {
    pub(super) path: &'static str,
    pub(super) size: usize,
    /// Fewer clients for a large file, so that few are in the middle of it when the window ends.
    clients: usize,
}

pub(super) const FILES: [File; 3] = [
    File { path: "/files/1-KiB", size: 1 << 10, clients: CLIENTS },
    File { path: "/files/64-KiB", size: 64 << 10, clients: CLIENTS },
    File { path: "/files/10-MiB", size: 10 << 20, clients: 4 },
];

impl Trial {
    /// The small reply.
    pub(super) fn hello(load: Load) -> Self {
        Self::Closed(Clients { load, connections: CLIENTS, path: "/" })
    }

    pub(super) fn file(file: &File) -> Self {
        Self::Closed(Clients { load: Load::Kept, connections: file.clients, path: file.path })
    }

    /// What is asked for.
    pub(super) fn path(&self) -> &'static str {
        match self {
            Self::Closed(clients) => clients.path,
            Self::Open => "/",
        }
    }
}

/// What even the slowest can do.
pub(super) fn least(rates: &[f64]) -> f64 {
    rates.iter().copied().min_by(f64::total_cmp).unwrap_or_default()
}

impl fmt::Display for Trial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed(Clients { load, path: "/", .. }) => write!(f, "{load} connections"),
            Self::Closed(Clients { connections, path, .. }) => {
                let size = path.trim_start_matches("/files/").replace('-', " ");
                write!(f, "{size} on {connections} kept connections")
            }
            Self::Open => f.write_str("by the clock"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_of_all_rates_is_what_all_can_do() {
        assert_eq!(least(&[1000.0, 500.0, 700.0]), 500.0);
        assert_eq!(least(&[]), 0.0);
    }

    #[test]
    fn a_trial_says_what_it_is() {
        assert_eq!(Trial::hello(Load::Short).to_string(), "short connections");
        assert_eq!(Trial::file(&FILES[2]).to_string(), "10 MiB on 4 kept connections");
    }
}
