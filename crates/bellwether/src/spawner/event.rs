//! What can happen to the spawner: one type, one queue.

/// Everything that the spawner reacts to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// A signal other than SIGCHLD.
    Signal(i32),
    /// Some children have ended.
    ChildrenEnded,
    /// The template has answered.
    TemplateSpoke,
    /// A handler has spoken, or closed its channel.
    Channel { slot: usize, hung_up: bool },
    /// A request has come to a listener while the spawner slept.
    Request,
    /// A client knocks at the control socket.
    Knock,
    /// A control client has spoken, or can read on.
    Client(usize),
    /// The patience with a slot has run out.
    Expired(usize),
    /// The template should have left by now.
    TemplateLate,
    /// It is time to look around.
    Look,
}

/// A descriptor that the spawner watches, as a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Signals,
    Template,
    Control,
    Listener(usize),
    Channel(usize),
    Client(usize),
}

impl Source {
    pub(crate) const fn token(self) -> u64 {
        let (kind, number) = match self {
            Self::Signals => (0, 0),
            Self::Template => (1, 0),
            Self::Control => (2, 0),
            Self::Listener(i) => (3, i),
            Self::Channel(slot) => (4, slot),
            Self::Client(i) => (5, i),
        };
        kind << 32 | number as u64
    }

    pub(crate) fn from_token(token: u64) -> Self {
        let number = usize::try_from(token & 0xffff_ffff).unwrap_or(0);
        match token >> 32 {
            0 => Self::Signals,
            1 => Self::Template,
            2 => Self::Control,
            3 => Self::Listener(number),
            4 => Self::Channel(number),
            _ => Self::Client(number),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_means_its_source() {
        for source in [
            Source::Signals,
            Source::Template,
            Source::Control,
            Source::Listener(1),
            Source::Channel(4095),
            Source::Client(31),
        ] {
            assert_eq!(Source::from_token(source.token()), source);
        }
    }
}
