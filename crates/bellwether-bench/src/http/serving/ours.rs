//! bellwether with a function and with an axum router, and nothing set but where and how many.

use std::convert::Infallible;
use std::net::SocketAddrV4;

use anyhow::Result;
use bellwether::{Builder, Server, Shift, http};
use bytes::Bytes;
use http_body_util::Full;
use hyper::Response;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use tower::service_fn;

use crate::hello::HELLO;
use crate::our_server::NAME;

fn builder(listen: SocketAddrV4, backlog: u16, workers: usize) -> Builder {
    let address = format!("{listen}?backlog={backlog}");
    Server::builder().listen(address).handlers(workers).name(NAME)
}

pub(super) fn serve(listen: SocketAddrV4, backlog: u16, workers: usize) -> Result<()> {
    let start = |_: Shift| async { Ok(service_fn(|_| async { Ok::<_, Infallible>(reply()) })) };
    http::serve(builder(listen, backlog, workers), start)?;
    Ok(())
}

/// What a service without a framework says; also that of plain hyper.
pub(super) fn reply() -> Response<Full<Bytes>> {
    let mut reply = Response::new(Full::new(Bytes::from_static(HELLO.as_bytes())));
    reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    reply
}

pub(super) fn serve_router(listen: SocketAddrV4, backlog: u16, workers: usize) -> Result<()> {
    let start = |_: Shift| async { Ok(super::axum::router()) };
    http::serve(builder(listen, backlog, workers), start)?;
    Ok(())
}
