//! What happens in a server, as it happens.

use super::talk::{Heard, PATIENCE, Talk};
use crate::error::Result;
use crate::journal::Entry;

/// The entries of a server's journal, until it or we close; an error is the last item.
#[derive(Debug)]
pub struct Events {
    talk: Option<Talk>,
    follow: bool,
}

impl Events {
    pub(super) const fn new(talk: Talk, follow: bool) -> Self {
        Self { talk: Some(talk), follow }
    }
}

impl Iterator for Events {
    type Item = Result<Entry>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = hear(self.talk.as_mut()?, self.follow).transpose();
        if !matches!(next, Some(Ok(_))) {
            self.talk = None;
        }
        next
    }
}

fn hear(talk: &mut Talk, follow: bool) -> Result<Option<Entry>> {
    // Nothing may happen for days; what is kept comes at once.
    let patience = (!follow).then_some(PATIENCE);
    match talk.hear(patience)? {
        Heard::Line(line) => talk.read(&line).map(Some),
        Heard::Nothing => Err(talk.silent()),
        Heard::End => Ok(None),
    }
}
