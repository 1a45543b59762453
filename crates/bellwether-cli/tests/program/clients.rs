//! Clients of the server: curl for what people do, plain sockets for what curl would not send.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;

use crate::kit::{PATIENCE, Run};
use crate::stage::has;

/// An answer of the server.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    /// Takes an answer apart.
    #[track_caller]
    pub(crate) fn read(bytes: &[u8]) -> Self {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("a head");
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
        Self { status, head, body: bytes[end + 4..].to_vec() }
    }

    /// The value of a header, if there is one.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let fields = self.head.lines().filter_map(|line| line.split_once(": "));
        fields.into_iter().find_map(|(key, value)| key.eq_ignore_ascii_case(name).then_some(value))
    }

    /// All headers in their order, but for the date and how the body is framed.
    pub(crate) fn headers(&self) -> Vec<&str> {
        let passing =
            |line: &&str| !["date: ", "transfer-encoding: "].iter().any(|it| line.starts_with(it));
        self.head.lines().skip(1).filter(passing).collect()
    }

    /// Puts the body together that was sent in chunks.
    #[track_caller]
    fn unchunked(mut self) -> Self {
        let (mut whole, mut rest) = (Vec::new(), &self.body[..]);
        while !rest.is_empty() {
            let end = rest.windows(2).position(|two| two == b"\r\n").expect("a size");
            let size = std::str::from_utf8(&rest[..end]).unwrap();
            let size = usize::from_str_radix(size, 16).unwrap();
            whole.extend(&rest[end + 2..end + 2 + size]);
            rest = &rest[end + 4 + size..];
        }
        self.body = whole;
        self
    }

    /// The body as text.
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

/// Asks with curl; `None`, and a line about it, where curl is not installed.
#[track_caller]
pub(crate) fn curl(arguments: &[&str]) -> Option<Reply> {
    if !has("curl") {
        return None;
    }
    let limit = PATIENCE.as_secs().to_string();
    let mut curl = Command::new("curl");
    curl.args(["-q", "-sS", "-i", "--noproxy", "*", "--max-time", &limit]).args(arguments);
    let output = curl.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(Reply::read(&output.stdout))
}

/// The URL of a path on a server.
pub(crate) fn url(run: &Run, path: &str) -> String {
    format!("http://{}{path}", run.socket_addr())
}

/// Sends a request exactly as written and reads until the server closes the connection.
#[track_caller]
pub(crate) fn raw(run: &Run, line: &str, headers: &str) -> Reply {
    let mut stream = connect(run);
    write!(stream, "{line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n").unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    let reply = Reply::read(&bytes);
    let in_chunks = reply.header("transfer-encoding") == Some("chunked");
    if in_chunks { reply.unchunked() } else { reply }
}

/// Connects to the first address of a server.
#[track_caller]
pub(crate) fn connect(run: &Run) -> TcpStream {
    let stream = TcpStream::connect(run.socket_addr()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}
