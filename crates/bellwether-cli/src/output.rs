//! What goes to standard output, or into files.

use std::io::{ErrorKind, Write};
use std::path::Path;

use bellwether::Error;

use crate::ending::Ending;

/// Prints a text; a reader that has seen enough, as `head` has, is no error.
pub(crate) fn print(text: &str) -> Result<(), Ending> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        other => Ok(other.map_err(unwritten)?),
    }
}

/// Standard output could not be written.
pub(crate) fn unwritten(source: std::io::Error) -> Error {
    Error::System { doing: "write to standard output".into(), source }
}

/// Writes a file into a folder, which is made where it is missing.
pub(crate) fn write(folder: &Path, name: &str, text: &[u8]) -> Result<(), Ending> {
    let path = folder.join(name);
    let written = std::fs::create_dir_all(folder).and_then(|()| std::fs::write(&path, text));
    let doing = || format!("write {}", path.display());
    Ok(written.map_err(|source| Error::System { doing: doing(), source })?)
}
