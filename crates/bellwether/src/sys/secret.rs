//! A secret: bytes from the kernel that nobody else has.

use std::fmt;
use std::io;

use rustix::rand::{GetRandomFlags, getrandom};
use serde::{Deserialize, Serialize};

/// 32 random bytes; they are not shown to people who debug.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Secret([u8; 32]);

#[cfg_attr(not(feature = "tls"), allow(dead_code))]
impl Secret {
    /// Asks the kernel for a new one (getrandom(2)).
    pub(crate) fn random() -> io::Result<Self> {
        let mut bytes = [0; 32];
        // Up to 256 bytes come whole or not at all.
        getrandom(&mut bytes, GetRandomFlags::empty())?;
        Ok(Self(bytes))
    }

    pub(crate) const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_secrets_differ_and_neither_is_shown() {
        let (one, other) = (Secret::random().unwrap(), Secret::random().unwrap());
        assert_ne!(one, other);
        assert_eq!(format!("{one:?}"), format!("{other:?}"));
    }
}
