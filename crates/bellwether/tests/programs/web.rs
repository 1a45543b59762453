//! A web server whose answers take as long as the client says; for tests.
//!
//! `web ADDRESS [handlers=N] [max_requests=N] [soft=MS] [canary=MS] [shed=on] [record=FILE]
//! [notification=MODE] [hard=MS] [label=on] [connections=N] [runtime=N] [tls=CERTIFICATE,KEY]...
//! [idle|head|body|write=MS] [target-bytes|head-bytes|body-bytes=N] [trust=NETWORK]...
//! [proxy-protocol=on] [proxy-headers=KIND] [mirror]`. With `mirror` all are
//! answered with what was seen of them. Else the path
//! says what to do: `/stuck` never answers, `/switch` agrees to speak something else from there on, `/upgrade` does and
//! echoes what is said then, `/version` tells the version of HTTP, `/echo` answers with the
//! body of the request, `/extend` does so and takes an hour for it if need be, `/deadline` tells
//! whether there is one, `/client` for whom it is asked and which headers say so, `/origin` who asks and whether it is known how long the connection waited, `/big` sends 64 MiB, `/N` is a request of the ledger.

use std::convert::Infallible;
use std::future::poll_fn;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::time::Duration;

#[cfg(feature = "tls")]
use bellwether::Tls;
use bellwether::http::{Incoming, Limits, Origin, Peer, Proxies, ProxyHeaders, Waited};
use bellwether::{Builder, Deadline, Error, Server, Shift, http};
use bytes::Bytes;
use http_body::Body;
use hyper_util::rt::TokioIo;
use tower::service_fn;

#[path = "mirror.rs"]
mod mirror;
#[path = "../kit/record.rs"]
#[allow(dead_code, unreachable_pub)] // the program writes records, only tests read them
mod record;

mod processes {
    pub(crate) type Pid = i32;
}

const HOUR: Duration = Duration::from_secs(3600);

async fn serve(
    mut request: ::http::Request<Incoming>,
    record: Option<&Path>,
) -> Result<::http::Response<String>, Infallible> {
    let deadline = request.extensions().get::<Deadline>().cloned();
    let (peer, waited) = (request.extensions().get::<Peer>(), request.extensions().get::<Waited>());
    let origin = format!("{peer:?} {}", waited.is_some());
    let path = request.uri().path().to_owned();
    let answer = match path.as_str() {
        "/switch" => String::new(),
        "/upgrade" => {
            tokio::spawn(say_again(hyper::upgrade::on(&mut request)));
            String::new()
        }
        "/version" => format!("{:?}", request.version()),
        "/stuck" => std::future::pending().await,
        "/echo" => text_of(request.into_body()).await,
        "/extend" => {
            let _ = deadline.map(|deadline| deadline.extend(HOUR));
            text_of(request.into_body()).await
        }
        "/deadline" => format!("{}", deadline.is_some()),
        "/origin" => origin,
        "/client" => client(&request),
        "/big" => "x".repeat(64 << 20),
        other => match other.trim_start_matches('/').parse() {
            Ok(id) => enter(id, record),
            Err(_) => format!("unknown: {other}"),
        },
    };
    let response = ::http::Response::builder();
    let response = match path.as_str() {
        "/switch" | "/upgrade" => {
            response.status(101).header("connection", "upgrade").header("upgrade", "echo")
        }
        _ => response,
    };
    Ok(response.body(answer).unwrap_or_default())
}

/// For whom a request is asked, and what of the headers that may say so has reached us.
fn client(request: &::http::Request<Incoming>) -> String {
    let Some(origin) = request.extensions().get::<Origin>() else { return "nobody said".into() };
    let address = origin.client().map_or_else(|| "-".into(), |it| it.to_string());
    let host = origin.host().map_or("-", |it| it.as_str());
    let names = request.headers().keys().map(::http::HeaderName::as_str);
    let left: Vec<_> = names.filter(|it| it.contains("forwarded") || it.contains("real")).collect();
    format!("{address} {} {host} {:?} {left:?}", origin.scheme(), origin.told())
}

