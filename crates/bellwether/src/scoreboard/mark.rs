//! What a thread of a handler says about its oldest unfinished request: since when, and a label.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering, fence};

use crate::sys::memory::Page;

/// The most bytes of a label.
pub(super) const LONGEST: usize = 63;

/// The words of a label in the page: a count of writings, odd while one is under way, and the text.
pub(super) const WORDS: usize = 1 + TEXT;

const TEXT: usize = 8;
const WORD: usize = size_of::<u64>();

/// How often a reader tries for a text that is not being written at the moment.
///
/// A handler may have died while it wrote: then the torn text is what there is.
const TRIES: usize = 4;

/// Where one thread says since when its oldest unfinished request lasts, and what it is.
///
/// It has one writer at a time; who has several must take turns.
#[derive(Debug)]
pub(crate) struct Mark {
    page: Arc<Page>,
    since: usize,
    label: usize,
}

impl Mark {
    /// Takes the words of a page that begin at these numbers: one, and [`WORDS`].
    pub(super) const fn new(page: Arc<Page>, since: usize, label: usize) -> Self {
        Self { page, since, label }
    }

    /// The oldest unfinished request has waited or been served since then (ns since boot).
    pub(crate) fn set(&self, since: u64, label: &Label) {
        self.name(label);
        self.page[self.since].store(since, Ordering::Release);
    }

    /// Writes the label alone.
    pub(super) fn name(&self, label: &Label) {
        if let Some(words) = self.page.get(self.label..self.label + WORDS) {
            label.write(words);
        }
    }

    /// No request is unfinished.
    pub(crate) fn clear(&self) {
        self.page[self.since].store(0, Ordering::Release);
    }
}

/// A text of at most 63 bytes, in the form in which it stands in the page; the rest is zeros.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Label([u64; TEXT]);

impl Label {
    /// Takes the beginning of a text, cut between two characters.
    pub(crate) fn of(text: &str) -> Self {
        let end = (0..=text.len().min(LONGEST)).rev().find(|end| text.is_char_boundary(*end));
        let text = &text.as_bytes()[..end.unwrap_or(0)];
        let mut words = [0; TEXT];
        for (word, bytes) in words.iter_mut().zip(text.chunks(WORD)) {
            let mut full = [0; WORD];
            full[..bytes.len()].copy_from_slice(bytes);
            *word = u64::from_ne_bytes(full);
        }
        Self(words)
    }

    /// Writes the label into its [`WORDS`] words of the page; there is one writer at a time.
    fn write(&self, page: &[AtomicU64]) {
        let Some((count, text)) = page.split_first() else { return };
        let before = count.load(Ordering::Relaxed);
        count.store(before.wrapping_add(1) | 1, Ordering::Relaxed);
        fence(Ordering::Release);
        for (word, value) in text.iter().zip(self.0) {
            word.store(value, Ordering::Relaxed);
        }
        count.store((before | 1).wrapping_add(1), Ordering::Release);
    }
}

/// Reads a label through `word`, which returns one word of the page, and makes it fit to be shown.
///
/// Whatever is not a letter, a digit or a sign of ASCII becomes a question mark.
pub(super) fn read(word: impl Fn(usize) -> u64) -> String {
    let mut bytes = [0; TEXT * WORD];
    for _ in 0..TRIES {
        let before = word(0);
        for (i, bytes) in bytes.chunks_mut(WORD).enumerate() {
            bytes.copy_from_slice(&word(1 + i).to_ne_bytes());
        }
        if before.is_multiple_of(2) && word(0) == before {
            break;
        }
    }
    let text = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
    let text = String::from_utf8_lossy(&text[..text.len().min(LONGEST)]);
    let can_be_shown = |c: char| c == ' ' || c.is_ascii_graphic() || c.is_alphanumeric();
    text.chars().map(|c| if can_be_shown(c) { c } else { '?' }).collect()
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn page() -> [AtomicU64; WORDS] {
        std::array::from_fn(|_| AtomicU64::new(0))
    }

    fn shown(page: &[AtomicU64]) -> String {
        read(|word| page[word].load(Ordering::Relaxed))
    }

    #[test]
    fn what_is_written_is_read() {
        let page = page();
        let check = |text: &str, expected: &str| {
            Label::of(text).write(&page);
            assert_eq!(shown(&page), expected);
        };
        check("GET /a/rather/long/path/to/something", "GET /a/rather/long/path/to/something");
        check("GET /", "GET /");
        check("", "");
        check(&"x".repeat(63), &"x".repeat(63));
        check(&"x".repeat(99), &"x".repeat(63));
        check(&format!("{}é", "x".repeat(62)), &"x".repeat(62));
        check("Käse", "Käse");
    }

    #[test]
    fn what_would_move_a_cursor_or_turn_the_line_around_is_not_shown() {
        let page = page();
        Label::of("<a>\x1b[2J\n\u{202e}\"").write(&page);
        assert_eq!(shown(&page), "<a>?[2J??\"");
        page[1].store(u64::MAX, Ordering::Relaxed);
        assert!(shown(&page).starts_with("????????"));
    }

    #[test]
    fn a_text_that_changes_under_the_reader_is_read_again() {
        let page = page();
        Label::of("before").write(&page);
        let looks = Cell::new(0);
        let text = read(|word| {
            looks.set(looks.get() + 1);
            if looks.get() == 3 {
                Label::of("after").write(&page);
            }
            page[word].load(Ordering::Relaxed)
        });
        assert_eq!(text, "after");
    }

    #[test]
    fn a_handler_that_dies_while_it_writes_delays_nobody() {
        let page = page();
        Label::of("torn").write(&page);
        page[0].fetch_add(1, Ordering::Relaxed);
        assert_eq!(shown(&page), "torn");
        Label::of("whole").write(&page);
        assert_eq!(shown(&page), "whole");
        assert!(page[0].load(Ordering::Relaxed).is_multiple_of(2));
    }
}
