//! How long a client of HTTP is waited for, and how much it may send.

use std::time::Duration;

use crate::error::{Error, Result};

/// How long a client of HTTP is waited for, and how much it may send.
///
/// Set by [`Builder::http_limits`](crate::Builder::http_limits). A time counts only while the
/// server waits for the client, never while the service takes its own;
/// [`Duration::MAX`] is for ever.
///
/// ```
/// use std::time::Duration;
/// use bellwether::Server;
/// use bellwether::http::Limits;
///
/// let limits = Limits {
///     idle: Duration::from_secs(10),
///     body_bytes: 2 << 20, // 413 to more than 2 MiB
///     ..Limits::default()
/// };
/// let builder = Server::builder().listen("127.0.0.1:8080").http_limits(limits);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How long a connection is kept on which nothing is asked; default 60 s.
    ///
    /// Then it is closed, in HTTP/2 with GOAWAY. The first request has [`Limits::head`] alone.
    pub idle: Duration,
    /// How long the head of a request may take from its first byte on, the first one of a
    /// connection from the beginning of that; default 30 s.
    ///
    /// Then it is answered with 408 and closed; closed without a word where nothing has come.
    pub head: Duration,
    /// How long the service waits for the next piece of a body, and for all of a body longer by a
    /// second for each [`LEAST_RATE`] bytes that came; default 30 s.
    ///
    /// Then the service reads an error, and the client gets 408 whatever the service answers. Once
    /// the head of an answer is there the body is not bounded: both may talk at the same time.
    pub body: Duration,
    /// How long an answer waits for a client that takes nothing of it, and longer by a second for
    /// each [`LEAST_RATE`] bytes that it took; default 60 s.
    ///
    /// Then the connection is closed. In HTTP/2 that holds for all answers of a connection
    /// together: while one of them goes on, the others may stand.
    pub write: Duration,
    /// How long the target of a request (its path and query) may be, in bytes; default 8 KiB.
    ///
    /// A longer one is answered with 414.
    pub target_bytes: usize,
    /// How long the head of a request may be: its target, and names and values of its fields with
    /// four bytes more for each; 1 KiB to 1 MiB, default 32 KiB.
    ///
    /// A longer one is answered with 431; with an empty one where it has twice as many bytes (and
    /// more than 64 KiB), or in HTTP/1 more than 100 fields.
    pub head_bytes: usize,
    /// How long the body of a request may be, in bytes; default 1 GiB.
    ///
    /// A longer one is answered with 413: before the service sees anything of it where the client
    /// says its length, else when the service has read so much.
    pub body_bytes: u64,
}

/// How many bytes a client must send or take in a second, on average, once it has used up the time
/// that it may be waited for: what Apache's mod_reqtimeout asks for, and a modem of 1990 could do.
pub const LEAST_RATE: u32 = 500;

impl Default for Limits {
    fn default() -> Self {
        Self {
            idle: Duration::from_secs(60),
            head: Duration::from_secs(30),
            body: Duration::from_secs(30),
            write: Duration::from_secs(60),
            target_bytes: 8 << 10,
            head_bytes: 32 << 10,
            body_bytes: 1 << 30,
        }
    }
}

impl Limits {
    /// Refuses what would serve nobody.
    pub(super) fn check(&self) -> Result<()> {
        let times = [
            ("idle limit", self.idle),
            ("head limit", self.head),
            ("body limit", self.body),
            ("write limit", self.write),
        ];
        if let Some((what, _)) = times.iter().find(|(_, time)| time.is_zero()) {
            return Err(Error::configure(what, "0 is not possible; Duration::MAX is for ever"));
        }
        let head = self.head_bytes;
        if !(1 << 10..=1 << 20).contains(&head) {
            let problem = format!("{head} bytes are not possible; choose 1 KiB to 1 MiB");
            return Err(Error::configure("head limit", problem));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_serve_nobody_is_refused() {
        let check = |limits: Limits, words: Option<&str>| {
            let told = limits.check().err().map(|error| error.to_string());
            assert_eq!(told.is_some(), words.is_some(), "{limits:?}: {told:?}");
            assert!(told.unwrap_or_default().contains(words.unwrap_or_default()));
        };
        let usual = Limits::default();
        check(usual, None);
        check(Limits { body: Duration::MAX, body_bytes: 0, ..usual }, None);
        check(Limits { idle: Duration::ZERO, ..usual }, Some("idle limit"));
        check(Limits { write: Duration::ZERO, ..usual }, Some("for ever"));
        check(Limits { head_bytes: 1023, ..usual }, Some("1 KiB to 1 MiB"));
        check(Limits { head_bytes: (1 << 20) + 1, ..usual }, Some("1048577 bytes"));
    }
}
