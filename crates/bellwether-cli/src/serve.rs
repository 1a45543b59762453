//! `bellwether serve`: from what was typed to a server that has been stopped.

use std::future::ready;
use std::time::Duration;

use bellwether::{Defer, Result, Server, Stopped, http};
use tower::service_fn;

use crate::banner::{self, Crew};
use crate::cli::Serve;
use crate::ending::Ending;
use crate::files::{Files, Folder};
use crate::log;
use crate::welcome::Welcome;

const ADDRESS: &str = "127.0.0.1:8080";

/// Serves until the process is told to stop.
pub(crate) fn run(order: &Serve) -> Result<(), Ending> {
    log::start()?;
    let folder = order.dir.as_deref().map(Folder::at).transpose()?;
    let server = open(order)?;
    let crew = Crew::of(&server);
    let stopped = match folder {
        Some(folder) => serve_files(server, &crew, folder)?,
        None => serve_welcome(server, crew)?,
    };
    farewell(stopped);
    Ok(())
}

fn open(order: &Serve) -> Result<Server> {
    let mut server = Server::builder()
        .threads(order.threads)
        .notification(order.notification)
        .stop_grace(Duration::from_secs(order.stop_grace))
        .defer_accept(Defer::ON);
    if let Some(handlers) = order.handlers {
        server = server.handlers(handlers);
    }
    for address in &order.listen {
        server = server.listen(address);
    }
    if order.listen.is_empty() && !sockets_are_passed() {
        server = server.listen(ADDRESS);
    }
    if let Some(name) = &order.name {
        server = server.name(name);
    }
    server.open()
}

/// Tells whether a service manager has passed sockets to this very process (sd_listen_fds(3)).
fn sockets_are_passed() -> bool {
    let is = |name, expected: &str| std::env::var(name).is_ok_and(|value| value == expected);
    // What an earlier life of ours has stored with the manager is no address of its choosing.
    let ours = |names: String| names.split(':').all(|name| name.starts_with("bellwether-"));
    let stored_alone = std::env::var("LISTEN_FDNAMES").is_ok_and(ours);
    let any = std::env::var_os("LISTEN_FDS").is_some() && !is("LISTEN_FDS", "0") && !stored_alone;
    // Without LISTEN_PID it is rubbish, which the library tells.
    let for_us = is("LISTEN_PID", &std::process::id().to_string());
    any && (for_us || std::env::var_os("LISTEN_PID").is_none())
}

fn serve_files(server: Server, crew: &Crew, folder: Folder) -> Result<Stopped> {
    banner::show(&server, &folder.path().display().to_string(), crew);
    http::serve(server, move |_shift| {
        let files = Files::of(&folder);
        ready(Ok(service_fn(move |request| files.clone().answer(request))))
    })
}

fn serve_welcome(server: Server, crew: Crew) -> Result<Stopped> {
    banner::show(&server, "its welcome page", &crew);
    let name = server.name().to_owned();
    http::serve(server, move |shift| {
        let welcome = Welcome::by(shift.seat(), &name, &crew);
        ready(Ok(service_fn(move |request| welcome.clone().answer(request))))
    })
}

fn farewell(stopped: Stopped) {
    match stopped.cut {
        0 => tracing::info!("stopped; every connection was finished"),
        1 => tracing::warn!("stopped; 1 connection was cut"),
        cut => tracing::warn!("stopped; {cut} connections were cut"),
    }
}
