//! The rules by which a pool lives: its times, its limits, and how it changes.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::handler::Deadlines;

/// Everything that an operator may set about the life of a pool's handlers.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    pub(crate) times: Times,
    pub(crate) change: ChangeRules,
    pub(crate) deadlines: Deadlines,
    pub(crate) recycling: Recycling,
    /// After how many pauses in a row without any handler ever ready the server gives up.
    pub(crate) boot_attempts: u32,
    /// How many handlers that died may be replaced in a minute.
    pub(crate) crash_budget: u32,
    /// Whether late connections are sent away while more come than can be served.
    pub(crate) shed: bool,
}

/// How long each phase may last.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Times {
    /// From fork to ready.
    pub(crate) boot: Duration,
    /// From the announcement of a stop until newcomers are refused.
    pub(crate) announce: Duration,
    /// From the order to leave to SIGTERM.
    pub(crate) grace: Duration,
    /// From SIGTERM to SIGKILL, and between two SIGKILLs.
    pub(crate) last: Duration,
}

/// How a new generation takes the place of the old.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ChangeRules {
    /// How long the first handler of a new generation must live before others follow.
    pub(crate) canary: Duration,
    /// How many handlers there may be above the number wanted.
    pub(crate) surge: Amount,
    /// How many of the handlers wanted may be missing.
    pub(crate) unavailable: Amount,
    /// How many old generations may still be finishing their requests.
    pub(crate) old_generations: usize,
}

/// When a handler has served long enough and another takes its place.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Recycling {
    pub(crate) requests: Option<u64>,
    pub(crate) age: Option<Duration>,
    /// Bytes of memory, shared pages counted in proportion (PSS).
    pub(crate) memory: Option<u64>,
    /// Percent of the time for which somebody on the machine waits for memory, 0 to 100.
    pub(crate) memory_pressure: Option<f64>,
}

/// A number of handlers, or a share of those that are wanted.
///
/// ```
/// # use bellwether::Amount;
/// assert_eq!("25%".parse::<Amount>()?, Amount::Percent(25));
/// assert_eq!("2".parse::<Amount>()?, Amount::Count(2));
/// # Ok::<(), bellwether::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Amount {
    /// That many.
    Count(usize),
    /// That many of a hundred, 0 to 100.
    Percent(u8),
}

impl Amount {
    /// Returns the number of handlers when `wanted` are wanted, a share rounded up.
    #[must_use]
    pub const fn of(self, wanted: usize) -> usize {
        match self {
            Self::Count(count) => count,
            Self::Percent(percent) => (wanted * percent as usize).div_ceil(100),
        }
    }
}

impl FromStr for Amount {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let amount = match text.strip_suffix('%') {
            None => text.parse().ok().map(Self::Count),
            Some(share) => share.parse().ok().filter(|share| *share <= 100).map(Self::Percent),
        };
        amount.ok_or_else(|| Error::Parse {
            what: "amount",
            text: text.into(),
            problem: "write a number of handlers or a share of them, like 2 or 25%".into(),
        })
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => write!(f, "{count}"),
            Self::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            times: Times {
                boot: Duration::from_secs(60),
                announce: Duration::ZERO,
                grace: Duration::from_secs(30),
                last: Duration::from_secs(5),
            },
            change: ChangeRules {
                canary: Duration::from_secs(1),
                surge: Amount::Percent(25),
                unavailable: Amount::Count(0),
                old_generations: 4,
            },
            deadlines: Deadlines::default(),
            recycling: Recycling::default(),
            boot_attempts: 4,
            crash_budget: 6000,
            shed: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_counts_or_shares_rounded_up() {
        assert_eq!(Amount::Percent(25).of(4), 1);
        assert_eq!(Amount::Percent(25).of(5), 2);
        assert_eq!(Amount::Count(3).of(0), 3);
        for text in ["", "-1", "101%", "%", "two", "1.5"] {
            assert!(text.parse::<Amount>().is_err(), "{text}");
        }
        for text in ["0", "7", "0%", "100%"] {
            assert_eq!(text.parse::<Amount>().unwrap().to_string(), text);
        }
    }
}
