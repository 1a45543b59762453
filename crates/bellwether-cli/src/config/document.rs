//! The text of a file as a tree whose every key and value knows its place.

use std::ops::Range;

use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeTable, DeValue, Deserializer, Error};

use super::finding::{Finding, line_and_column};
use super::nearest::nearest;

/// A file that has been read as TOML.
#[derive(Debug)]
pub(crate) struct Document<'t> {
    text: &'t str,
    tree: DeTable<'t>,
    /// What is no TOML.
    syntax: Vec<Finding>,
}

impl<'t> Document<'t> {
    /// Reads a text as TOML, as far as it is.
    pub(crate) fn read(text: &'t str) -> Self {
        let (tree, errors) = DeTable::parse_recoverable(text);
        let mut syntax: Vec<_> = errors.iter().map(|error| syntax_finding(text, error)).collect();
        // Behind the first mistake of a line or a list the others are mostly its consequences.
        let line = |finding: &Finding| line_and_column(text, finding.start()).0;
        let is_list = |finding: &Finding| finding.message.contains(COMMA);
        syntax.dedup_by(|later, first| {
            line(later) == line(first) || is_list(later) && is_list(first)
        });
        Self { text, tree: tree.into_inner(), syntax }
    }

    /// Makes a value of the tree, and finds all that stands in the way.
    ///
    /// What cannot be taken is removed from the tree, so that the rest can.
    pub(crate) fn make<T: Deserialize<'t>>(&mut self) -> (Option<T>, Vec<Finding>) {
        let mut findings = Vec::new();
        let value = loop {
            let root = Spanned::new(0..self.text.len(), self.tree.clone());
            match T::deserialize(Deserializer::from(root)) {
                Ok(value) => break Some(value),
                Err(error) => {
                    let span = error.span().unwrap_or_default();
                    findings.push(value_finding(span.clone(), error.message()));
                    if !remove(&mut self.tree, &span) {
                        break None;
                    }
                }
            }
        };
        findings.retain(|finding| self.is_trustworthy(finding));
        let complete = self.syntax.is_empty();
        (value.filter(|_| complete), self.syntax.iter().cloned().chain(findings).collect())
    }

    /// Tells whether a finding is not the mere consequence of a syntax error: one in the same line,
    /// or one in the header of the table.
    fn is_trustworthy(&self, finding: &Finding) -> bool {
        let line = |finding: &Finding| line_and_column(self.text, finding.start()).0;
        let is_header = |at: usize| {
            self.text.lines().nth(at - 1).is_some_and(|line| line.trim_start().starts_with('['))
        };
        self.syntax.iter().map(line).all(|wrong| {
            let at = line(finding);
            at != wrong && (at < wrong || !is_header(wrong))
        })
    }

    /// Where the value at this path stands; the start of the file if there is none.
    pub(crate) fn value(&self, path: &[&str]) -> Range<usize> {
        self.entry(path).map(|(_, value)| value.span()).unwrap_or_default()
    }

    /// Where the key at the end of this path stands.
    pub(crate) fn key(&self, path: &[&str]) -> Range<usize> {
        self.entry(path).map(|(key, _)| key).unwrap_or_default()
    }

    /// Where an element of the list at this path stands.
    pub(crate) fn element(&self, path: &[&str], index: usize) -> Range<usize> {
        let list = self.entry(path).and_then(|(_, value)| value.get_ref().as_array());
        list.and_then(|list| list.get(index)).map(Spanned::span).unwrap_or_default()
    }

    /// Tells whether there is something at this path.
    pub(crate) fn has(&self, path: &[&str]) -> bool {
        self.entry(path).is_some()
    }

    fn entry(&self, path: &[&str]) -> Option<(Range<usize>, &Spanned<DeValue<'t>>)> {
        let (last, way) = path.split_last()?;
        let mut table = &self.tree;
        for key in way {
            table = table.get(*key)?.get_ref().as_table()?;
        }
        table.get_key_value(*last).map(|(key, value)| (key.span(), value))
    }
}

/// Removes what stands in this place, however deep; tells whether there was anything.
fn remove(table: &mut DeTable<'_>, place: &Range<usize>) -> bool {
    if table.iter_mut().any(|(_, value)| remove_within(value.get_mut(), place)) {
        return true;
    }
    let here =
        |(key, value): (&Spanned<_>, &Spanned<_>)| [key.span(), value.span()].contains(place);
    let key = table.iter().find(|entry| here(*entry)).map(|(key, _)| key.clone());
    key.is_some_and(|key| table.remove(&key).is_some())
}

fn remove_within(value: &mut DeValue<'_>, place: &Range<usize>) -> bool {
    match value {
        DeValue::Table(table) => remove(table, place),
        DeValue::Array(list) => {
            let before = list.len();
            *list = list.iter().filter(|it| it.span() != *place).cloned().collect();
            before != list.len()
        }
        _ => false,
    }
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

fn syntax_finding(text: &str, error: &Error) -> Finding {
    let span = error.span().unwrap_or(text.len()..text.len());
    let remedy = REMEDIES.iter().find(|(words, _)| error.message().contains(words));
    let hint = remedy.map_or("write it as in https://toml.io/en/v1.0.0", |(_, hint)| hint);
    Finding::at(span, error.message().to_owned(), hint.into())
}

/// What the reader says of a value, in the words of the file.
fn value_finding(span: Range<usize>, message: &str) -> Finding {
    let names: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    if let ("unknown field", [unknown, known @ ..]) =
        (message.split(" `").next().unwrap_or_default(), &names[..])
    {
        let hint = nearest(unknown, known).map_or_else(
            || format!("there are {}", known.join(", ")),
            |near| format!("did you mean `{near}`?"),
        );
        return Finding::at(span, format!("unknown key `{unknown}`"), hint);
    }
    if let Some((found, wanted)) = message.split_once(", expected ") {
        let found = found.replace("invalid type: ", "").replace("invalid value: ", "");
        let wanted = match wanted {
            "a sequence" => "a list, as in [\"one\", \"two\"]",
            "a map" | "struct PoolSettings" | "struct Allow" | "struct Config" => {
                "a table, as in { key = \"value\" }"
            }
            "a string" | "path string" => "a text between quotes",
            form => form,
        };
        return Finding::at(span, format!("{found} cannot stand here"), format!("write {wanted}"));
    }
    let (problem, hint) = message.split_once("; ").unwrap_or((message, "write another value"));
    Finding::at(span, problem.into(), hint.into())
}
