//! Who takes part.

use std::fmt;
use std::net::SocketAddrV4;
use std::path::Path;

use anyhow::{Context as _, Result};

use super::rivals::Rival;
use super::serving::Library;
use crate::executable;
use crate::our_server::NAME;

/// A server as its users would start it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entrant {
    /// A library in this executable, with so many workers
    Library(Library, usize),
    Rival(Rival),
    /// `bellwether serve` of the site's folder
    Serve,
}

/// Everybody's workers, unless a table says otherwise.
pub(super) const WORKERS: usize = 2;

impl Entrant {
    /// Those who give the small reply; ours is the first.
    pub(super) const ALL: [Self; 8] = [
        Self::Library(Library::Bellwether, WORKERS),
        Self::Library(Library::BellwetherAxum, WORKERS),
        Self::Rival(Rival::Nginx),
        Self::Rival(Rival::Haproxy),
        Self::Rival(Rival::Lighttpd),
        Self::Rival(Rival::H2o),
        Self::Library(Library::Hyper, WORKERS),
        Self::Library(Library::Axum, WORKERS),
    ];

    /// Many who wait for one listener.
    pub(super) const MANY: [Self; 2] =
        [Self::Library(Library::Bellwether, 32), Self::Library(Library::HyperProcesses, 32)];

    /// Those who send files.
    pub(super) const FILES: [Self; 2] = [Self::Serve, Self::Rival(Rival::Nginx)];

    /// Why it cannot take part, if it cannot.
    pub(super) fn missing(self) -> Option<String> {
        match self {
            Self::Library(..) => None,
            Self::Rival(rival) => rival.missing(),
            Self::Serve => executable::bellwether().err().map(|error| error.to_string()),
        }
    }

    /// Writes what it needs into the folder, and returns its command.
    pub(super) fn command(self, folder: &Path, address: SocketAddrV4) -> Result<Vec<String>> {
        let listen = address.to_string();
        match self {
            Self::Library(library, workers) => {
                let (program, library) = (std::env::current_exe()?, library.name());
                let workers = workers.to_string();
                let words = ["http-server", &library, "--listen", &listen, "--workers", &workers];
                Ok(words_of(&program, &words))
            }
            Self::Rival(rival) => rival.command(folder, address),
            Self::Serve => {
                let (program, workers) = (executable::bellwether()?, WORKERS.to_string());
                let site = folder.to_str().context("the folder's name is not text")?;
                let listen = format!("{listen}?backlog=4096");
                let words = ["serve", "--listen", &listen, "--handlers", &workers, "--name", NAME];
                Ok(words_of(&program, &[&words[..], &[site]].concat()))
            }
        }
    }
}

fn words_of(program: &Path, words: &[&str]) -> Vec<String> {
    let words = words.iter().map(ToString::to_string);
    [program.to_string_lossy().into_owned()].into_iter().chain(words).collect()
}

impl fmt::Display for Entrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Rival(rival) => return rival.fmt(f),
            Self::Serve => "bellwether serve",
            Self::Library(library, _) => match library {
                Library::Bellwether => "bellwether",
                Library::BellwetherAxum => "bellwether, axum",
                Library::Hyper => "hyper",
                Library::HyperProcesses | Library::HyperProcess => "hyper processes",
                Library::Axum => "axum",
            },
        })
    }
}
