//! Standard output, for as long as somebody reads it.

use std::io::{ErrorKind, Write};

use bellwether::Error;

use crate::ending::Ending;

/// Prints a text at once; where nobody reads any more, the program ends without a word.
pub(crate) fn print(text: &str) -> Result<(), Ending> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        // Whoever reads has seen enough, as `head` does.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Err(Ending::Said(0)),
        other => Ok(other.map_err(unprinted)?),
    }
}

/// The error that something cannot be printed.
pub(crate) fn unprinted(source: impl Into<std::io::Error>) -> Error {
    Error::System { doing: "write to standard output".into(), source: source.into() }
}
