//! What spawner and template say to each other: fixed forms, read without trust.

/// The spawner asks for a handler; its channel and telemetry file come along as descriptors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    /// Where the spawner keeps its books on it.
    pub(crate) slot: usize,
    pub(crate) ticket: u64,
    /// The slot's number as the handler is to know it.
    pub(crate) number: usize,
}

/// The template answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The handler asked for by this ticket is this process.
    Born { slot: usize, ticket: u64, pid: i32 },
    /// The handler could not be forked.
    NotForked { slot: usize, ticket: u64, problem: String },
    /// The application could not be loaded.
    NotLoaded { problem: String },
}

/// The longest message; longer problems are cut.
pub(crate) const LONGEST: usize = 1024;

const HEAD: usize = 24;

/// The fourth number is a pid, or the number of a slot.
fn encode(kind: u8, slot: usize, ticket: u64, number: i32, text: &str) -> Vec<u8> {
    let mut bytes = vec![kind, 0, 0, 0];
    bytes.extend(number.to_ne_bytes());
    bytes.extend((slot as u64).to_ne_bytes());
    bytes.extend(ticket.to_ne_bytes());
    bytes.extend(text.bytes().take(LONGEST - HEAD));
    bytes
}

fn head(bytes: &[u8]) -> Option<(u8, usize, u64, i32)> {
    let number = i32::from_ne_bytes(bytes.get(4..8)?.try_into().ok()?);
    let slot = u64::from_ne_bytes(bytes.get(8..16)?.try_into().ok()?);
    let ticket = u64::from_ne_bytes(bytes.get(16..24)?.try_into().ok()?);
    Some((*bytes.first()?, usize::try_from(slot).ok()?, ticket, number))
}

impl Request {
    pub(crate) fn encode(self) -> Vec<u8> {
        encode(b'F', self.slot, self.ticket, i32::try_from(self.number).unwrap_or(i32::MAX), "")
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        match head(bytes)? {
            (b'F', slot, ticket, number) => {
                Some(Self { slot, ticket, number: usize::try_from(number).ok()? })
            }
            _ => None,
        }
    }
}

impl Answer {
    pub(crate) fn encode(&self) -> Vec<u8> {
        match self {
            Self::Born { slot, ticket, pid } => encode(b'B', *slot, *ticket, *pid, ""),
            Self::NotForked { slot, ticket, problem } => encode(b'N', *slot, *ticket, 0, problem),
            Self::NotLoaded { problem } => encode(b'L', 0, 0, 0, problem),
        }
    }

    /// Reads an answer; rubbish is no answer.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let (kind, slot, ticket, pid) = head(bytes)?;
        let problem = String::from_utf8_lossy(bytes.get(HEAD..)?).into_owned();
        match kind {
            b'B' if pid > 1 => Some(Self::Born { slot, ticket, pid }),
            b'N' => Some(Self::NotForked { slot, ticket, problem }),
            b'L' => Some(Self::NotLoaded { problem }),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_said_is_what_is_heard() {
        let request = Request { slot: 7, ticket: 9, number: 3 };
        assert_eq!(Request::decode(&request.encode()), Some(request));
        for answer in [
            Answer::Born { slot: 1, ticket: 2, pid: 3 },
            Answer::NotForked { slot: 1, ticket: 2, problem: "no memory".into() },
            Answer::NotLoaded { problem: "no such file".into() },
        ] {
            assert_eq!(Answer::decode(&answer.encode()), Some(answer));
        }
    }

    proptest! {
        #[test]
        fn rubbish_is_never_a_pid_that_signals_a_group(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            if let Some(Answer::Born { pid, .. }) = Answer::decode(&bytes) {
                prop_assert!(pid > 1);
            }
        }
    }
}
