//! What became of the requests, act by act.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use bellwether::status::Status;
use serde::Serialize;

use super::load::Outcome;
use super::play::Act;
use crate::words::{count, counted, time};

/// The account of a play.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Account {
    pub(super) rows: Vec<Row>,
    /// How many handlers ended by what.
    pub(super) ended: BTreeMap<String, u64>,
}

/// One act.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Row {
    act: &'static str,
    per_second: u32,
    requests: usize,
    answered: usize,
    /// Requests that killed their handler, as was intended.
    killed: usize,
    lost: usize,
    p50_ms: f64,
    p99_ms: f64,
    handlers: Option<[usize; 2]>,
    /// What was said about a reload.
    pub(super) reloaded: Option<String>,
}

impl Row {
    pub(super) fn of(act: &Act) -> Self {
        Self { act: act.name, per_second: act.rate, ..Self::default() }
    }

    /// Notes how many handlers there are.
    pub(super) fn look(&mut self, status: &Status) {
        let Some(pool) = status.pools.first() else { return };
        let now = pool.handlers.len();
        let [least, most] = self.handlers.unwrap_or([now, now]);
        self.handlers = Some([least.min(now), most.max(now)]);
    }

    /// Notes what became of the requests.
    pub(super) fn note(&mut self, outcomes: Vec<Outcome>) {
        let count = |kind: Outcome| outcomes.iter().filter(|it| **it == kind).count();
        (self.killed, self.lost) = (count(Outcome::Killed), count(Outcome::Lost));
        self.requests = outcomes.len();
        let mut times: Vec<_> = outcomes.iter().filter_map(|it| answered(*it)).collect();
        times.sort_unstable();
        self.answered = times.len();
        [self.p50_ms, self.p99_ms] = [0.50, 0.99].map(|share| percentile(&times, share));
    }
}

const fn answered(outcome: Outcome) -> Option<Duration> {
    match outcome {
        Outcome::Answered(time) => Some(time),
        Outcome::Killed | Outcome::Lost => None,
    }
}

/// The time in milliseconds within which this share was answered; 0 where nobody was.
fn percentile(sorted: &[Duration], share: f64) -> f64 {
    let wanted = share * sorted.len() as f64;
    let found = sorted.iter().enumerate().find(|(at, _)| (at + 1) as f64 >= wanted);
    found.map_or(0.0, |(_, time)| time.as_secs_f64() * 1000.0)
}

impl Account {
    /// Requests that were lost without having killed anybody.
    pub(super) fn lost(&self) -> usize {
        self.rows.iter().map(|row| row.lost).sum()
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "\nACT         PER S  REQUESTS  ANSWERED  KILLERS  LOST  HALF IN  99 % IN  HANDLERS"
        )?;
        self.rows.iter().try_for_each(|row| write!(f, "{row}"))?;
        let sum = |of: fn(&Row) -> usize| self.rows.iter().map(of).sum::<usize>() as u64;
        let (requests, killers) = (sum(|row| row.requests), sum(|row| row.killed));
        let requests = counted(requests - killers, "request");
        let ended: Vec<_> =
            self.ended.iter().map(|(way, number)| format!("{} {way}", count(*number))).collect();
        writeln!(
            f,
            "\n{} lost of {requests}; {} that killed their handlers.",
            self.lost(),
            counted(killers, "more request")
        )?;
        for row in &self.rows {
            row.reloaded
                .iter()
                .try_for_each(|words| writeln!(f, "Reload: {}", crate::words::clean(words)))?;
        }
        if !ended.is_empty() {
            writeln!(f, "Handlers ended by: {}.", ended.join(", "))?;
        }
        f.write_str(
            "\nNext: bellwether serve DIR, bellwether run -- ANY PROGRAM, bellwether --help\n",
        )
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { act, per_second, requests, answered, killed, lost, .. } = self;
        let [half, most] =
            [self.p50_ms, self.p99_ms].map(|ms| time(Duration::from_secs_f64(ms / 1000.0)));
        let handlers = match self.handlers {
            Some([least, most]) if least == most => least.to_string(),
            Some([least, most]) => format!("{least} to {most}"),
            None => "-".into(),
        };
        writeln!(
            f,
            "{act:<10} {per_second:>6} {requests:>9} {answered:>9} {killed:>8} {lost:>5} {half:>8} \
             {most:>8}  {handlers}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_fits_80_columns_and_counts_what_was_lost() {
        let ms = |ms| Outcome::Answered(Duration::from_millis(ms));
        let mut row = Row { act: "calm again", per_second: 200, ..Row::default() };
        row.note(vec![ms(50), ms(52), Outcome::Killed, Outcome::Lost, ms(1234)]);
        row.handlers = Some([1, 32]);
        let account = Account { rows: vec![row], ended: [("signal SIGABRT".into(), 1)].into() };
        let text = account.to_string();
        assert_eq!(account.lost(), 1);
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        let row =
            "calm again    200         5         3        1     1    52 ms    1.2 s  1 to 32\n";
        assert!(text.contains(row), "{text}");
        let last = "1 lost of 4 requests; 1 more request that killed their handlers.\n\
                    Handlers ended by: 1 signal SIGABRT.\n";
        assert!(text.contains(last), "{text}");
    }

    #[test]
    fn a_percentile_is_one_of_the_times() {
        let times: Vec<_> = (1..=100).map(Duration::from_millis).collect();
        assert_eq!(
            [0.0, 0.5, 0.99, 1.0].map(|share| percentile(&times, share)),
            [1.0, 50.0, 99.0, 100.0]
        );
        assert_eq!(percentile(&[], 0.5), 0.0);
    }
}
