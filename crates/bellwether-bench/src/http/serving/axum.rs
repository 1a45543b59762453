//! axum on tokio's runtime with several threads.

use std::net::SocketAddrV4;

use anyhow::Result;
use axum::Router;
use axum::routing::get;
use tokio::runtime::Builder;

use super::hyper::listener;
use crate::hello::HELLO;

/// What axum users write.
pub(super) fn router() -> Router {
    Router::new().route("/", get(|| async { HELLO }))
}

pub(super) fn serve(listen: SocketAddrV4, backlog: u16, workers: usize) -> Result<()> {
    let runtime = Builder::new_multi_thread().worker_threads(workers).enable_all().build()?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::from_std(listener(listen, backlog)?)?;
        Ok(axum::serve(listener, router()).await?)
    })
}
