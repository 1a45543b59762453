//! What programs read on standard output when a server has not done what it was told.

use bellwether::Error;
use serde::Serialize;

use crate::ending::Ending;
use crate::output::{print, unprinted};

/// Prints an error as a line of JSON where that is wanted; the error itself goes on.
pub(crate) fn in_json(wanted: bool, done: Result<(), Ending>) -> Result<(), Ending> {
    if let (true, Err(Ending::Failed(error))) = (wanted, &done) {
        let line = serde_json::to_string(&Refusal::of(error)).map_err(unprinted)?;
        // Where nobody reads it, the exit status must say it alone.
        let _ = print(&format!("{line}\n"));
    }
    done
}

/// The server's own answer again, or what kept it from us.
#[derive(Debug, Serialize)]
struct Refusal {
    result: &'static str,
    reason: String,
}

impl Refusal {
    fn of(error: &Error) -> Self {
        let (result, reason) = match error {
            Error::Busy { problem } => ("refused", problem.clone()),
            Error::Change { problem } => ("failed", problem.clone()),
            Error::Denied { problem } => ("denied", problem.clone()),
            other => ("error", other.to_string()),
        };
        Self { result, reason }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_s_answer_is_told_from_no_answer() {
        let problem = || "because".to_owned();
        let check = |error: &Error, result: &str| {
            let line = serde_json::to_string(&Refusal::of(error)).unwrap();
            assert_eq!(line, format!(r#"{{"result":"{result}","reason":"because"}}"#));
        };
        check(&Error::Busy { problem: problem() }, "refused");
        check(&Error::Change { problem: problem() }, "failed");
        check(&Error::Denied { problem: problem() }, "denied");
        check(&Error::NoServer { problem: problem() }, "error");
    }
}
