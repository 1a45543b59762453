//! The entrants that are libraries, each as its documentation says, with the same reply: hidden
//! names of this executable, as each is a process of its own.
//!
//! actix-web is left out: its crates switch on `tracing/log` for all that is built with them, so the
//! library that it is compared with would be another one, too.

mod axum;
mod hyper;
mod ours;

use std::net::SocketAddrV4;

use anyhow::Result;
use clap::{Args, ValueEnum};
use rustix::process::{Signal, set_parent_process_death_signal};

#[derive(Args)]
pub(crate) struct Options {
    #[arg(value_enum)]
    library: Library,
    #[arg(long)]
    listen: SocketAddrV4,
    /// Handlers, processes or threads
    #[arg(long)]
    workers: usize,
}

/// What answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Library {
    /// A pool of handlers, with a function
    Bellwether,
    /// A pool of handlers, with a router
    BellwetherAxum,
    /// One process, threads that share a listener
    Hyper,
    /// Processes that share a listener
    HyperProcesses,
    /// One of those processes; the listener is its standard input
    HyperProcess,
    /// One process, the runtime's threads
    Axum,
}

impl Library {
    /// As the hidden command is told.
    pub(super) fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |it| it.get_name().into())
    }
}

pub(crate) fn serve(options: &Options) -> Result<()> {
    // The listener of the rivals has the queue of ours.
    const BACKLOG: u16 = 4096;
    set_parent_process_death_signal(Some(Signal::TERM))?;
    let (listen, workers) = (options.listen, options.workers);
    match options.library {
        Library::Bellwether => ours::serve(listen, BACKLOG, workers),
        Library::BellwetherAxum => ours::serve_router(listen, BACKLOG, workers),
        Library::Hyper => hyper::threads(listen, BACKLOG, workers),
        Library::HyperProcesses => hyper::processes(listen, BACKLOG, workers),
        Library::HyperProcess => hyper::process(),
        Library::Axum => axum::serve(listen, BACKLOG, workers),
    }
}
