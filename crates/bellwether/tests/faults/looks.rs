//! Looks at a pool: its status by slot, its template, its end.

use serde_json::Value;

use crate::kit::{PATIENCE, Pid, Run, assert_conserved, eventually, processes};

/// One of the sums of a status.
#[track_caller]
pub(crate) fn total(run: &Run, name: &str) -> u64 {
    run.pool()["totals"][name].as_u64().unwrap_or_else(|| panic!("no total {name}"))
}

/// A handler's part of the status, if it is listed.
#[track_caller]
pub(crate) fn handler(run: &Run, pid: Pid) -> Option<Value> {
    let pool = run.pool();
    let handlers = pool["handlers"].as_array().expect("a list of handlers");
    handlers.iter().find(|it| it["pid"] == pid).cloned()
}

/// One of the numbers of a handler.
#[track_caller]
pub(crate) fn number(run: &Run, pid: Pid, name: &str) -> u64 {
    let handler = handler(run, pid).unwrap_or_else(|| panic!("no handler {pid}"));
    handler[name].as_u64().unwrap_or_else(|| panic!("no number {name} in {handler}"))
}

/// Waits until the handler in a slot has nothing to do; its pid.
#[track_caller]
pub(crate) fn idle_in(run: &Run, slot: usize) -> Pid {
    one(run, &format!("an idle handler in slot {slot}"), |it| {
        it["slot"] == slot && it["state"] == "idle"
    })
}

/// Waits until exactly one handler of a pool of two is busy; it and the other one.
#[track_caller]
pub(crate) fn busy_and_idle(run: &Run) -> (Pid, Pid) {
    let busy = one(run, "one busy handler", |it| it["state"] == "busy");
    (busy, one(run, "one idle handler", |it| it["state"] == "idle"))
}

/// The template of a pool.
#[track_caller]
pub(crate) fn template(run: &Run) -> Pid {
    let children = processes::children(run.pid());
    children.iter().find(|it| it.name == "bw:template").expect("a template").pid
}

#[track_caller]
fn one(run: &Run, what: &str, fits: impl Fn(&Value) -> bool) -> Pid {
    eventually(PATIENCE, what, || {
        let pool = run.pool();
        let handlers = pool["handlers"].as_array()?;
        let mut pids = handlers.iter().filter(|it| fits(it)).filter_map(|it| it["pid"].as_i64());
        match (pids.next(), pids.next()) {
            (Some(pid), None) => Pid::try_from(pid).ok(),
            _ => None,
        }
    })
}

/// Ends a test: the books are right, the pool stops in good order, and nothing of it is left.
#[track_caller]
pub(crate) fn finish(mut run: Run) {
    assert_conserved(&run.status());
    let status = run.stop();
    assert!(status.success(), "the pool ended with {status}");
}
