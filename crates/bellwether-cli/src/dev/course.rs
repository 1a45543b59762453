//! How developing goes on: what to do about what has happened, as a pure function.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Changes that are so close together are one.
const QUIET: Duration = Duration::from_millis(50);
/// What does not come to rest is not waited for any longer.
const LONGEST: Duration = Duration::from_secs(1);

/// What has happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// A file that counts has changed.
    Changed(PathBuf),
    /// The program serves.
    Ready,
    /// The program has ended, with whatever ran it; told to do so by somebody, or by itself.
    Ended { told: bool },
    /// We are to stop.
    Stop,
    /// We are to stop at once.
    StopAtOnce,
    /// Time has passed.
    Time,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Start the program.
    Start,
    /// Tell the program to finish what it has and end.
    End,
    /// End the program now.
    EndAtOnce,
    /// Say that it serves.
    TellReady,
    /// Say that it does not, and that a change is waited for.
    TellEnded,
    /// Leave.
    Leave,
}

/// How far the program is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// It does not run.
    Down,
    Starting,
    Serving,
    /// It was told to end.
    Ending,
}

/// What was seen, and what is under way.
#[derive(Debug)]
pub(super) struct Course {
    stage: Stage,
    /// What has changed since the program was last started.
    changes: BTreeSet<PathBuf>,
    /// When the first and the last of the changes was seen.
    seen: Option<(Duration, Duration)>,
    /// The changes with which the program was last started, and since when it was wanted.
    reason: (Vec<PathBuf>, Duration),
    stops: bool,
}

impl Course {
    /// Begins with the start of the program.
    pub(super) const fn begin(now: Duration) -> Self {
        let stage = Stage::Starting;
        Self {
            stage,
            changes: BTreeSet::new(),
            seen: None,
            reason: (Vec::new(), now),
            stops: false,
        }
    }

    /// Says what to do about what has happened.
    pub(super) fn step(&mut self, event: Event, now: Duration) -> Option<Action> {
        match event {
            Event::Changed(path) => self.changed(path, now),
            Event::Ready if self.stage == Stage::Starting => {
                self.stage = Stage::Serving;
                Some(Action::TellReady)
            }
            Event::Ready => None,
            Event::Ended { told } => self.ended(told),
            Event::Stop if self.stops => self.end_at_once(),
            Event::Stop => self.stop(),
            Event::StopAtOnce => {
                self.stops = true;
                self.end_at_once()
            }
            Event::Time => self.start(now),
        }
    }

    /// When it is time for something, if nothing happens before.
    pub(super) fn due(&self) -> Option<Duration> {
        let (first, last) = self.seen.filter(|_| self.stage == Stage::Down)?;
        Some((last + QUIET).min(first + LONGEST))
    }

    /// What the program was last started for, and since when.
    pub(super) fn reason(&self) -> (&[PathBuf], Duration) {
        (&self.reason.0, self.reason.1)
    }

    /// Lets somebody who knows more leave out changes that the program was started for.
    pub(super) fn reconsider(&mut self, leave_out: impl FnOnce(&mut Vec<PathBuf>)) {
        leave_out(&mut self.reason.0);
    }

    fn changed(&mut self, path: PathBuf, now: Duration) -> Option<Action> {
        self.changes.insert(path);
        let first = self.seen.map_or(now, |(first, _)| first);
        self.seen = Some((first, now));
        // The old need not wait until the new is complete: who connects from now on waits for it.
        matches!(self.stage, Stage::Starting | Stage::Serving).then(|| self.end())
    }

    fn ended(&mut self, told: bool) -> Option<Action> {
        let was = self.stage;
        self.stage = Stage::Down;
        match was {
            _ if self.stops => Some(Action::Leave),
            Stage::Ending | Stage::Down => None,
            Stage::Serving if told => Some(Action::Leave),
            Stage::Starting => Some(Action::TellEnded),
            Stage::Serving => {
                // No change is to blame for that.
                self.reason.0.clear();
                Some(Action::TellEnded)
            }
        }
    }

    fn stop(&mut self) -> Option<Action> {
        self.stops = true;
        match self.stage {
            Stage::Down => Some(Action::Leave),
            Stage::Starting | Stage::Serving => Some(self.end()),
            Stage::Ending => None,
        }
    }

    const fn end(&mut self) -> Action {
        self.stage = Stage::Ending;
        Action::End
    }

    fn end_at_once(&mut self) -> Option<Action> {
        let runs = self.stage != Stage::Down;
        self.stage = if runs { Stage::Ending } else { Stage::Down };
        Some(if runs { Action::EndAtOnce } else { Action::Leave })
    }

    fn start(&mut self, now: Duration) -> Option<Action> {
        self.due().filter(|due| *due <= now)?;
        let (since, _) = self.seen.take()?;
        self.stage = Stage::Starting;
        self.reason = (std::mem::take(&mut self.changes).into_iter().collect(), since);
        Some(Action::Start)
    }
}

