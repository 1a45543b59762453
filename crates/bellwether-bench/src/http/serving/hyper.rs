//! hyper with nothing around it: every thread, or process, accepts in tokio's own reactor.

use std::convert::Infallible;
use std::net::{SocketAddrV4, TcpListener};
use std::process::{Command, Stdio};
use std::thread;

use anyhow::{Context as _, Result, bail};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustix::fd::{AsFd as _, OwnedFd};
use rustix::net::{AddressFamily, SocketType, bind, listen as begin_to_listen, socket, sockopt};
use tokio::runtime::Builder;

use super::Library;
use super::ours::reply;
use crate::pool::this_program;

/// A listener whose queue is as long as ours, as the standard library's is not.
pub(super) fn listener(listen: SocketAddrV4, backlog: u16) -> Result<TcpListener> {
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    bind(&socket, &listen)?;
    begin_to_listen(&socket, backlog.into())?;
    let listener = TcpListener::from(socket);
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// One process; each thread has a runtime of its own, and all one listener.
pub(super) fn threads(listen: SocketAddrV4, backlog: u16, workers: usize) -> Result<()> {
    let listener = listener(listen, backlog)?;
    thread::scope(|scope| {
        let begin = |_| {
            Ok(scope.spawn({
                let it = listener.try_clone()?;
                move || accept(it)
            }))
        };
        let threads = (0..workers).map(begin).collect::<Result<Vec<_>>>()?;
        for thread in threads {
            thread.join().map_err(|_| anyhow::anyhow!("a thread panicked"))??;
        }
        Ok(())
    })
}

/// Processes of one thread each, which share the listener and end with this one.
pub(super) fn processes(listen: SocketAddrV4, backlog: u16, workers: usize) -> Result<()> {
    let listener = listener(listen, backlog)?;
    let begin = |_| {
        let mut command: Command = this_program();
        let library = Library::HyperProcess.name();
        command.args(["http-server", &library, "--workers", "1", "--listen", &listen.to_string()]);
        let listener: OwnedFd = listener.as_fd().try_clone_to_owned()?;
        Ok(command.stdin(Stdio::from(listener)).spawn()?)
    };
    let mut processes = (0..workers).map(begin).collect::<Result<Vec<_>>>()?;
    let ended = processes.first_mut().context("no process is asked for")?.wait()?;
    bail!("a process has ended: {ended}");
}

pub(super) fn process() -> Result<()> {
    accept(TcpListener::from(std::io::stdin().as_fd().try_clone_to_owned()?))
}

fn accept(listener: TcpListener) -> Result<()> {
    Builder::new_current_thread().enable_all().build()?.block_on(async {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        loop {
            let (stream, _) = listener.accept().await?;
            let service = service_fn(|_| async { Ok::<_, Infallible>(reply()) });
            let mut http = http1::Builder::new();
            http.timer(TokioTimer::new());
            // A client that goes in the middle of its request is its own loss.
            tokio::spawn(http.serve_connection(TokioIo::new(stream), service));
        }
    })
}
