//! The small answer that is the same from everybody, so that what differs is the server.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddrV4, TcpStream};
use std::time::Duration;

use anyhow::{Result, ensure};

/// What everybody says, as text/plain and with its length told.
pub(crate) const HELLO: &str = "hello, world\n";

/// How long one answer is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// Whether the server answers as it should.
pub(crate) fn ask(address: SocketAddrV4) -> Result<()> {
    let answer = fetch(address, "/")?;
    let is_right = answer.starts_with("HTTP/1.1 200 ") && answer.ends_with(HELLO);
    ensure!(is_right, "odd answer: {answer}");
    Ok(())
}

/// The whole answer, head and body.
fn fetch(address: SocketAddrV4, path: &str) -> Result<String> {
    let mut connection = TcpStream::connect(address)?;
    connection.set_read_timeout(Some(PATIENCE))?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    connection.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    connection.read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// Whether there is anything at the path.
pub(crate) fn finds(address: SocketAddrV4, path: &str) -> Result<()> {
    let answer = fetch(address, path)?;
    ensure!(answer.starts_with("HTTP/1.1 200 "), "odd answer to {path}: {answer:.200}");
    Ok(())
}
