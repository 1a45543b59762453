//! What goes to standard output, for as long as somebody reads it, or into files.

use std::io::{ErrorKind, Write};
use std::path::Path;

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

/// Writes a file into a folder, which is made where it is missing.
pub(crate) fn write(folder: &Path, name: &str, text: &[u8]) -> Result<(), Ending> {
    let path = folder.join(name);
    let written = std::fs::create_dir_all(folder).and_then(|()| std::fs::write(&path, text));
    let doing = || format!("write {}", path.display());
    Ok(written.map_err(|source| Error::System { doing: doing(), source })?)
}
