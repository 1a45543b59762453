//! Which waiting handlers one request wakes, as this program passes it to both rivals.

use std::fmt;
use std::str::FromStr;

/// A notification mode. The raw loop must not need the library, so this is not the library's type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    All,
    Some(usize),
    One,
    Turn,
}

impl Mode {
    /// Whether the handler in `slot` waits with EPOLLEXCLUSIVE.
    pub(crate) fn is_exclusive(self, slot: usize) -> bool {
        match self {
            Self::All => false,
            Self::Some(plurality) => slot + 1 >= plurality,
            Self::One | Self::Turn => true,
        }
    }

    /// Whether one request wakes a bounded number of handlers, however many wait.
    pub(crate) fn is_bounded(self) -> bool {
        self != Self::All
    }
}

impl FromStr for Mode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "all" => Ok(Self::All),
            "one" => Ok(Self::One),
            "turn" => Ok(Self::Turn),
            _ => text
                .strip_prefix("some:")
                .and_then(|plurality| plurality.parse().ok())
                .filter(|&plurality| plurality > 0)
                .map(Self::Some)
                .ok_or_else(|| format!("{text} is none of all, some:K, one, turn")),
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => formatter.write_str("all"),
            Self::Some(plurality) => write!(formatter, "some:{plurality}"),
            Self::One => formatter.write_str("one"),
            Self::Turn => formatter.write_str("turn"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mode_reads_what_it_prints() {
        for text in ["all", "some:2", "one", "turn"] {
            assert_eq!(text.parse::<Mode>().unwrap().to_string(), text);
        }
        assert!("some:0".parse::<Mode>().is_err());
        assert!("many".parse::<Mode>().is_err());
    }

    #[test]
    fn some_k_leaves_the_lowest_slots_non_exclusive() {
        let exclusive = |mode: Mode| [0, 1, 2].map(|slot| mode.is_exclusive(slot));
        assert_eq!(exclusive(Mode::All), [false, false, false]);
        assert_eq!(exclusive(Mode::Some(2)), [false, true, true]);
        assert_eq!(exclusive(Mode::One), [true, true, true]);
    }
}
