//! How the program ends: its last words and its exit status.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use bellwether::{Error, upgrade};

use crate::log;

/// The exit status for what should not have happened (EX_SOFTWARE of sysexits.h).
const BUG: u8 = 70;

/// The exit status of a server that was stopped as told, but not without cutting somebody off.
pub(crate) const CUT: u8 = 3;

/// Why the program ends before its work is done.
#[derive(Debug)]
pub(crate) enum Ending {
    /// The words are out; only the status is left to say.
    Said(u8),
    /// What went wrong.
    Failed(Error),
    /// What went wrong, and what to try.
    Advised(Error, String),
}

impl From<Error> for Ending {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// Works, says what went wrong if anything did, and returns the exit status.
pub(crate) fn of(work: impl FnOnce() -> Result<(), Ending>) -> ExitCode {
    ExitCode::from(status_of(work))
}

fn status_of(work: impl FnOnce() -> Result<(), Ending>) -> u8 {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(())) => 0,
        Ok(Err(Ending::Said(status))) => {
            upgrade::go_back(&format!("it ended with exit status {status}"));
            status
        }
        Ok(Err(Ending::Failed(error))) => failed(&error, None),
        Ok(Err(Ending::Advised(error, help))) => failed(&error, Some(&help)),
        Err(_) => {
            upgrade::go_back("it panicked");
            BUG // the panic has said why
        }
    }
}

fn failed(error: &Error, help: Option<&str>) -> u8 {
    log::complain(&error.to_string(), help);
    upgrade::go_back(&error.to_string());
    error.exit_code()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configure(what: &str) -> Error {
        Error::Configure { what: what.into(), problem: "is wrong".into() }
    }

    #[test]
    fn every_ending_has_its_exit_status() {
        assert_eq!(status_of(|| Ok(())), 0);
        assert_eq!(status_of(|| Err(Ending::Said(64))), 64);
        assert_eq!(status_of(|| Err(configure("handlers").into())), 78);
        assert_eq!(status_of(|| Err(Ending::Advised(configure("x"), "try y".into()))), 78);
        assert_eq!(status_of(|| panic!("on purpose")), 70);
    }
}
