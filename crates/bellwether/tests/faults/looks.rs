//! Looks at a pool: its status by slot, its journal, its end.

use serde_json::Value;

use crate::kit::{PATIENCE, Pid, Run, assert_conserved, eventually, processes};

/// One of the sums of a status.
#[track_caller]
pub(crate) fn total(run: &Run, name: &str) -> u64 {
    run.status()["totals"][name].as_u64().unwrap_or_else(|| panic!("no total {name}"))
}

/// A handler's part of the status, if it is listed.
#[track_caller]
pub(crate) fn handler(run: &Run, pid: Pid) -> Option<Value> {
    let status = run.status();
    let handlers = status["handlers"].as_array().expect("a list of handlers");
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
        let status = run.status();
        let handlers = status["handlers"].as_array()?;
        let mut pids = handlers.iter().filter(|it| fits(it)).filter_map(|it| it["pid"].as_i64());
        match (pids.next(), pids.next()) {
            (Some(pid), None) => Pid::try_from(pid).ok(),
            _ => None,
        }
    })
}

/// One line of the journal of a pool: `DATETTIMEZ LEVEL TARGET: MESSAGE field=value…`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// Milliseconds since midnight.
    pub(crate) ms: u64,
    pub(crate) level: String,
    pub(crate) text: String,
}

impl Line {
    /// Reads a line; `None` for what is none of the library's.
    fn parse(line: &str) -> Option<Self> {
        let (time, rest) = line.split_once(char::is_whitespace)?;
        let (level, rest) = rest.trim_start().split_once(' ')?;
        let (target, text) = rest.split_once(": ")?;
        let ms = milliseconds(time.split_once('T')?.1)?;
        let ours = target.starts_with("bellwether");
        ours.then(|| Self { ms, level: level.into(), text: text.into() })
    }

    /// The slot that the line is about, as text: lines about one slot mostly have one writer.
    fn slot(&self) -> Option<&str> {
        self.text.split("slot=").nth(1)?.split(' ').next()
    }
}

/// Reads `HH:MM:SS.FRACTIONZ`.
fn milliseconds(time: &str) -> Option<u64> {
    let numbers: Vec<&str> = time.trim_end_matches('Z').split([':', '.']).collect();
    let [hours, minutes, seconds, fraction] = numbers[..] else { return None };
    let whole = (hours.parse::<u64>().ok()? * 60 + minutes.parse::<u64>().ok()?) * 60;
    Some((whole + seconds.parse::<u64>().ok()?) * 1000 + fraction.get(..3)?.parse::<u64>().ok()?)
}

/// What the library has said so far; what else stands on standard error is left out.
pub(crate) fn journal(run: &Run) -> Vec<Line> {
    run.stderr().lines().filter_map(Line::parse).collect()
}

/// The lines that say this.
pub(crate) fn said(run: &Run, words: &str) -> Vec<Line> {
    journal(run).into_iter().filter(|line| line.text.contains(words)).collect()
}

/// The lines at levels that wake people up.
pub(crate) fn alarms(run: &Run) -> Vec<Line> {
    journal(run).into_iter().filter(|line| ["WARN", "ERROR"].contains(&&*line.level)).collect()
}

/// Asserts that of these lines nobody wrote more than one a second (and a first one).
#[track_caller]
pub(crate) fn assert_rare(lines: &[Line]) {
    for line in lines {
        let own: Vec<_> = lines.iter().filter(|it| it.slot() == line.slot()).collect();
        // At midnight the clock starts again.
        let span = own[own.len() - 1].ms.saturating_sub(own[0].ms);
        // A line can be written a moment after it was allowed, hence the second one.
        assert!(own.len() as u64 <= span / 1000 + 2, "more than a line a second: {own:#?}");
    }
}

/// Ends a test: the books are right, the pool stops in good order, and nothing of it is left.
#[track_caller]
pub(crate) fn finish(mut run: Run) {
    assert_conserved(&run.status());
    let status = run.stop();
    assert!(status.success(), "the pool ended with {status}");
}
