//! By what a program was found to be ready.

use std::fmt;

/// What showed that a program is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Evidence {
    /// It has accepted a connection, before it was seen to wait for one.
    Serves,
    /// A thread sleeps in poll or select, and the listener is among what it waits for.
    Poll,
    /// A thread sleeps in accept.
    Accept,
    /// An epoll is armed with the listener.
    Epoll,
    /// It called listen(2) on the socket in whose place ours is.
    Listen,
    /// It accepts connections at the port of its own.
    Port,
    /// The kernel does not let us look, and it has run for a while.
    Unseen,
    /// It said `READY=1`.
    Notify,
    /// It ended a line at its descriptor.
    Descriptor,
    /// It has answered a request of HTTP.
    Http,
    /// It has run for as long as its owner said.
    Time,
}

impl Evidence {
    const ALL: [Self; 11] = [
        Self::Serves,
        Self::Poll,
        Self::Accept,
        Self::Epoll,
        Self::Listen,
        Self::Port,
        Self::Unseen,
        Self::Notify,
        Self::Descriptor,
        Self::Http,
        Self::Time,
    ];

    /// Reads a code; `None` for what a later version may say.
    pub(crate) fn of(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.code() == code)
    }

    /// The byte by which a warden says it; never zero, which ends words.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Serves => b's',
            Self::Poll => b'p',
            Self::Accept => b'a',
            Self::Epoll => b'e',
            Self::Listen => b'l',
            Self::Port => b'o',
            Self::Unseen => b'u',
            Self::Notify => b'n',
            Self::Descriptor => b'd',
            Self::Http => b'h',
            Self::Time => b't',
        }
    }

    /// The word for machines.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Serves => "serves",
            Self::Poll => "poll",
            Self::Accept => "accept",
            Self::Epoll => "epoll",
            Self::Listen => "listen",
            Self::Port => "port",
            Self::Unseen => "unseen",
            Self::Notify => "notify",
            Self::Descriptor => "fd",
            Self::Http => "http",
            Self::Time => "time",
        }
    }
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Serves => "it has accepted a connection",
            Self::Poll => "it waits in poll",
            Self::Accept => "it waits in accept",
            Self::Epoll => "an epoll waits at the address",
            Self::Listen => "it called listen",
            Self::Port => "it accepts connections at its own port",
            Self::Unseen => "it runs, and nothing more can be seen of it",
            Self::Notify => "it said READY=1",
            Self::Descriptor => "it ended a line at its descriptor",
            Self::Http => "it answered what it was asked",
            Self::Time => "its time to start is over",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_evidence_has_a_code_and_words_of_its_own() {
        for (i, one) in Evidence::ALL.into_iter().enumerate() {
            assert_eq!(Evidence::of(one.code()), Some(one));
            assert_ne!(one.code(), 0);
            for other in &Evidence::ALL[..i] {
                assert_ne!((one.word(), one.to_string()), (other.word(), other.to_string()));
            }
        }
        assert_eq!((Evidence::of(0), Evidence::of(0xff)), (None, None));
    }
}
