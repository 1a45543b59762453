//! What can go wrong, and who is to blame.

use std::fmt;
use std::io;

/// A shorthand for results of this library.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Any error that a load function or the start of a handler may return.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why a server could not be opened, or could not go on.
///
/// Each variant names the object concerned and what to try; [`Error::exit_code`] maps it to the
/// exit status that the program uses.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// A text does not have the form it must have (the operator's mistake).
    Parse {
        /// What the text should have been, for example `address`.
        what: &'static str,
        /// The text as given.
        text: String,
        /// What is wrong with it and what to write instead.
        problem: String,
    },
    /// A setting is well formed but cannot be used (the operator's mistake).
    Configure {
        /// The setting, for example `handlers` or `unix:/run/x.sock`.
        what: String,
        /// What is wrong with it and what to try.
        problem: String,
    },
    /// An address cannot be opened now: it is taken, or the system refuses it.
    Open {
        /// The address as given.
        address: String,
        /// Why, and what to try.
        problem: String,
    },
    /// Another server owns the name.
    Name {
        /// The server's name.
        name: String,
        /// Who has it and what to try.
        problem: String,
    },
    /// No running server answers, or several do and none was chosen.
    NoServer {
        /// Where it was looked for, who runs instead, and what to try.
        problem: String,
    },
    /// A change of a running server was tried and failed; what was there before goes on.
    Change {
        /// Why, and what to try.
        problem: String,
    },
    /// A running server did not try what it was told: something else is going on there.
    Busy {
        /// What is going on, and what to try.
        problem: String,
    },
    /// A running server does not take this from us.
    Denied {
        /// Whose it is or which role is needed, and what to try.
        problem: String,
    },
    /// No handler ever became ready.
    Boot {
        /// What the last attempt ended with and what to try.
        problem: String,
    },
    /// The operating system refused something that is needed.
    System {
        /// What was attempted, for example `create the control page`.
        doing: String,
        /// The system's answer.
        source: io::Error,
    },
}

impl Error {
    /// Returns the exit status for this error, in the numbers of sysexits.h.
    ///
    /// 64: the text is wrong; 69: something is not available now; 70: the server or a change of it
    /// failed; 75: not now; 77: not allowed; 78: the configuration is wrong.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Parse { .. } => 64,
            Self::Open { .. } | Self::Name { .. } | Self::NoServer { .. } => 69,
            Self::Change { .. } | Self::Boot { .. } | Self::System { .. } => 70,
            Self::Busy { .. } => 75,
            Self::Denied { .. } => 77,
            Self::Configure { .. } => 78,
        }
    }

    pub(crate) fn configure(what: impl fmt::Display, problem: impl fmt::Display) -> Self {
        Self::Configure { what: what.to_string(), problem: problem.to_string() }
    }

    pub(crate) fn open(address: impl fmt::Display, problem: impl fmt::Display) -> Self {
        Self::Open { address: address.to_string(), problem: problem.to_string() }
    }
}

/// Adds what was attempted to an error of the operating system.
pub(crate) trait Doing<T> {
    /// Turns the error into [`Error::System`] with these words.
    fn doing(self, what: &str) -> Result<T>;
}

impl<T, E: Into<io::Error>> Doing<T> for std::result::Result<T, E> {
    fn doing(self, what: &str) -> Result<T> {
        self.map_err(|error| Error::System { doing: what.into(), source: error.into() })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Parse { what, text, problem } => write!(f, "{what} `{text}`: {problem}"),
            Self::Configure { what, problem } => write!(f, "{what}: {problem}"),
            Self::Open { address, problem } => {
                write!(f, "cannot open address {address}: {problem}")
            }
            Self::Name { name, problem } => write!(f, "cannot be named `{name}`: {problem}"),
            Self::NoServer { problem } => f.write_str(problem),
            Self::Change { problem } => write!(f, "nothing was changed: {problem}"),
            Self::Busy { problem } => write!(f, "not done: {problem}"),
            Self::Denied { problem } => write!(f, "not allowed: {problem}"),
            Self::Boot { problem } => write!(f, "no handler became ready: {problem}"),
            Self::System { doing, source } => write!(f, "cannot {doing}: {source}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::System { source, .. } => Some(source),
            _ => None,
        }
    }
}
