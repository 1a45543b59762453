//! The same answer again and again.

use std::io::IsTerminal;
use std::thread;
use std::time::Duration;

use bellwether::Error;
use ratatui::crossterm::terminal;

use super::{Question, Text, ask};
use crate::ending::Ending;
use crate::output::{print, unprinted};

/// How often a server may be asked, and how seldom.
const INTERVALS: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(60)];

/// To the upper left corner; what is below is erased line by line, so that nothing flickers.
const HOME: &str = "\x1b[H";
const TO_THE_END_OF_THE_LINE: &str = "\x1b[K\n";
const ALL_BELOW: &str = "\x1b[J";

/// Prints until nobody reads any more, or the server is gone.
pub(super) fn run(question: &Question, interval: Duration) -> Result<(), Ending> {
    in_bounds(interval)?;
    let is_screen = !question.json && std::io::stdout().is_terminal();
    if is_screen {
        print("\x1b[2J")?;
    }
    loop {
        let status = ask(question)?;
        if question.json {
            print(&format!("{}\n", serde_json::to_string(&status).map_err(unprinted)?))?;
        } else if is_screen {
            let height = terminal::size().map_or(24, |(_, rows)| usize::from(rows));
            print(&page(&Text(&status).to_string(), height))?;
        } else {
            print(&format!("{}\n", Text(&status)))?;
        }
        thread::sleep(interval);
    }
}

fn in_bounds(interval: Duration) -> Result<(), Error> {
    if (INTERVALS[0]..=INTERVALS[1]).contains(&interval) {
        return Ok(());
    }
    let problem = "it is to be from 100ms to 1m".into();
    Err(Error::Configure {
        what: format!("--watch={}", humantime::format_duration(interval)),
        problem,
    })
}

/// As much of a text as a screen of that height shows, in place of what it showed before.
fn page(text: &str, height: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let shown = match lines.len() < height {
        true => lines.len(),
        false => height.saturating_sub(2),
    };
    let mut page: String =
        lines.iter().take(shown).map(|line| format!("{line}{TO_THE_END_OF_THE_LINE}")).collect();
    if shown < lines.len() {
        page += &format!("… {} more lines{TO_THE_END_OF_THE_LINE}", lines.len() - shown);
    }
    format!("{HOME}{page}{ALL_BELOW}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_never_higher_than_the_screen() {
        let text = (1..=30).map(|i| format!("line {i}\n")).collect::<String>();
        let check = |height: usize, lines: usize, left: &str| {
            let page = page(&text, height);
            assert_eq!(
                (page.matches('\n').count(), page.contains(left)),
                (lines, true),
                "{page:?}"
            );
        };
        check(40, 30, "line 30");
        check(31, 30, "line 30");
        check(30, 29, "… 2 more lines");
        check(3, 2, "… 29 more lines");
        check(0, 1, "… 30 more lines");
    }

    #[test]
    fn a_wrong_interval_is_told() {
        let check = |ms, is_right| {
            assert_eq!(in_bounds(Duration::from_millis(ms)).is_ok(), is_right, "{ms}");
        };
        check(99, false);
        check(100, true);
        check(60_000, true);
        check(60_001, false);
    }
}