/// Echoes until the client has no more to say, whatever becomes of the handler.
async fn say_again(upgrade: hyper::upgrade::OnUpgrade) {
    let Ok(upgraded) = upgrade.await else { return };
    let (mut heard, mut said) = tokio::io::split(TokioIo::new(upgraded));
    let _ = tokio::io::copy(&mut heard, &mut said).await;
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

/// What the words say about clients.
fn limits(words: &[String]) -> Limits {
    words.iter().filter_map(|word| word.split_once('=')).fold(Limits::default(), limited)
}

fn limited(limits: Limits, (what, value): (&str, &str)) -> Limits {
    let number = value.parse().unwrap_or(0);
    let time = Duration::from_millis(number);
    let bytes = usize::try_from(number).unwrap_or(0);
    match what {
        "idle" => Limits { idle: time, ..limits },
        "head" => Limits { head: time, ..limits },
        "body" => Limits { body: time, ..limits },
        "write" => Limits { write: time, ..limits },
        "target-bytes" => Limits { target_bytes: bytes, ..limits },
        "head-bytes" => Limits { head_bytes: bytes, ..limits },
        "body-bytes" => Limits { body_bytes: number, ..limits },
        _ => limits,
    }
}

fn set(builder: Builder, word: &str) -> Builder {
    match word.split_once('=') {
        Some(("handlers", n)) => builder.handlers(n.parse().unwrap_or(0)),
        Some(("max_requests", n)) => builder.max_requests(n.parse().unwrap_or(0)),
        Some(("soft", ms)) => builder.soft_deadline(Duration::from_millis(ms.parse().unwrap_or(0))),
        Some(("hard", ms)) => builder.hard_deadline(Duration::from_millis(ms.parse().unwrap_or(0))),
        Some(("label", word)) => builder.label_requests(word == "on"),
        Some(("connections", n)) => builder.connections(n.parse().unwrap_or(0)),
        Some(("runtime", n)) => builder.runtime_threads(n.parse().unwrap_or(0)),
        Some(("canary", ms)) => builder.canary(Duration::from_millis(ms.parse().unwrap_or(0))),
        Some(("shed", word)) => builder.shed(word == "on"),
        Some(("notification", mode)) => builder.notification(mode.parse().unwrap_or_default()),
        _ => builder,
    }
}

/// What stands behind `KEY=` in the words.
fn values<'a>(words: &'a [String], key: &'a str) -> impl Iterator<Item = &'a str> {
    words.iter().filter_map(move |word| word.strip_prefix(key)?.strip_prefix('='))
}

/// What the words say about proxies.
fn proxied(builder: Builder, words: &[String]) -> Result<Builder, Error> {
    let trusted = values(words, "trust").map(str::parse).collect::<Result<Vec<_>, _>>()?;
    if trusted.is_empty() {
        return Ok(builder);
    }
    let headers =
        values(words, "proxy-headers").next().map_or(Ok(ProxyHeaders::Nothing), str::parse)?;
    let proxies = Proxies::trusting(trusted).headers(headers);
    let speaks_first = values(words, "proxy-protocol").any(|it| it == "on");
    Ok(builder.proxies(if speaks_first { proxies.protocol() } else { proxies }))
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
    let builder = proxied(builder, &words)?;
    #[cfg(feature = "tls")]
    let builder = secured(builder, &words)?;
    let mirrors = words.iter().any(|word| word == "mirror");
    http::serve(builder.http_limits(limits(&words)).open()?, move |_: Shift| {
        let record = record.clone();
        let answer = move |request| {
            let record = record.clone();
            async move {
                if mirrors {
                    return Ok(mirror::answer(request).await);
                }
                serve(request, record.as_deref()).await
            }
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
