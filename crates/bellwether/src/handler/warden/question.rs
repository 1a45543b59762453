//! One request for an answer of the program itself, on a connection that any handler may accept.
//!
//! It is held back by its last bytes until it is known who has accepted the connection: nobody can
//! answer it before that, and close it unseen. To another handler the rest is said all the same,
//! lest it takes our leaving for an error.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketAddrAny, SocketFlags, SocketType, connect, recv,
    send, socket_with, sockopt,
};

use crate::sys::peer;

/// So many bytes of the request are held back: the end of the last line of its head.
const LAST: usize = 2;
/// The most that is read of an answer until its status is known.
const LONGEST: usize = 16 << 10;
/// How long another handler's answer is waited for.
const POLITE: Duration = Duration::from_secs(1);

/// What became of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The program has answered, with this status.
    Answered(u16),
    /// What it has answered is no HTTP.
    Nonsense,
    /// The connection was closed without an answer.
    Closed,
    /// Another handler took it.
    Elsewhere,
    /// The kernel does not say who has it.
    Unseen(String),
}

/// Who has accepted the connection, as far as is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holder {
    Unknown,
    /// Nobody of the program was seen to have it, but somebody has.
    PerhapsAnother,
    Another {
        since: Duration,
    },
    Own,
}

/// A request on its way.
#[derive(Debug)]
pub(super) struct Question {
    connection: OwnedFd,
    unsaid: Vec<u8>,
    heard: Vec<u8>,
    is_over: bool,
    holder: Holder,
}

impl Question {
    /// Begins to ask, and waits for nothing.
    pub(super) fn ask(place: &SocketAddrAny, request: &[u8]) -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let connection = socket_with(place.address_family(), SocketType::STREAM, flags, None)?;
        if place.address_family() != AddressFamily::UNIX {
            // The last bytes are not to wait until the others were acknowledged.
            sockopt::set_tcp_nodelay(&connection, true)?;
        }
        match connect(&connection, place) {
            Ok(()) | Err(Errno::INPROGRESS) => {}
            Err(errno) => return Err(errno.into()),
        }
        let (unsaid, heard) = (request.to_vec(), Vec::new());
        Ok(Self { connection, unsaid, heard, is_over: false, holder: Holder::Unknown })
    }

    /// Tells whether it is not known yet who has accepted it.
    pub(super) const fn is_undecided(&self) -> bool {
        matches!(self.holder, Holder::Unknown | Holder::PerhapsAnother)
    }

    /// Tells whether the program itself has it.
    pub(super) fn is_with_the_program(&self) -> bool {
        self.holder == Holder::Own
    }

    /// Goes a step further; `is_own` tells of a socket, by its inode, whether the program has it.
    pub(super) fn proceed(
        &mut self,
        now: Duration,
        is_own: impl FnOnce(u64) -> bool,
    ) -> Option<Outcome> {
        if self.is_undecided()
            && let Err(error) = self.look(now, is_own)
        {
            return Some(Outcome::Unseen(error.to_string()));
        }
        self.say();
        self.hear();
        self.outcome(now)
    }

    /// Says all that is left to say: whoever has it is not to wait for it.
    pub(super) fn finish(&mut self) {
        self.holder = Holder::Own;
        self.say();
    }

    fn look(&mut self, now: Duration, is_own: impl FnOnce(u64) -> bool) -> io::Result<()> {
        self.holder = match (peer::inode(&self.connection)?, self.holder) {
            (None, _) => Holder::Unknown,
            (Some(inode), _) if is_own(inode) => Holder::Own,
            // Whoever accepts has the socket a moment before its number.
            (Some(_), Holder::Unknown) => Holder::PerhapsAnother,
            (Some(_), _) => Holder::Another { since: now },
        };
        Ok(())
    }

    fn say(&mut self) {
        let held_back = if self.is_undecided() { LAST } else { 0 };
        while self.unsaid.len() > held_back {
            let now = &self.unsaid[..self.unsaid.len() - held_back];
            match send(&self.connection, now, SendFlags::NOSIGNAL | SendFlags::DONTWAIT) {
                Ok(length) => drop(self.unsaid.drain(..length)),
                // It is not connected yet, or there is no room.
                Err(Errno::AGAIN | Errno::INTR | Errno::NOTCONN | Errno::ALREADY) => return,
                Err(_) => {
                    self.is_over = true;
                    return;
                }
            }
        }
    }

    fn hear(&mut self) {
        let mut some = [0; 2048];
        while self.heard.len() < LONGEST {
            match recv(&self.connection, &mut some, RecvFlags::DONTWAIT) {
                Ok((1.., length)) => self.heard.extend(&some[..length]),
                Err(Errno::AGAIN | Errno::INTR | Errno::NOTCONN) => return,
                Ok(_) | Err(_) => {
                    self.is_over = true;
                    return;
                }
            }
        }
    }

    fn outcome(&self, now: Duration) -> Option<Outcome> {
        let status = status(&self.heard);
        match self.holder {
            Holder::Another { since } => {
                let is_polite = now.saturating_sub(since) >= POLITE;
                (self.is_over || status.is_some() || is_polite).then_some(Outcome::Elsewhere)
            }
            Holder::Own => match status {
                Some(Ok(status)) => Some(Outcome::Answered(status)),
                Some(Err(Nonsense)) => Some(Outcome::Nonsense),
                None if self.heard.len() >= LONGEST => Some(Outcome::Nonsense),
                None => self.is_over.then_some(Outcome::Closed),
            },
            Holder::Unknown | Holder::PerhapsAnother => self.is_over.then_some(Outcome::Closed),
        }
    }
}

