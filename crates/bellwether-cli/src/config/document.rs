//! The text of a file as a tree whose every key and value knows its place.

use std::ops::Range;

use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeTable, DeValue, Deserializer};

use super::finding::{Finding, MOST};
use super::nearest::nearest;
use super::syntax::Syntax;

/// A file that has been read as TOML.
#[derive(Debug)]
pub(crate) struct Document<'t> {
    text: &'t str,
    tree: DeTable<'t>,
    /// What is no TOML.
    syntax: Syntax,
}

impl<'t> Document<'t> {
    /// Reads a text as TOML, as far as it is.
    pub(crate) fn read(text: &'t str) -> Self {
        let (tree, errors) = DeTable::parse_recoverable(text);
        Self { text, tree: tree.into_inner(), syntax: Syntax::of(text, &errors) }
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
                    if findings.len() == MOST || !remove(&mut self.tree, &span) {
                        break None;
                    }
                }
            }
        };
        findings.retain(|finding| !self.syntax.explains(finding.start()));
        let complete = self.syntax.findings.is_empty();
        (value.filter(|_| complete), self.syntax.findings.iter().cloned().chain(findings).collect())
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
    if let ("missing field", [missing]) =
        (message.split(" `").next().unwrap_or_default(), &names[..])
    {
        return Finding::at(span, format!("`{missing}` is missing"), format!("add {missing} here"));
    }
    if let Some((found, wanted)) = message.split_once(", expected ") {
        let found = found.replace("invalid type: ", "").replace("invalid value: ", "");
        let wanted = match wanted {
            "a sequence" => "a list, as in [\"one\", \"two\"]",
            "a map"
            | "struct PoolSettings"
            | "struct Certificate"
            | "struct Allow"
            | "struct Config" => "a table, as in { key = \"value\" }",
            "a string" | "path string" => "a text between quotes",
            form => form,
        };
        return Finding::at(span, format!("{found} cannot stand here"), format!("write {wanted}"));
    }
    let (problem, hint) = message.split_once("; ").unwrap_or((message, "write another value"));
    Finding::at(span, problem.into(), hint.into())
}
