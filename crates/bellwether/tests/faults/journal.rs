//! The journal of a pool: what the library said on standard error.

use crate::kit::Run;

/// One line of a journal, as `2026-01-31T12:00:00.123456Z  WARN target: text` is one.
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
