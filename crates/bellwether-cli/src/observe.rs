//! `bellwether observe`: what a running server is, for Prometheus, for probes and for people.
//!
//! A process of its own, which asks the server as `status` does and tells whoever asks it: so nobody who
//! watches can keep the spawner from its work. One runtime answers over HTTP ([`door`], [`answer`]) what
//! the [`desk`] knows, which asks the server at most four times a second; [`live`] tells browsers each
//! second what has changed. What is told is made by pure functions: [`metrics`], [`health`].

mod answer;
mod desk;
mod door;
mod health;
mod host;
mod live;
mod metrics;

use std::sync::Arc;

use bellwether::{Address, Error, Listener};
use clap::Args;

use crate::config::written::Written;
use crate::ending::Ending;
use crate::{log, output};
use answer::Clerk;
use desk::Desk;
use host::Hosts;
use live::Live;

/// Serve metrics, probes and a dashboard of a running server over HTTP.
///
/// GET /metrics (OpenMetrics), /live and /ready for probes, /status.json, / the dashboard. Nothing can be
/// changed here. It listens on the loopback interface or at a Unix socket, unless --public says that
/// everybody may look.
#[derive(Debug, Args)]
pub(crate) struct Observe {
    /// Which server; not needed where only one runs.
    #[arg(long)]
    name: Option<String>,

    /// Where to listen: HOST:PORT or unix:/PATH.
    #[arg(short, long, value_name = "ADDRESS", default_value = "127.0.0.1:9180")]
    listen: Written<Address>,

    /// A name by which browsers may call it, beside localhost and the address, repeatable.
    #[arg(long, value_name = "NAME")]
    host: Vec<String>,

    /// Listen where others than this machine reach it, too.
    #[arg(long)]
    public: bool,

    /// Be the observer that a server has started, of the server that the environment names.
    #[arg(long, hide = true)]
    companion: bool,
}

/// Answers until the process is told to end.
pub(crate) fn run(order: &Observe) -> Result<(), Ending> {
    log::start()?;
    let address = order.listen.0.clone();
    let Some(listener) = Listener::open(std::slice::from_ref(&address))?.pop() else {
        return Err(nowhere(&address).into());
    };
    if !order.public && !host::is_private(listener.address()) {
        return Err(open_to_all(listener.address()).into());
    }
    let hosts = Hosts::of(listener.address(), &order.host);
    let server = std::env::var("BELLWETHER_SERVER").ok().filter(|_| order.companion);
    let server = server.or_else(|| order.name.clone());
    let (desk, live) = (Arc::new(Desk::of(server.clone())), Arc::new(Live::new(server)));
    let url = host::url(listener.address());
    if order.companion {
        tracing::info!("the dashboard is at {url}");
    } else {
        let words = format!("{url} shows it, {url}metrics tells Prometheus; Ctrl-C ends this\n");
        output::print(&words)?;
    }
    Ok(door::keep(listener, Clerk { desk, live, hosts })?)
}

fn nowhere(address: &Address) -> Error {
    let problem = "nothing was passed there".into();
    Error::Configure { what: format!("--listen {address}"), problem }
}

fn open_to_all(address: &str) -> Error {
    let problem = "others than this machine would reach it, and there is no password; listen on \
                   127.0.0.1 or at a Unix socket and let a proxy in front ask for one, or say --public";
    Error::Configure { what: format!("--listen {address}"), problem: problem.into() }
}
