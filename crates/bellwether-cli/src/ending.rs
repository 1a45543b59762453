//! How the program ends: its last words and its exit status.

use std::fmt;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use bellwether::Error;

/// The exit status for what should not have happened (EX_SOFTWARE of sysexits.h).
const BUG: u8 = 70;

/// Why the program ends before its work is done.
#[derive(Debug)]
pub(crate) enum Ending {
    /// The words are out; only the status is left to say.
    Said(u8),
    /// What went wrong.
    Failed(Error),
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
        Ok(Err(Ending::Said(status))) => status,
        Ok(Err(Ending::Failed(error))) => {
            // With standard error gone, the status must say it alone.
            let _ = std::io::stderr().write_all(LastWords(&error).to_string().as_bytes());
            error.exit_code()
        }
        Err(_) => BUG, // the panic has said why
    }
}

/// An error as people read it: one line, and one more with what to try where that is not in it.
struct LastWords<'a>(&'a Error);

impl fmt::Display for LastWords<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            // The library has no name to tell when none was asked for.
            Error::Name { name, problem } if name == "?" => writeln!(f, "error: {problem}")?,
            error => writeln!(f, "error: {error}")?,
        }
        hint(self.0).map_or(Ok(()), |hint| writeln!(f, "  try: {hint}"))
    }
}

/// What to try, where the library leaves it open because it knows no command line.
fn hint(error: &Error) -> Option<&'static str> {
    let passed = "unset LISTEN_FDS and LISTEN_PID, or let a .socket unit pass the sockets";
    let nobody = "start one with `bellwether serve`; those of another user, or with another \
                  BELLWETHER_RUNTIME_DIR, are not seen";
    match error {
        Error::Name { problem, .. } => (!problem.contains("--name")).then_some(nobody),
        Error::Open { address, problem } => (address.starts_with("tcp:")
            && problem.contains("another process"))
        .then_some("--listen 127.0.0.1:0, and the kernel chooses a free port"),
        Error::Configure { what, .. } if what.starts_with("systemd:") => Some(passed),
        Error::Configure { what, .. } if what.starts_with("fd:") => {
            Some("let the parent process pass a listening socket under this number")
        }
        Error::Configure { what, problem } => (what.starts_with("unix:")
            && !problem.contains("choose"))
        .then_some("a short path in a folder that exists and that this user may write"),
        _ => None,
    }
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
        assert_eq!(status_of(|| panic!("on purpose")), 70);
    }

    #[test]
    fn last_words_name_the_object_and_what_to_try() {
        let check = |error: Error, expected: &[&str]| {
            let words = LastWords(&error).to_string();
            let lines: Vec<_> = words.lines().collect();
            assert_eq!(lines.len(), expected.len(), "{words}");
            assert!(lines.iter().zip(expected).all(|(line, it)| line.contains(it)), "{words}");
        };
        let name =
            |name: &str, problem: &str| Error::Name { name: name.into(), problem: problem.into() };
        check(configure("handlers"), &["error: handlers: is wrong"]);
        check(configure("fd:9"), &["error: fd:9: is wrong", "  try: let the parent"]);
        check(name("?", "no server runs here"), &["error: no server runs", "bellwether serve"]);
        check(name("a", "taken; choose another with --name"), &["error: server `a`: taken"]);
    }
}
