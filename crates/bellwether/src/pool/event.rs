//! What can happen to a pool: one type, one queue.

/// Everything that a pool reacts to by itself; what its spawner tells it are its methods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// The template of this generation has answered.
    TemplateSpoke(u64),
    /// A handler has spoken, or closed its channel.
    Channel { slot: usize, hung_up: bool },
    /// A request has come to a listener while the spawner slept.
    Request,
    /// A handler has taken the last free thread.
    Doorbell,
    /// The patience with a slot has run out.
    Expired(usize),
    /// A template should have left by now.
    TemplateLate(u64),
    /// It is time to look around.
    Look,
    /// It is time to ask the balance.
    Decide,
}

/// A descriptor that a pool watches, as a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Template(u64),
    Listener(usize),
    Channel(usize),
    Doorbell,
}

/// The bits of a token that hold the number of its source.
const NUMBER: u64 = (1 << 56) - 1;

impl Source {
    pub(super) const fn token(self) -> u64 {
        let (kind, number) = match self {
            Self::Template(generation) => (0, generation),
            Self::Listener(i) => (1, i as u64),
            Self::Channel(slot) => (2, slot as u64),
            Self::Doorbell => (3, 0),
        };
        kind << 56 | number & NUMBER
    }

    pub(super) fn from_token(token: u64) -> Self {
        let number = token & NUMBER;
        let index = usize::try_from(number).unwrap_or(0);
        match token >> 56 {
            0 => Self::Template(number),
            1 => Self::Listener(index),
            2 => Self::Channel(index),
            _ => Self::Doorbell,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_means_its_source() {
        for source in [
            Source::Template(1 << 40),
            Source::Listener(1),
            Source::Channel(4095),
            Source::Doorbell,
        ] {
            assert_eq!(Source::from_token(source.token()), source);
        }
    }
}
