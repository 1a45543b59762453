//! Our server as anybody would write it with the library; a process of its own, because it forks.

use std::env;
use std::fs;
use std::io::{Read as _, Write as _};

use anyhow::Result;
use bellwether::{Connection, Notification, Server};
use clap::Args;
use rustix::process::{Signal, set_parent_process_death_signal};

use crate::load::REPLY;

/// The name of the server, and so of the folder of its control socket.
pub(crate) const NAME: &str = "bench";
/// Where the library looks for, and this program makes, the folder above that.
pub(crate) const RUNTIME: &str = "BELLWETHER_RUNTIME_DIR";

#[derive(Args)]
pub(crate) struct Options {
    #[arg(long)]
    notification: Notification,
    #[arg(long)]
    handlers: usize,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    set_parent_process_death_signal(Some(Signal::TERM))?;
    let server = Server::builder()
        .listen("tcp://127.0.0.1:0?backlog=4096")
        .handlers(options.handlers)
        .threads(1)
        .notification(options.notification)
        .name(NAME)
        .open()?;
    server.run(answer)?;
    // For when the program that measures died; it may hold nothing by now.
    env::var_os(RUNTIME).map(fs::remove_dir);
    Ok(())
}

fn answer(mut connection: Connection) {
    let mut request = [0; 256];
    // A client that left early is its own loss, and the client's tally shows it.
    connection.read(&mut request).and_then(|_| connection.write_all(&REPLY)).ok();
}
