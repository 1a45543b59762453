//! What can be said at the control socket, and what is answered: JSON, a line each.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::access::Role;
use crate::error::Error;
use crate::journal::Entry;

/// What a client can ask for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Command {
    /// How the server is; answered with a `Status`.
    Status {},
    /// The last entries of the journal; answered with a [`Why`].
    Why {},
    /// Every entry of the journal from now on, a line each, after those that are kept.
    Events {
        /// Whether to go on with what happens from now on.
        #[serde(default)]
        follow: bool,
    },
    /// Another number of handlers; answered with an [`Answer`] when that many are ready.
    Scale {
        /// Which pool; not needed where there is one.
        #[serde(default)]
        pool: Option<String>,
        /// How many.
        handlers: String,
    },
    /// A new generation of handlers in place of the present one.
    Reload {},
    /// A new spawner program, and a new generation of handlers with it.
    Upgrade {},
    /// No newcomers, and everybody finishes; the spawner stays.
    Drain {
        /// Which pool; without one all of them.
        #[serde(default)]
        pool: Option<String>,
    },
    /// The end, when all requests are finished or at once.
    Stop {
        /// Whether to cut what is not finished.
        #[serde(default)]
        now: bool,
    },
}

impl Command {
    /// Returns the role that a client needs for it.
    pub(crate) const fn role(&self) -> Role {
        match self {
            Self::Status {} | Self::Why {} | Self::Events { .. } => Role::Read,
            Self::Scale { .. } | Self::Reload {} | Self::Drain { .. } | Self::Stop { .. } => {
                Role::Operate
            }
            Self::Upgrade {} => Role::Admin,
        }
    }

    /// Returns the verb alone.
    pub(crate) const fn verb(&self) -> &'static str {
        match self {
            Self::Status {} => "status",
            Self::Why {} => "why",
            Self::Events { .. } => "events",
            Self::Scale { .. } => "scale",
            Self::Reload {} => "reload",
            Self::Upgrade {} => "upgrade",
            Self::Drain { .. } => "drain",
            Self::Stop { .. } => "stop",
        }
    }
}

/// What became of a command, said when it is over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "result", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Answer {
    /// It is done.
    Done {
        /// What was done, in words.
        what: String,
        /// Seconds that it took.
        took_s: f64,
        /// Connections that were cut for it.
        #[serde(default)]
        cut: u64,
    },
    /// It was tried and failed; what was there before goes on.
    Failed {
        /// Why, and what to try.
        reason: String,
    },
    /// It was not tried: something else is going on, or there is nothing to do it to.
    Refused {
        /// Why, and what to try.
        reason: String,
    },
    /// It was not tried: this client may not ask for it.
    Denied {
        /// Why, and what to try.
        reason: String,
    },
    /// It was not understood.
    Unknown {
        /// What is wrong with it.
        reason: String,
    },
}

/// The answer to `why`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Why {
    /// Why each pool has as many handlers as it has: its name and the last decision.
    pub pools: Vec<(String, String)>,
    /// The last things that happened, the oldest first.
    pub entries: Vec<Entry>,
}

/// How many handlers a pool is to have.
///
/// ```
/// # use bellwether::Scale;
/// assert_eq!("4".parse::<Scale>()?, Scale::Between(4, 4));
/// assert_eq!("2..8".parse::<Scale>()?, Scale::Between(2, 8));
/// assert_eq!("auto".parse::<Scale>()?, Scale::Auto);
/// # Ok::<(), bellwether::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Scale {
    /// As many as the balance decides, between these two.
    Between(usize, usize),
    /// As the server was configured.
    Auto,
}

impl FromStr for Scale {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let wrong = || Error::Parse {
            what: "number of handlers",
            text: text.into(),
            problem: "write N, MIN..MAX (up to 4096, the smaller first; only MIN may be 0) or auto"
                .into(),
        };
        if text == "auto" {
            return Ok(Self::Auto);
        }
        let (min, max) = text.split_once("..").unwrap_or((text, text));
        match (min.parse(), max.parse()) {
            (Ok(min), Ok(max)) if min <= max && (1..=4096).contains(&max) => {
                Ok(Self::Between(min, max))
            }
            _ => Err(wrong()),
        }
    }
}

impl fmt::Display for Scale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Between(min, max) if min == max => write!(f, "{min}"),
            Self::Between(min, max) => write!(f, "{min}..{max}"),
            Self::Auto => f.write_str("auto"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_fixed_verbs() {
        for (text, verb) in [
            (r#"{"verb":"status"}"#, "status"),
            (r#"{"verb":"stop"}"#, "stop"),
            (r#"{"verb":"stop","now":true}"#, "stop"),
            (r#"{"verb":"scale","handlers":"2..8"}"#, "scale"),
            (r#"{"verb":"events","follow":true}"#, "events"),
        ] {
            assert_eq!(serde_json::from_str::<Command>(text).unwrap().verb(), verb, "{text}");
        }
        for rubbish in [
            "",
            "status",
            "{}",
            r#"{"verb":"explode"}"#,
            "[1]",
            "\u{0}",
            r#"{"verb":"upgrade","binary":"/tmp/x"}"#,
            r#"{"verb":"stop","now":"please"}"#,
        ] {
            assert!(serde_json::from_str::<Command>(rubbish).is_err(), "{rubbish}");
        }
    }

    #[test]
    fn numbers_of_handlers_are_read_as_they_are_printed() {
        for text in ["1", "4096", "2..8", "0..2", "auto"] {
            assert_eq!(text.parse::<Scale>().unwrap().to_string(), text);
        }
        for text in ["", "0", "0..0", "4097", "8..2", "1..", "..4", "-1", "1...2", "x"] {
            assert!(text.parse::<Scale>().is_err(), "{text}");
        }
    }
}
