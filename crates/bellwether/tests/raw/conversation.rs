//! Having lines out with a real server, and reading what it answers.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};

use crate::kit::{Launch, PATIENCE, Run, example};
use crate::row::Row;

/// What is asked last, to see whether the connection is open still.
const PROBE: &[u8] = b"GET /probe HTTP/1.1\r\nHost: probe\r\n\r\n";
const ECHO_OF_PROBE: &str = "200 GET /probe @probe";

/// Longer rows are not sent byte by byte, which takes a packet each.
const SHORT: usize = 300;

/// A server with one handler that answers with what it saw.
pub(crate) fn mirror(words: &[&str]) -> Run {
    let run = Launch::of(example("web")).args(["127.0.0.1:0", "handlers=1", "mirror"]).args(words);
    let run = run.start();
    run.wait_ready(1);
    run
}

/// Sends each line of a table, at once and byte by byte, and compares what comes back.
#[track_caller]
pub(crate) fn check(words: &[&str], table: &str) {
    let mut run = mirror(words);
    let address = run.socket_addr();
    let mut wrong = String::new();
    for row in Row::table(table) {
        for piece in [usize::MAX, 1] {
            if piece == 1 && row.sent.len() > SHORT {
                continue;
            }
            let outcome = outcome(address, &row, piece);
            if outcome != row.expected {
                let how = if piece == 1 { "byte by byte" } else { "at once" };
                wrong += &format!("{} ({how})\n    {}\n    {outcome}\n", row.name, row.expected);
            }
        }
    }
    assert_eq!(wrong, "", "name, expected, what came back:\n{wrong}");
    assert!(run.stop().success());
}

fn outcome(address: SocketAddr, row: &Row, piece: usize) -> String {
    let mut client = Client::connect(address);
    client.send(&row.sent, piece);
    if row.answers() == 0 {
        client.send(PROBE, usize::MAX);
    }
    let mut answers = Vec::new();
    let mut end = "closed";
    while let Some(answer) = client.answer() {
        match answer.as_str() {
            ECHO_OF_PROBE => end = "open",
            "nothing" => end = "waiting",
            _ => answers.push(answer),
        }
        if end != "closed" {
            break;
        }
        if answers.len() == row.answers() {
            client.send(PROBE, usize::MAX);
        }
    }
    format!("{}; {end}", answers.join(", "))
}

/// A client that says what it is told.
pub(crate) struct Client(BufReader<TcpStream>);

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Self(BufReader::new(stream))
    }

    /// Sends in pieces; whoever refuses what was sent before need not take the rest.
    pub(crate) fn send(&mut self, bytes: &[u8], piece: usize) {
        for piece in bytes.chunks(piece) {
            if self.0.get_mut().write_all(piece).is_err() {
                return;
            }
        }
    }

    pub(crate) fn stream(&mut self) -> &mut TcpStream {
        self.0.get_mut()
    }

    /// Reads the next answer: its status, and what a service saw; `None` at the end.
    pub(crate) fn answer(&mut self) -> Option<String> {
        self.try_answer().unwrap_or_else(|error| match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Some("nothing".into()),
            _ => None,
        })
    }

    fn try_answer(&mut self) -> io::Result<Option<String>> {
        let Some(line) = self.line()? else { return Ok(None) };
        let status = line.split(' ').nth(1).unwrap_or_default().to_owned();
        let (mut length, mut saw) = (0, String::new());
        loop {
            match self.line()?.as_deref() {
                None => return Ok(None),
                Some("") => break,
                Some(field) => match field.split_once(": ") {
                    Some(("content-length", value)) => length = value.parse().unwrap(),
                    Some(("saw", value)) => value.clone_into(&mut saw),
                    _ => {}
                },
            }
        }
        if ["HEAD ", "CONNECT "].iter().any(|method| saw.starts_with(method)) {
            length = 0;
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body)?;
        if saw.is_empty() {
            return Ok(Some(status));
        }
        assert!(length == 0 || body == saw.as_bytes(), "{saw}: {body:?}");
        Ok(Some(format!("{status} {saw}")))
    }

    fn line(&mut self) -> io::Result<Option<String>> {
        let mut line = String::new();
        let length = self.0.read_line(&mut line)?;
        Ok((length > 0).then(|| line.trim_end().to_owned()))
    }

    /// The whole answer as text, its words included.
    pub(crate) fn words(&mut self) -> String {
        let mut words = String::new();
        let _ = self.0.read_to_string(&mut words);
        words
    }
}