/// Names changes in a few words, the paths as seen from a folder.
pub(super) fn in_short(changes: &[PathBuf], folder: &Path) -> String {
    let name = |path: &Path| path.strip_prefix(folder).unwrap_or(path).display().to_string();
    let first = changes.first().map_or_else(String::new, |path| name(path));
    let first = if first.is_empty() { "much at once".into() } else { first };
    match changes.len() {
        0 | 1 => first,
        many => format!("{first} (and {} more)", many - 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(number: u64) -> Duration {
        Duration::from_millis(number)
    }

    fn changed(path: &str) -> Event {
        Event::Changed(path.into())
    }

    /// Steps through events at their milliseconds, and compares what is to be done.
    #[track_caller]
    fn check(events: &[(u64, Event, Option<Action>)]) -> Course {
        let mut course = Course::begin(ms(0));
        for (i, (at, event, expected)) in events.iter().enumerate() {
            assert_eq!(course.step(event.clone(), ms(*at)), *expected, "step {i}: {event:?}");
        }
        course
    }

    const TOLD: Event = Event::Ended { told: true };
    const DIED: Event = Event::Ended { told: false };
    const READY: (u64, Event, Option<Action>) = (1, Event::Ready, Some(Action::TellReady));

    #[test]
    fn a_change_ends_the_old_first_and_starts_the_new_when_all_is_quiet() {
        let course = check(&[
            READY,
            (100, changed("a"), Some(Action::End)),
            (120, TOLD, None),
            (130, changed("b"), None),
            (150, Event::Time, None),
            (179, Event::Time, None),
            (180, Event::Time, Some(Action::Start)),
            (200, Event::Ready, Some(Action::TellReady)),
        ]);
        assert_eq!(course.reason(), (&["a".into(), "b".into()][..], ms(100)));
        assert_eq!(course.due(), None);
    }

    #[test]
    fn a_change_during_a_start_leads_to_one_more() {
        check(&[
            READY,
            (100, changed("a"), Some(Action::End)),
            (160, DIED, None),
            (160, Event::Time, Some(Action::Start)),
            (161, changed("a"), Some(Action::End)),
            (162, changed("a"), None),
            // It was ready just before it heard.
            (163, Event::Ready, None),
            (170, TOLD, None),
            (212, Event::Time, Some(Action::Start)),
            (230, Event::Ready, Some(Action::TellReady)),
            (999, Event::Time, None),
        ]);
    }

    #[test]
    fn what_does_not_start_is_not_tried_again_before_a_change() {
        let course = check(&[
            (10, DIED, Some(Action::TellEnded)),
            (99_999, Event::Time, None),
            (100_000, changed("a"), None),
            (100_050, Event::Time, Some(Action::Start)),
        ]);
        assert_eq!(course.due(), None);
    }

    #[test]
    fn what_never_comes_to_rest_is_not_waited_for() {
        let mut course = check(&[READY, (0, changed("log"), Some(Action::End)), (5, TOLD, None)]);
        for at in (10..1000).step_by(10) {
            assert_eq!(course.step(changed("log"), ms(at)), None);
            assert_eq!(course.step(Event::Time, ms(at)), None);
        }
        assert_eq!(course.step(Event::Time, ms(1000)), Some(Action::Start));
    }

    #[test]
    fn a_stop_ends_the_program_and_then_us() {
        check(&[READY, (5, Event::Stop, Some(Action::End)), (9, TOLD, Some(Action::Leave))]);
        check(&[(5, DIED, Some(Action::TellEnded)), (9, Event::Stop, Some(Action::Leave))]);
        check(&[
            READY,
            (5, changed("a"), Some(Action::End)),
            (6, Event::Stop, None),
            (7, Event::Stop, Some(Action::EndAtOnce)),
            (8, Event::Stop, Some(Action::EndAtOnce)),
            (9, DIED, Some(Action::Leave)),
        ]);
        check(&[(1, Event::StopAtOnce, Some(Action::EndAtOnce)), (2, DIED, Some(Action::Leave))]);
    }

    #[test]
    fn who_stops_the_server_by_other_means_stops_us() {
        check(&[READY, (5, TOLD, Some(Action::Leave))]);
        check(&[READY, (5, DIED, Some(Action::TellEnded))]);
    }

    #[test]
    fn changes_are_told_in_a_few_words() {
        let check = |paths: &[&str], expected: &str| {
            let paths: Vec<_> = paths.iter().map(PathBuf::from).collect();
            assert_eq!(in_short(&paths, Path::new("/shop")), expected);
        };
        check(&["/shop/src/app.py"], "src/app.py");
        check(&["/etc/shop.conf"], "/etc/shop.conf");
        check(&["/shop/a", "/shop/b", "/shop/c"], "a (and 2 more)");
        check(&["/shop"], "much at once");
    }
}
