//! An asynchronous pool whose handlers do what the client says; for tests.
//!
//! `gate ADDRESS LIMIT [handlers=N] [threads=N] [notification=MODE] [soft=MS] [grace=MS]
//! [orphan=MS] [shed=on] [runtime=N] [start=fail|halt] [early=panic]`; with `start=halt` only slot 0
//! ever starts.

use std::io::Write;
use std::sync::Barrier;
use std::time::Duration;

use bellwether::{Builder, Connection, Error, Server, Shift, Stream};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

/// Where two connections meet that each block a thread meanwhile.
static MEETING: Barrier = Barrier::new(2);

async fn serve(connection: Connection) {
    let deadline = connection.deadline();
    let Ok(stream) = Stream::try_from(connection) else { return };
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    if stream.read_line(&mut line).await.is_err() {
        return;
    }
    let answer = match line.trim_end() {
        "pid" => std::process::id().to_string(),
        "panic" => panic!("as told"),
        "meet" => {
            MEETING.wait();
            "met".into()
        }
        "stuck" => std::future::pending().await,
        word @ ("hold" | "extend") => {
            if let (Some(deadline), "extend") = (&deadline, word) {
                deadline.extend(Duration::from_secs(3600));
            }
            let _ = stream.get_mut().write_all(b"held\n").await;
            let _ = stream.read_line(&mut line).await;
            "released".into()
        }
        other => format!("unknown: {other}"),
    };
    let _ = stream.get_mut().write_all(format!("{answer}\n").as_bytes()).await;
}

fn ms(number: &str) -> Duration {
    Duration::from_millis(number.parse().unwrap_or(0))
}

fn set(builder: Builder, word: &str) -> Builder {
    match word.split_once('=') {
        Some(("handlers", n)) => builder.handlers(n.parse().unwrap_or(0)),
        Some(("threads", n)) => builder.threads(n.parse().unwrap_or(0)),
        Some(("notification", mode)) => builder.notification(mode.parse().unwrap_or_default()),
        Some(("soft", number)) => builder.soft_deadline(ms(number)),
        Some(("grace", number)) => builder.stop_grace(ms(number)),
        Some(("orphan", number)) => builder.orphan_grace(ms(number)),
        Some(("runtime", n)) => builder.runtime_threads(n.parse().unwrap_or(0)),
        Some(("shed", word)) => builder.shed(word == "on"),
        _ => builder,
    }
}

fn run() -> Result<(), Error> {
    let mut words = std::env::args().skip(1);
    let address = words.next().unwrap_or_else(|| "127.0.0.1:0".into());
    let limit = words.next().and_then(|word| word.parse().ok()).unwrap_or(1);
    let words: Vec<String> = words.collect();
    let early = words.iter().any(|word| word == "early=panic");
    let fails = words.iter().any(|word| word == "start=fail");
    let halts = words.iter().any(|word| word == "start=halt");
    let builder = words.iter().fold(Server::builder().listen(address), |b, word| set(b, word));
    builder.open()?.run_async(limit, move |shift: Shift| async move {
        if halts && shift.seat().slot() > 0 {
            std::future::pending::<()>().await;
        }
        let handle = move |connection| {
            assert!(!early, "as told, before the first await");
            serve(connection)
        };
        if fails { Err("it was told to fail".into()) } else { Ok(handle) }
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
