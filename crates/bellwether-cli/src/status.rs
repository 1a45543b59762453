//! `bellwether status`: how a running server is, for people and for programs.

mod pool;
mod text;

use std::io::{ErrorKind, Write};

use bellwether::{Error, remote};

use crate::cli::Status;
use crate::ending::Ending;
use text::Text;

/// Asks a server how it is and prints its answer.
pub(crate) fn run(question: &Status) -> Result<(), Ending> {
    let report = remote::status(question.name.as_deref())?;
    if question.json {
        let json = serde_json::to_string_pretty(&report).map_err(|error| system(error.into()))?;
        return print(&format!("{json}\n"));
    }
    print(&Text(&report).to_string())
}

fn print(text: &str) -> Result<(), Ending> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        // Whoever reads has seen enough, as `head` does.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        other => Ok(other.map_err(system)?),
    }
}

fn system(source: std::io::Error) -> Error {
    Error::System { doing: "write to standard output".into(), source }
}
