//! A web server whose answers take as long as the client says; for tests.
//!
//! `web ADDRESS [handlers=N] [max_requests=N] [soft=MS] [canary=MS] [shed=on] [record=FILE]
//! [notification=MODE] [tls=CERTIFICATE,KEY]...`. The path
//! says what to do: `/stuck` never answers, `/switch` agrees to speak something else from there on, `/echo` answers with the
//! body of the request, `/extend` does so and takes an hour for it if need be, `/deadline` tells
//! whether there is one, `/origin` who asks and whether it is known how long the connection waited, `/N` is a request of the ledger.

use std::convert::Infallible;
use std::future::poll_fn;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::time::Duration;

#[cfg(feature = "tls")]
use bellwether::Tls;
use bellwether::http::{Peer, Waited};
use bellwether::{Builder, Deadline, Error, Server, Shift, http};
use bytes::Bytes;
use http_body::Body;
use hyper::body::Incoming;
use tower::service_fn;

#[path = "../kit/record.rs"]
#[allow(dead_code, unreachable_pub)] // the program writes records, only tests read them
mod record;

mod processes {
    pub(crate) type Pid = i32;
}

const HOUR: Duration = Duration::from_secs(3600);

async fn serve(
    request: ::http::Request<Incoming>,
    record: Option<&Path>,
) -> Result<::http::Response<String>, Infallible> {
    let deadline = request.extensions().get::<Deadline>().cloned();
    let (peer, waited) = (request.extensions().get::<Peer>(), request.extensions().get::<Waited>());
    let origin = format!("{peer:?} {}", waited.is_some());
    let path = request.uri().path().to_owned();
    let answer = match path.as_str() {
        "/switch" => String::new(),
        "/stuck" => std::future::pending().await,
        "/echo" => text_of(request.into_body()).await,
        "/extend" => {
            let _ = deadline.map(|deadline| deadline.extend(HOUR));
            text_of(request.into_body()).await
        }
        "/deadline" => format!("{}", deadline.is_some()),
        "/origin" => origin,
        other => match other.trim_start_matches('/').parse() {
            Ok(id) => enter(id, record),
            Err(_) => format!("unknown: {other}"),
        },
    };
    let response = ::http::Response::builder();
    let response = match path.as_str() {
        "/switch" => response.status(101).header("connection", "upgrade").header("upgrade", "echo"),
        _ => response,
    };
    Ok(response.body(answer).unwrap_or_default())
}

/// Serves a request of the ledger: recorded at its start and at its end.
fn enter(id: u64, record: Option<&Path>) -> String {
    let record = record.and_then(|path| record::RecordFile::open(path).ok());
    if let Some(record) = &record {
        let _ = record.start(id).and_then(|()| record.end(id));
    }
    format!("{id} {}\n", std::process::id())
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
        Some(("max_requests", n)) => builder.max_requests(n.parse().unwrap_or(0)),
        Some(("soft", ms)) => builder.soft_deadline(Duration::from_millis(ms.parse().unwrap_or(0))),
        Some(("canary", ms)) => builder.canary(Duration::from_millis(ms.parse().unwrap_or(0))),
        Some(("shed", word)) => builder.shed(word == "on"),
        Some(("notification", mode)) => builder.notification(mode.parse().unwrap_or_default()),
        _ => builder,
    }
}

#[cfg(feature = "tls")]
fn secured(builder: Builder, words: &[String]) -> Result<Builder, Error> {
    let mut tls: Option<Tls> = None;
    let files = words.iter().filter_map(|word| word.strip_prefix("tls=")?.split_once(','));
    for (certificate, key) in files {
        tls = Some(match tls {
            Some(tls) => tls.also(certificate, key)?,
            None => Tls::new(certificate, key)?,
        });
    }
    Ok(match tls {
        Some(tls) => builder.tls(tls),
        None => builder,
    })
}

fn run() -> Result<(), Error> {
    let mut words = std::env::args().skip(1);
    let address = words.next().unwrap_or_else(|| "127.0.0.1:0".into());
    let words: Vec<String> = words.collect();
    let record = words.iter().find_map(|word| word.strip_prefix("record=")).map(PathBuf::from);
    let builder = words.iter().fold(Server::builder().listen(address), |b, word| set(b, word));
    #[cfg(feature = "tls")]
    let builder = secured(builder, &words)?;
    http::serve(builder.open()?, move |_: Shift| {
        let record = record.clone();
        let answer = move |request| {
            let record = record.clone();
            async move { serve(request, record.as_deref()).await }
        };
        async move { Ok(service_fn(answer)) }
    })?;
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
