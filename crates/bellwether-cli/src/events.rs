//! `bellwether events`: what happened in a running server.

mod calendar;
mod text;

use bellwether::journal::{Entry, Kind};
use bellwether::{Error, remote};

use crate::cli::ask::EventsQuestion;
use crate::ending::Ending;
use crate::output::{print, unprinted};
pub(crate) use text::Days;

/// Prints what happened, and with `--follow` what happens until one side has enough.
pub(crate) fn run(question: &EventsQuestion) -> Result<(), Ending> {
    let EventsQuestion { follow, target } = question;
    let mut days = Days::default();
    let mut stops = false;
    for entry in remote::events(target.name.as_deref(), *follow)? {
        let entry = entry?;
        stops |= is_stop(&entry);
        print(&if target.json { line(&entry)? } else { days.tell(&entry) })?;
    }
    if *follow && !stops { Err(gone().into()) } else { Ok(()) }
}

/// Tells whether the server was told to stop; where a pool is named, only that was drained.
const fn is_stop(entry: &Entry) -> bool {
    matches!(entry.kind, Kind::Stop) && entry.pool.is_none()
}

/// The error that nobody is left to tell what happens, though nobody was told to stop.
fn gone() -> Error {
    let problem = "the server is gone: it ended or was killed without being told to stop; \
                   `bellwether status` tells whether another runs";
    Error::NoServer { problem: problem.into() }
}

/// An entry in one short line, without its day and its pool.
pub(crate) fn line_of_journal(entry: &Entry) -> String {
    text::short(entry)
}

fn line(entry: &Entry) -> Result<String, Ending> {
    let json = serde_json::to_string(entry).map_err(unprinted)?;
    Ok(format!("{json}\n"))
}
