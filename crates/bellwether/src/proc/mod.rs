//! What /proc tells of a process: what its threads are doing, and what they have used.
//!
//! The spawner asks before it kills, and whoever looks at a server asks for himself, so that looking
//! costs the spawner nothing.

pub(crate) mod evidence;
pub(crate) mod usage;

/// Makes the words of another process fit to be shown: one line, nothing that moves a cursor.
pub(crate) fn plain(words: &[u8]) -> String {
    let words = String::from_utf8_lossy(words);
    words.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
