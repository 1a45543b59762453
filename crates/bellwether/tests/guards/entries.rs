//! Looks at the journal of a server, and the end of a run.

use serde_json::Value;

use crate::kit::{PATIENCE, Run, assert_conserved, eventually};

/// The entries of a kind that are kept, the oldest first.
#[track_caller]
pub(crate) fn of_kind(run: &Run, kind: &str) -> Vec<Value> {
    run.journal().into_iter().filter(|entry| entry["kind"] == kind).collect()
}

/// Waits for the first entry of a kind.
#[track_caller]
pub(crate) fn first(run: &Run, kind: &str) -> Value {
    eventually(PATIENCE, &format!("an entry of kind {kind}"), || {
        of_kind(run, kind).into_iter().next()
    })
}

/// One of the sums of a status.
#[track_caller]
pub(crate) fn total(run: &Run, name: &str) -> u64 {
    run.pool()["totals"][name].as_u64().unwrap_or_else(|| panic!("no total {name}"))
}

/// Ends a test: the books are right, the pool stops in good order, and nothing of it is left.
#[track_caller]
pub(crate) fn finish(mut run: Run) {
    assert_conserved(&run.status());
    let status = run.stop();
    assert!(status.success(), "the pool ended with {status}");
}
