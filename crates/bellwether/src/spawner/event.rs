//! What can happen to the spawner: one type, one queue.

/// Everything that the spawner reacts to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// A signal other than SIGCHLD.
    Signal(i32),
    /// Some children have ended.
    ChildrenEnded,
    /// Something has happened to a pool, or is due there.
    Pool(usize),
    /// A program that rehearses has said something.
    RehearsalSpoke,
    /// Something has happened to the folder of the server.
    FolderChanged,
    /// A client knocks at the control socket.
    Knock,
    /// A control client has spoken, can read on, or is gone.
    Client { number: usize, hung_up: bool },
}

/// A descriptor that the spawner watches, as a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Signals,
    Control,
    Pool(usize),
    Client(usize),
    Rehearsal,
    Folder,
}

impl Source {
    pub(super) const fn token(self) -> u64 {
        let (kind, number) = match self {
            Self::Signals => (0, 0),
            Self::Control => (1, 0),
            Self::Pool(i) => (2, i),
            Self::Client(i) => (3, i),
            Self::Rehearsal => (4, 0),
            Self::Folder => (5, 0),
        };
        kind << 32 | number as u64
    }

    pub(super) fn from_token(token: u64) -> Self {
        let number = usize::try_from(token & 0xffff_ffff).unwrap_or(0);
        match token >> 32 {
            0 => Self::Signals,
            1 => Self::Control,
            2 => Self::Pool(number),
            3 => Self::Client(number),
            4 => Self::Rehearsal,
            _ => Self::Folder,
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
            Source::Control,
            Source::Pool(7),
            Source::Client(31),
            Source::Rehearsal,
        ] {
            assert_eq!(Source::from_token(source.token()), source);
        }
    }
}
