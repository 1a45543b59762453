//! A web server whose answers take as long as the client says; for tests.
//!
//! `web ADDRESS [handlers=N] [soft=MS]`. The path says what to do: `/stuck` never answers, `/echo`
//! answers with the body of the request, `/extend` does so and takes an hour for it if need be,
//! `/deadline` tells whether there is one.

use std::convert::Infallible;
use std::future::poll_fn;
use std::io::Write;
use std::pin::Pin;
use std::time::Duration;

use bellwether::{Builder, Deadline, Error, Server, Shift, http};
use bytes::Bytes;
use http_body::Body;
use hyper::body::Incoming;
use tower::service_fn;

const HOUR: Duration = Duration::from_secs(3600);

async fn serve(request: ::http::Request<Incoming>) -> Result<::http::Response<String>, Infallible> {
    let deadline = request.extensions().get::<Deadline>().cloned();
    let answer = match request.uri().path() {
        "/stuck" => std::future::pending().await,
        "/echo" => text_of(request.into_body()).await,
        "/extend" => {
            let _ = deadline.map(|deadline| deadline.extend(HOUR));
            text_of(request.into_body()).await
        }
        "/deadline" => format!("{}", deadline.is_some()),
        other => format!("unknown: {other}"),
    };
    Ok(::http::Response::new(answer))
}

async fn text_of(mut body: Incoming) -> String {
    let mut text = Vec::new();
    while let Some(Ok(frame)) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        text.extend(frame.into_data().unwrap_or_else(|_| Bytes::new()));
    }
    String::from_utf8_lossy(&text).into_owned()
}

fn set(builder: Builder, word: &str) -> Builder {
    match word.split_once('=') {
        Some(("handlers", n)) => builder.handlers(n.parse().unwrap_or(0)),
        Some(("soft", ms)) => builder.soft_deadline(Duration::from_millis(ms.parse().unwrap_or(0))),
        _ => builder,
    }
}

fn run() -> Result<(), Error> {
    let mut words = std::env::args().skip(1);
    let address = words.next().unwrap_or_else(|| "127.0.0.1:0".into());
    let builder = words.fold(Server::builder().listen(address), |b, word| set(b, &word));
    http::serve(builder.open()?, |_: Shift| async move { Ok(service_fn(serve)) })?;
    Ok(())
}

fn main() -> std::process::ExitCode {
    tracing_subscriber::fmt().with_ansi(false).with_writer(std::io::stderr).init();
    match run() {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: {error}");
            std::process::ExitCode::from(error.exit_code())
        }
    }
}
