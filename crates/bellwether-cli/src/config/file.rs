//! Finding the file, and reading it into settings or findings.

use std::io::Read;
use std::path::{Path, PathBuf};

use clap::Args;

use super::document::Document;
use super::finding::{Finding, MOST};
use super::judge::judge;
use super::written::{Name, Written};
use super::{Config, report};
use crate::ending::Ending;

/// Where a file that is not named is looked for first.
const NEAR: &str = "bellwether.toml";

/// Where a file that is not named is looked for last.
pub(crate) const SYSTEM_WIDE: &str = "/etc/bellwether/bellwether.toml";

/// The largest file that is read, in bytes: it might be a device that never ends.
const LARGEST: u64 = 1 << 18;

/// The exit status when there is no input (EX_NOINPUT of sysexits.h).
const NO_INPUT: u8 = 66;

/// The exit status of a wrong configuration (EX_CONFIG of sysexits.h).
pub(super) const WRONG: u8 = 78;

/// Which file.
#[derive(Clone, Debug, Args)]
pub(crate) struct File {
    /// The configuration file [default: ./bellwether.toml, then
    /// /etc/bellwether/bellwether.toml].
    #[arg(short = 'c', long = "config", value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
}

/// The text of a file, and what came of it.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) path: PathBuf,
    pub(super) text: String,
    /// The settings as far as the file could be read.
    pub(super) config: Option<Config>,
    /// What is wrong, in the order of the file.
    pub(super) findings: Vec<Finding>,
}

impl File {
    /// Reads the settings of a file without fault, and its text; of another it tells all faults.
    ///
    /// A program that comes back because a newer one has failed goes on with what it had read.
    pub(crate) fn load(&self) -> Result<(Config, String), Ending> {
        let outcome = match bellwether::upgrade::configuration_before() {
            Some(text) => judged(self.find().unwrap_or_else(|| NEAR.into()), text.into_bytes()),
            None => self.read()?,
        };
        match outcome.config {
            Some(config) if outcome.findings.is_empty() => Ok((config, outcome.text)),
            _ => {
                report::to_people(&outcome);
                Err(Ending::Said(WRONG))
            }
        }
    }

    /// Finds the file: the one that is named, or the first that is there.
    pub(crate) fn find(&self) -> Option<PathBuf> {
        let places = [NEAR, SYSTEM_WIDE].map(PathBuf::from);
        self.file.clone().or_else(|| places.into_iter().find(|place| place.exists()))
    }

    /// Finds the file, or says that there is none.
    pub(crate) fn found(&self) -> Result<PathBuf, Ending> {
        self.find().ok_or_else(nowhere)
    }

    /// Reads a file and judges it.
    pub(super) fn read(&self) -> Result<Outcome, Ending> {
        let path = self.found()?;
        let bytes = bytes_of(&path).map_err(|problem| unreadable(&path, &problem))?;
        Ok(judged(path, bytes))
    }
}

fn bytes_of(path: &Path) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
    file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() as u64 > LARGEST {
        return Err(format!("it is larger than {LARGEST} bytes"));
    }
    Ok(bytes)
}

fn judged(path: PathBuf, bytes: Vec<u8>) -> Outcome {
    let text = match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let at = error.utf8_error().valid_up_to();
            let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
            let span = at..at + char::REPLACEMENT_CHARACTER.len_utf8();
            let hint = "save the file as UTF-8".into();
            let findings = vec![Finding::at(span, "this is not UTF-8".into(), hint)];
            return Outcome { path, text, config: None, findings };
        }
    };
    let mut document = Document::read(&text);
    let (mut config, mut findings) = document.make::<Config>();
    if let Some(config) = &mut config {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        config.name.get_or_insert_with(|| Written(Name::made_of(&stem)));
        config.resolve(folder_of(&path));
        findings.extend(judge(config, &document, findings.is_empty()));
    }
    findings.sort_by_key(Finding::start);
    findings.truncate(MOST);
    Outcome { path, text, config, findings }
}

fn nowhere() -> Ending {
    no_input(&format!(
        "there is neither {NEAR} here nor {SYSTEM_WIDE}; name a file with -c FILE, or write one: \
         `bellwether generate config > {NEAR}`"
    ))
}

/// The folder from which relative paths of a file are taken.
fn folder_of(file: &Path) -> &Path {
    file.parent().unwrap_or_else(|| Path::new(""))
}

fn unreadable(path: &Path, problem: &str) -> Ending {
    let path = path.display();
    no_input(&format!("cannot read {path}: {problem}; name a file with -c FILE"))
}

fn no_input(words: &str) -> Ending {
    report::say(&format!("error: {words}\n"));
    Ending::Said(NO_INPUT)
}
