//! The log: lines that never make anybody wait.
//!
//! The spawner must not stop because nobody reads its log, and handlers share it. So a line is
//! written at once or not at all, and those that were not are counted ([`output`]). For people the
//! lines are those of `tracing_subscriber`; for programs an event becomes a [`record`], and that a
//! line of [`json`] or an entry of the [`journal`]. The [`format`] says which.

mod at_once;
mod format;
mod journal;
mod json;
mod output;
mod record;

use std::io::{self, IsTerminal, Write};
use std::path::Path;

use bellwether::{Error, Result};
use tracing::Level;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, fmt};

pub(crate) use format::Format;
use format::{Form, Reader};
use output::Output;
pub(crate) use output::{LOST, Lines};
use record::{Content, Record, Recorder};

use crate::config::written::Value;

/// What to log.
const VARIABLE: &str = "BELLWETHER_LOG";

/// In which form, where nothing else says.
const FORM_VARIABLE: &str = "BELLWETHER_LOG_FORMAT";

/// The longest line; a pipe takes that much whole or not at all (PIPE_BUF, pipe(7)).
const LONGEST: usize = 4096;

/// Starts logging to standard error for people.
pub(crate) fn start() -> Result<()> {
    start_with("info")
}

/// Starts logging to standard error for people, these lines (EnvFilter) unless the environment
/// says others.
pub(crate) fn start_with(usual: &str) -> Result<()> {
    begin(usual, Form::Pretty, None)
}

/// Starts the log of a server, in this form and to this file where one is chosen.
///
/// # Errors
/// The environment is not understood, or the file cannot be opened.
pub(crate) fn start_server(format: Option<Format>, file: Option<&Path>) -> Result<()> {
    let format = format.map_or_else(format_of_environment, Ok)?;
    let reader = Reader {
        is_terminal: io::stderr().is_terminal(),
        is_journal: journal::reads_stderr(),
        is_file: file.is_some(),
    };
    begin("info", format.for_reader(reader), file)
}

fn format_of_environment() -> Result<Format> {
    let text = std::env::var(FORM_VARIABLE).unwrap_or_default();
    if text.is_empty() {
        return Ok(Format::Auto);
    }
    let wrong = |problem| Error::Configure { what: FORM_VARIABLE.into(), problem };
    Format::read(&text).map_err(wrong)
}

fn begin(usual: &str, form: Form, file: Option<&Path>) -> Result<()> {
    let filter = filter(usual)?;
    let output = match file {
        Some(path) => in_file(form, path)?,
        None => Output::of(form).map_err(|source| Error::System {
            doing: "make a socket for the journal".into(),
            source,
        })?,
    };
    output.begin();
    let pretty = fmt::layer()
        .with_writer(|| Lines)
        .with_ansi(file.is_none() && has_colours())
        .with_target(false)
        .log_internal_errors(false);
    let (pretty, records) = match form {
        Form::Pretty => (Some(pretty), None),
        Form::Json | Form::Journald => (None, Some(Recorder)),
    };
    let all = tracing_subscriber::registry().with(filter).with(pretty).with(records);
    let started = all.try_init();
    debug_assert!(started.is_ok(), "the log is started once");
    // A panic says what it has to say in the same way, on one line.
    std::panic::set_hook(Box::new(|panic| {
        tracing::error!("{}", panic.to_string().replace('\n', " "));
    }));
    Ok(())
}

fn in_file(form: Form, path: &Path) -> Result<Output> {
    let wrong =
        |problem| Error::Configure { what: format!("log file {}", path.display()), problem };
    if let Some((problem, hint)) = objection(form == Form::Journald, path) {
        return Err(wrong(format!("{problem}; {hint}")));
    }
    let hint = "give a file in a folder that this user may write to";
    Output::file(form, path).map_err(|error| wrong(format!("{error}; {hint}")))
}

/// What can be said against a log in this file before it is opened, and what to do about it.
pub(crate) fn objection(for_journal: bool, file: &Path) -> Option<(&'static str, &'static str)> {
    if for_journal {
        return Some(("the journal keeps its own files", "leave the file out, or the form"));
    }
    let is_output = file.file_name().is_some_and(|name| name == "-");
    is_output.then_some(("the log goes to standard error where no file is given", "leave it out"))
}

/// Tells whether what goes to standard error may be coloured.
pub(crate) fn has_colours() -> bool {
    let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    !no_colour && io::stderr().is_terminal()
}

fn filter(usual: &str) -> Result<EnvFilter> {
    let text = std::env::var(VARIABLE).unwrap_or_default();
    let reader = EnvFilter::builder().with_default_directive(LevelFilter::INFO.into());
    reader.parse(if text.is_empty() { usual } else { &text }).map_err(|_| Error::Configure {
        what: format!("{VARIABLE}={text}"),
        problem: "it is not understood; write off, error, warn, info, debug or trace".into(),
    })
}

/// Says something in several lines, to people as it is, to programs as one record.
pub(crate) fn tell(words: &str) {
    match output::begun() {
        Some((Form::Json | Form::Journald, _)) => {
            output::say(&Record::now(Level::INFO, words.trim_end().into()));
        }
        _ => output::say_line(words.as_bytes()),
    }
}

/// Says why the program ends, last of all and whatever is logged otherwise, with what to try.
pub(crate) fn complain(error: &str, help: Option<&str>) {
    let record = || {
        let record = Record::now(Level::ERROR, error.into());
        help.into_iter().fold(record, |it, help| it.with("help", Content::Text(help.into())))
    };
    let (form, is_file) = output::begun().unwrap_or((Form::Pretty, false));
    if form != Form::Pretty {
        output::say(&record());
    }
    // Who starts a server that logs to a file does not look there.
    if form == Form::Pretty || is_file {
        let help = help.map(|it| format!("help: {it}\n")).unwrap_or_default();
        // With standard error gone, the status must say it alone.
        let _ = io::stderr().write_all(format!("error: {error}\n{help}").as_bytes());
    }
}
