//! Programs that only start another: where in a command the real one stands.

use std::ffi::OsString;

use serde::Deserialize;

use super::super::flag::{Flag, any_at};

/// A program that starts the one that is named behind its own arguments.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(
    rename_all = "kebab-case",
    deny_unknown_fields,
    expecting = "a table, as in { programs = [\"mine\"], values = [\"--user=\"] }"
)]
pub(crate) struct Launcher {
    /// Its file names.
    pub(crate) programs: Vec<String>,
    /// Words of which one must come first, as in `poetry run`.
    #[serde(default)]
    pub(crate) words: Vec<String>,
    /// Its flags that have a value.
    #[serde(default)]
    pub(crate) values: Vec<Flag>,
    /// How many arguments without a flag are its own.
    #[serde(default)]
    pub(crate) operands: usize,
    /// Whether NAME=VALUE may stand before the program.
    #[serde(default)]
    pub(crate) assignments: bool,
    /// Whether the program becomes its child, instead of taking its place.
    #[serde(default)]
    pub(crate) forks: bool,
    /// Whether it closes descriptors before it starts the program.
    #[serde(default)]
    pub(crate) closes: bool,
    /// What whoever uses it should know.
    #[serde(default)]
    pub(crate) note: Option<String>,
}

/// A program that runs a script or a module, which has arguments of its own.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(
    rename_all = "kebab-case",
    deny_unknown_fields,
    expecting = "a table, as in { programs = [\"mine\"], inline = [\"-e=\"] }"
)]
pub(crate) struct Interpreter {
    /// Its file names.
    pub(crate) programs: Vec<String>,
    /// Its flags that have a value.
    #[serde(default)]
    pub(crate) values: Vec<Flag>,
    /// Its flags that name a module to run.
    #[serde(default)]
    pub(crate) module: Vec<Flag>,
    /// Its flags that are given the text of a program.
    #[serde(default)]
    pub(crate) inline: Vec<Flag>,
}

/// What an interpreter runs: the argument that names it, and its name.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Subject {
    pub(crate) at: usize,
    pub(crate) name: String,
    pub(crate) is_module: bool,
}

impl Subject {
    /// What it is, in a word.
    pub(crate) fn kind(&self) -> &'static str {
        if self.is_module { "module" } else { "script" }
    }
}

impl Launcher {
    /// Where the program stands that this one, which stands at `at`, will start.
    pub(crate) fn program(&self, command: &[OsString], at: usize) -> Option<usize> {
        let (mut place, mut operands) = (at + 1, self.operands);
        let mut needs_word = !self.words.is_empty();
        while let Some(argument) = command.get(place) {
            let text = argument.to_string_lossy();
            if let Some(met) = any_at(&self.values, command, place) {
                place = met.range.end;
                continue;
            }
            let is_own = text.starts_with('-') || self.assignments && text.contains('=');
            if needs_word && !is_own {
                needs_word = false;
                self.words.iter().find(|word| **word == text)?;
            } else if !is_own {
                let Some(left) = operands.checked_sub(1) else { return Some(place) };
                operands = left;
            }
            place += 1;
        }
        None
    }
}

impl Interpreter {
    /// What this one, which stands at `at`, will run; nothing if that is no file.
    pub(crate) fn subject(&self, command: &[OsString], at: usize) -> Option<Subject> {
        let mut place = at + 1;
        while let Some(argument) = command.get(place) {
            if any_at(&self.inline, command, place).is_some() {
                return None;
            }
            if let Some(met) = any_at(&self.module, command, place) {
                return Some(Subject { at: met.range.end - 1, name: met.value?, is_module: true });
            }
            if let Some(met) = any_at(&self.values, command, place) {
                place = met.range.end;
            } else if argument.as_encoded_bytes().starts_with(b"-") {
                place += 1;
            } else {
                let name = super::file_name(argument);
                return Some(Subject { at: place, name, is_module: false });
            }
        }
        None
    }
}
