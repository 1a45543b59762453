//! What is asked about: a pool, or a slot.

use std::convert::Infallible;
use std::str::FromStr;

/// What `why` may be asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    Pool(String),
    /// A slot, of a pool where that is named.
    Slot(Option<String>, usize),
}

impl FromStr for Subject {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        if let Ok(slot) = text.parse() {
            return Ok(Self::Slot(None, slot));
        }
        let parts = text.rsplit_once('/').map(|(pool, slot)| (pool, slot.parse()));
        Ok(match parts {
            Some((pool, Ok(slot))) => Self::Slot(Some(pool.into()), slot),
            _ => Self::Pool(text.into()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_a_slot_and_all_else_a_pool() {
        let check = |text: &str, expected: Subject| assert_eq!(text.parse(), Ok(expected));
        check("3", Subject::Slot(None, 3));
        check("web/3", Subject::Slot(Some("web".into()), 3));
        check("web", Subject::Pool("web".into()));
        check("web/x", Subject::Pool("web/x".into()));
        check("-1", Subject::Pool("-1".into()));
    }
}
