//! Asking a running server.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use crate::error::{Doing, Error, Result};
use crate::spawner::runtime_dir::{SOCKET, base};
use crate::status::Status;

/// How long a running server may take for an answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Returns the names of the servers of this user that run now, in order.
///
/// # Errors
/// [`Error::System`] when the runtime folder exists and cannot be read.
pub fn names() -> Result<Vec<String>> {
    let base = base();
    let entries = match std::fs::read_dir(&base) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).doing(&format!("read {}", base.display())),
    };
    let mut names: Vec<String> = entries
        .flatten()
        .filter(|entry| UnixStream::connect(entry.path().join(SOCKET)).is_ok())
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort();
    Ok(names)
}

/// Asks a running server how it is; without a name the only one that runs.
///
/// ```no_run
/// let status = bellwether::remote::status(Some("8080"))?;
/// println!("{} handlers, {} requests", status.pools[0].handlers.len(), status.pools[0].totals.requests);
/// # Ok::<(), bellwether::Error>(())
/// ```
///
/// # Errors
/// [`Error::NoServer`] when none has the name, or when there is none or several to choose from.
pub fn status(name: Option<&str>) -> Result<Status> {
    let name = match name {
        Some(name) => name.to_owned(),
        None => only_one()?,
    };
    let answer = ask(&name, r#"{"verb":"status"}"#)?;
    serde_json::from_str(&answer).map_err(|error| Error::System {
        doing: format!("understand the answer of server `{name}` (another version?)"),
        source: error.into(),
    })
}

fn only_one() -> Result<String> {
    let mut names = names()?;
    match names.len() {
        1 => Ok(names.remove(0)),
        0 => Err(nobody(&format!("no server runs (looked in {})", base().display()))),
        _ => {
            let problem = format!("several servers run; choose with --name: {}", names.join(", "));
            Err(Error::NoServer { problem })
        }
    }
}

fn nobody(problem: &str) -> Error {
    let hint = "start one with `bellwether serve`; those of another user, or with another \
                BELLWETHER_RUNTIME_DIR, are not seen";
    Error::NoServer { problem: format!("{problem}; {hint}") }
}

fn ask(name: &str, command: &str) -> Result<String> {
    let socket = base().join(name).join(SOCKET);
    let stream = connect(name, &socket)?;
    let doing = format!("talk to server `{name}`");
    stream.set_read_timeout(Some(PATIENCE)).doing(&doing)?;
    stream.set_write_timeout(Some(PATIENCE)).doing(&doing)?;
    (&stream).write_all(format!("{command}\n").as_bytes()).doing(&doing)?;
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer).doing(&doing)?;
    Ok(answer)
}

fn connect(name: &str, socket: &Path) -> Result<UnixStream> {
    UnixStream::connect(socket).map_err(|error| {
        let at = format!("no server `{name}` answers at {} ({error})", socket.display());
        match names().unwrap_or_default() {
            running if running.is_empty() => nobody(&format!("{at}; none runs")),
            running => {
                Error::NoServer { problem: format!("{at}; running: {}", running.join(", ")) }
            }
        }
    })
}
