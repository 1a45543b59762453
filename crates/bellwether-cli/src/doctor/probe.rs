//! Asking a program that runs: which protocol it answers in, and how often.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use serde::Serialize;

use super::facts::ASKED;

/// How long it may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a client says first: a request that asks for nothing that costs.
const HTTP: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

/// `FCGI_GET_VALUES` for `FCGI_MPXS_CONNS` (FastCGI specification 1.0, section 4.1): version 1, type 9,
/// request 0, 17 bytes of content: the lengths of name and value, and the name.
const FASTCGI: &[u8] = b"\x01\x09\x00\x00\x00\x11\x00\x00\x0f\x00FCGI_MPXS_CONNS";

/// In what a program may answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) enum Protocol {
    #[serde(rename = "http")]
    Http,
    #[serde(rename = "fastcgi")]
    FastCgi,
}

impl Protocol {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Http => "HTTP",
            Self::FastCgi => "FastCGI",
        }
    }

    const fn question(self) -> &'static [u8] {
        match self {
            Self::Http => HTTP,
            Self::FastCgi => FASTCGI,
        }
    }

    /// Tells whether an answer begins so: with the version, or with a record of type 10.
    fn is_answer(self, start: [u8; 7]) -> bool {
        match self {
            Self::Http => start == *b"HTTP/1.",
            Self::FastCgi => start.starts_with(&[1, 10]),
        }
    }
}

/// Asks 20 times in the protocol that is answered; returns which that is, and how often it was.
pub(super) fn answered(address: &str) -> (Option<Protocol>, usize) {
    let known = [Protocol::Http, Protocol::FastCgi];
    let spoken = known.into_iter().find(|it| ask(address, *it).is_some());
    let again = |it| (1..ASKED).filter(|_| ask(address, it).is_some()).count();
    (spoken, spoken.map_or(0, |it| 1 + again(it)))
}

fn ask(address: &str, protocol: Protocol) -> Option<()> {
    if let Some(path) = address.strip_prefix("unix:") {
        let connection = UnixStream::connect(path).ok()?;
        connection.set_read_timeout(Some(PATIENCE)).ok()?;
        return talk(connection, protocol);
    }
    let place = address.strip_prefix("tcp://").unwrap_or(address);
    // What is bound to all interfaces is reached by the own one.
    let place = place.replace("0.0.0.0", "127.0.0.1").replace("[::]", "[::1]");
    let connection = TcpStream::connect(place).ok()?;
    connection.set_read_timeout(Some(PATIENCE)).ok()?;
    talk(connection, protocol)
}

fn talk(mut connection: impl Read + Write, protocol: Protocol) -> Option<()> {
    connection.write_all(protocol.question()).ok()?;
    let mut start = [0; 7];
    connection.read_exact(&mut start).ok()?;
    if protocol == Protocol::Http {
        // The rest is read, lest our end resets what it still sends.
        let _ = connection.read_to_end(&mut Vec::new());
    }
    protocol.is_answer(start).then_some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_told_by_its_beginning() {
        let check = |start: &[u8; 7], http, fastcgi| {
            assert_eq!(Protocol::Http.is_answer(*start), http, "{start:?}");
            assert_eq!(Protocol::FastCgi.is_answer(*start), fastcgi, "{start:?}");
        };
        check(b"HTTP/1.", true, false);
        check(b"HTTP/2 ", false, false);
        check(b"\x01\x0a\0\0\0\x12\0", false, true);
        check(b"\x01\x03\0\0\0\x12\0", false, false);
        check(b"SSH-2.0", false, false);
    }

    #[test]
    fn a_question_in_fastcgi_has_the_length_that_it_says() {
        let [1, 9, 0, 0, high, low, 0, 0, name, 0, rest @ ..] = FASTCGI else {
            panic!("{FASTCGI:?}")
        };
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        assert_eq!((length, usize::from(*name)), (rest.len() + 2, rest.len()));
    }
}
