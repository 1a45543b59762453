//! `bellwether status`: how a running server is, for people and for programs.

mod pool;
mod text;

use bellwether::remote;

use crate::cli::Status;
use crate::ending::Ending;
use crate::output::{print, unprinted};
use crate::refusal;
use text::Text;

/// Asks a server how it is and prints its answer.
pub(crate) fn run(question: &Status) -> Result<(), Ending> {
    refusal::in_json(question.json, answer(question))
}

fn answer(question: &Status) -> Result<(), Ending> {
    let report = remote::status(question.name.as_deref())?;
    if question.json {
        let json = serde_json::to_string_pretty(&report).map_err(unprinted)?;
        return print(&format!("{json}\n"));
    }
    print(&Text(&report).to_string())
}
