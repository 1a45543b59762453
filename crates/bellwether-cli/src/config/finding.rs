//! Something wrong with a file, and where.

use std::ops::Range;

/// How many findings are told of one file; whoever has more has another kind of file.
pub(crate) const MOST: usize = 100;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    /// What is wrong.
    pub(crate) message: String,
    /// What to try.
    pub(crate) hint: String,
    /// Where: first the place to change, then others that play a part.
    pub(crate) places: Vec<Place>,
}

/// A part of the file, in bytes, and what is to be said beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) span: Range<usize>,
    pub(crate) label: String,
}

impl Finding {
    /// Something wrong in one place.
    pub(crate) fn at(span: Range<usize>, message: String, hint: String) -> Self {
        Self { message, hint, places: vec![Place { span, label: String::new() }] }
    }

    /// Where it starts, in bytes.
    pub(crate) fn start(&self) -> usize {
        self.places.first().map_or(0, |place| place.span.start)
    }
}

/// The line and the column of a byte, both from 1; columns are characters.
pub(crate) fn line_and_column(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |end| end + 1);
    let line = 1 + before.bytes().filter(|byte| *byte == b'\n').count();
    (line, 1 + before[line_start..].chars().count())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_from_one_and_in_characters() {
        let check = |at, expected| assert_eq!(line_and_column("ä = 1\nb = 2\n", at), expected);
        check(0, (1, 1));
        check(2, (1, 2));
        check(7, (2, 1));
        check(99, (3, 1));
    }
}
