//! Where a text is no TOML, and what else may be wrong only because of that.

use std::collections::BTreeSet;

use toml::de::Error;

use super::finding::{Finding, MOST, line_and_column};

/// The syntax errors of a text.
#[derive(Debug)]
pub(crate) struct Syntax {
    pub(crate) findings: Vec<Finding>,
    /// Their lines.
    lines: BTreeSet<usize>,
    /// The line after which nothing means what it would mean otherwise.
    last: usize,
    /// Where each line of the text begins.
    starts: Vec<usize>,
}

impl Syntax {
    /// Takes the first error of each line; the others are mostly its consequences.
    pub(crate) fn of(text: &str, errors: &[Error]) -> Self {
        let mut findings: Vec<_> = errors.iter().map(|error| finding(text, error)).collect();
        findings.sort_by_key(Finding::start);
        findings.truncate(MOST);
        let line = |finding: &Finding| line_and_column(text, finding.start()).0;
        findings.dedup_by_key(|finding| line(finding));
        let fatal = findings.iter().find(|it| is_fatal(text, it));
        let last = fatal.map_or(usize::MAX, line);
        findings.retain(|finding| line(finding) <= last);
        let lines = findings.iter().map(line).collect();
        let ends = text.match_indices('\n').map(|(at, _)| at + 1);
        Self { findings, lines, last, starts: std::iter::once(0).chain(ends).collect() }
    }

    /// Tells whether what is wrong in this place may be the consequence of a syntax error.
    pub(crate) fn explains(&self, at: usize) -> bool {
        let line = self.starts.partition_point(|start| *start <= at);
        line > self.last || self.lines.contains(&line)
    }
}

/// Tells whether a mistake changes the meaning of all that follows: the header of a table that
/// cannot be read, or a list that has no end (what follows is then taken for its elements).
fn is_fatal(text: &str, finding: &Finding) -> bool {
    let before = text.get(..finding.start()).unwrap_or(text);
    let line = before.rsplit('\n').next().unwrap_or_default().trim_start();
    let is_header = line.starts_with('[');
    is_header || finding.message.contains(COMMA) && line.is_empty()
}

/// What is said of a list whose elements are not kept apart, or whose end is missing.
const COMMA: &str = "missing comma";

/// What to try, by words of what toml says.
const REMEDIES: &[(&str, &str)] = &[
    ("duplicate key", "remove one of the two"),
    (COMMA, "put a comma between the elements of a list, and ] behind the last"),
    ("unclosed table", "close the name of the table with ]"),
    ("unclosed array", "close the list with ]"),
    ("unclosed inline table", "close the table with }"),
    ("escape", "write \\\\ for a backslash, or put the text between single quotes"),
    ("must be quoted", "put it between quotes, as in key = \"text\""),
    ("keys cannot be empty", "write key = value"),
    ("key with no value", "write key = value"),
    ("string", "close the text with a quote"),
    ("unexpected key or value", "begin a new line"),
    ("zero", "write the number without the zero"),
];

fn finding(text: &str, error: &Error) -> Finding {
    let span = error.span().unwrap_or(text.len()..text.len());
    let remedy = REMEDIES.iter().find(|(words, _)| error.message().contains(words));
    let hint = remedy.map_or("write it as in https://toml.io/en/v1.0.0", |(_, hint)| hint);
    Finding::at(span, error.message().to_owned(), hint.into())
}