/// It is no answer of HTTP/1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Nonsense;

/// Reads the status of an answer (RFC 9112, section 4); `None` as long as it has not come.
///
/// Those below 200 announce another.
fn status(mut heard: &[u8]) -> Option<Result<u16, Nonsense>> {
    loop {
        let known = heard.len().min(5);
        if heard[..known] != b"HTTP/"[..known] {
            return Some(Err(Nonsense));
        }
        let end = heard.iter().position(|byte| *byte == b'\n')?;
        let code = heard[..end].split(|byte| byte.is_ascii_whitespace()).nth(1);
        let code = code.and_then(|code| str::from_utf8(code).ok()?.parse().ok());
        match code {
            Some(100..200) => {
                let head = heard.windows(4).position(|bytes| bytes == b"\r\n\r\n")?;
                heard = &heard[head + 4..];
            }
            Some(code @ 200..1000) => return Some(Ok(code)),
            _ => return Some(Err(Nonsense)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::{TcpListener, TcpStream};

    use proptest::prelude::*;

    use super::*;

    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\n\r\n";

    #[test]
    fn a_status_is_read_as_soon_as_it_is_there() {
        let check =
            |heard: &str, expected| assert_eq!(status(heard.as_bytes()), expected, "{heard}");
        check("", None);
        check("HTT", None);
        check("HTTP/1.1 200 OK", None);
        check("HTTP/1.1 200 OK\r\n", Some(Ok(200)));
        check("HTTP/1.0 503\n", Some(Ok(503)));
        check("HTTP/1.1 103 Early Hints\r\nLink: x\r\n", None);
        check("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 204 x\r\n", Some(Ok(204)));
        check("SSH-2.0-x\r\n", Some(Err(Nonsense)));
        check("HTTP/1.1 OK\r\n", Some(Err(Nonsense)));
        check("HTTP/1.1 20 OK\r\n", Some(Err(Nonsense)));
        check("HTTP/1.1\r\n", Some(Err(Nonsense)));
    }

    fn ask(listener: &TcpListener) -> (Question, TcpStream) {
        let place = rustix::net::getsockname(listener).unwrap();
        let question = Question::ask(&place, REQUEST).unwrap();
        (question, listener.accept().unwrap().0)
    }

    /// Goes on until there is an outcome.
    fn outcome(question: &mut Question, is_own: bool) -> Outcome {
        loop {
            if let Some(outcome) = question.proceed(Duration::ZERO, |_| is_own) {
                return outcome;
            }
            std::thread::yield_now();
        }
    }

    fn all_said(connection: &mut TcpStream) -> Vec<u8> {
        let mut said = vec![0; REQUEST.len()];
        connection.read_exact(&mut said).unwrap();
        said
    }

    #[test]
    fn the_last_bytes_are_held_back_until_it_is_known_who_has_it() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let place = rustix::net::getsockname(&listener).unwrap();
        let mut question = Question::ask(&place, REQUEST).unwrap();
        assert_eq!(question.proceed(Duration::ZERO, |_| panic!("nobody has it")), None);
        let (mut connection, _) = listener.accept().unwrap();
        assert!(question.is_undecided());
        assert_eq!(question.proceed(Duration::ZERO, |_| true), None);
        assert!(question.is_with_the_program());
        assert_eq!(all_said(&mut connection), REQUEST);
        connection.write_all(b"HTTP/1.1 404 x\r\n\r\n").unwrap();
        assert_eq!(outcome(&mut question, true), Outcome::Answered(404));
    }

    #[test]
    fn an_answer_of_another_does_not_count_but_it_hears_the_whole_request() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (mut question, mut connection) = ask(&listener);
        assert_eq!(question.proceed(Duration::ZERO, |_| false), None);
        assert!(question.is_undecided(), "once is not enough");
        assert_eq!(question.proceed(Duration::ZERO, |_| false), None);
        assert_eq!(all_said(&mut connection), REQUEST);
        connection.write_all(b"HTTP/1.1 200 x\r\n\r\n").unwrap();
        assert_eq!(outcome(&mut question, true), Outcome::Elsewhere);
        let (mut unanswered, _connection) = ask(&listener);
        assert_eq!(unanswered.proceed(Duration::ZERO, |_| false), None);
        assert_eq!(unanswered.proceed(Duration::ZERO, |_| false), None);
        assert_eq!(unanswered.proceed(POLITE, |_| false), Some(Outcome::Elsewhere));
    }

    #[test]
    fn what_is_no_answer_is_told_apart() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (mut question, connection) = ask(&listener);
        drop(connection);
        assert_eq!(outcome(&mut question, true), Outcome::Closed);
        let (mut question, mut connection) = ask(&listener);
        connection.write_all(b"hello\n").unwrap();
        assert_eq!(outcome(&mut question, true), Outcome::Nonsense);
        drop(listener);
        let place = rustix::net::getsockname(&connection).unwrap();
        let asked = Question::ask(&place, REQUEST);
        assert!(asked.is_err() || outcome(&mut asked.unwrap(), true) == Outcome::Closed);
    }

    proptest! {
        #[test]
        fn rubbish_has_no_status(heard in proptest::collection::vec(any::<u8>(), 0..200)) {
            let with_head = [b"HTTP/1.1 100 x\r\n", &heard[..]].concat();
            let _ = (status(&heard), status(&with_head));
        }
    }
}
