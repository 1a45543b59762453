//! Who of a connection waits for whom, and for how long still: values alone, time is an argument.

use std::time::Duration;

use tokio::time::Instant;

use super::allowance::Allowance;
use crate::server::Limits;

/// How many requests a client may give up before their answer, beyond one for each that it let us
/// answer.
///
/// To ask and to take it back costs a client nothing (CVE-2023-44487). A page that is left while it
/// loads takes back some dozens.
const GIVEN_UP: u32 = 100;

/// How a client has used up its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Overdue {
    /// It has never asked, and nothing of a request is there.
    Silent,
    /// It has begun a request of HTTP/1 and did not come to the end of its head.
    Head,
    /// It has not asked anything for a while.
    Idle,
    /// It takes nothing of what it asked for.
    NotReading,
    /// It takes its requests back again and again.
    Restless,
}

/// How far a connection is.
#[derive(Debug)]
pub(super) struct Pace {
    limits: Limits,
    /// Until when the first request must be there.
    asks_by: Option<Instant>,
    has_asked: bool,
    is_http_2: bool,
    /// Requests that are being answered.
    under_way: usize,
    /// Pieces of answers that were handed out and not yet taken.
    held: usize,
    /// Since when nothing is under way.
    quiet_since: Instant,
    /// Since when a head is under way.
    head_since: Option<Instant>,
    /// For bytes that the network does not take.
    network: Allowance,
    /// For pieces of answers that are not taken: in HTTP/2 the client says how much it wants.
    answers: Allowance,
    answered: u32,
    given_up: u32,
}

impl Pace {
    pub(super) const fn new(limits: Limits, now: Instant, asks_by: Option<Instant>) -> Self {
        Self {
            limits,
            asks_by,
            has_asked: false,
            is_http_2: false,
            under_way: 0,
            held: 0,
            quiet_since: now,
            head_since: None,
            network: Allowance::new(limits.write),
            answers: Allowance::new(limits.write),
            answered: 0,
            given_up: 0,
        }
    }

    /// The client begins with the preface of HTTP/2.
    pub(super) const fn speaks_http_2(&mut self) {
        self.is_http_2 = true;
    }

    /// Something came that may be the beginning of a head.
    pub(super) fn came(&mut self, now: impl FnOnce() -> Instant) {
        if self.is_quiet() && !self.is_http_2 && self.head_since.is_none() {
            self.head_since = Some(now());
        }
    }

    /// A request is there; returns whether it is the first.
    pub(super) const fn asked(&mut self) -> bool {
        self.under_way += 1;
        self.head_since = None;
        !std::mem::replace(&mut self.has_asked, true)
    }

    /// A request is over: it was answered, or its client did not wait for that.
    pub(super) fn ended(&mut self, now: Instant, answered: bool) {
        self.under_way -= 1;
        let count = if answered { &mut self.answered } else { &mut self.given_up };
        *count = count.saturating_add(1);
        self.perhaps_quiet(now);
    }

    /// The network does not take what we have for the client.
    pub(super) fn stuck(&mut self, now: Instant) {
        self.network.wait(now);
    }

    /// It took so many bytes after all.
    pub(super) fn wrote(&mut self, now: Instant, bytes: usize) {
        self.network.moved(now, bytes);
        self.perhaps_quiet(now);
    }

    /// A piece of an answer was handed out.
    pub(super) fn handed_out(&mut self, now: Instant) {
        self.held += 1;
        self.answers.wait(now);
    }

    /// So many bytes of such pieces were taken.
    pub(super) fn taken(&mut self, now: Instant, bytes: usize) {
        self.answers.moved(now, bytes);
        self.answers.wait(now);
    }

    /// One of these pieces is gone.
    pub(super) fn gone(&mut self, now: Instant) {
        self.held -= 1;
        if self.held == 0 {
            self.answers.moved(now, 0);
            self.perhaps_quiet(now);
        }
    }

    /// A part of a head is there.
    pub(super) const fn is_being_asked(&self) -> bool {
        self.head_since.is_some()
    }

    const fn is_quiet(&self) -> bool {
        self.under_way == 0 && self.held == 0
    }

    fn perhaps_quiet(&mut self, now: Instant) {
        if self.is_quiet() && !self.network.waits() {
            self.quiet_since = now;
            self.head_since = None;
            self.network.forget();
            self.answers.forget();
        }
    }

    /// Returns when the client's time is over, and how, if nothing happens until then.
    pub(super) fn due(&self) -> Option<(Instant, Overdue)> {
        let stuck = [self.network.over_at(), self.answers.over_at()];
        let stuck = stuck.into_iter().flatten().map(|over| (over, Overdue::NotReading));
        stuck.chain(self.asking_due()).min_by_key(|(over, _)| *over)
    }

    fn asking_due(&self) -> Option<(Instant, Overdue)> {
        if self.given_up > self.answered.saturating_add(GIVEN_UP) {
            return Some((self.quiet_since, Overdue::Restless));
        }
        if !self.has_asked {
            let begun = self.head_since.is_some() && !self.is_http_2;
            return Some((self.asks_by?, if begun { Overdue::Head } else { Overdue::Silent }));
        }
        if !self.is_quiet() || self.network.waits() {
            return None;
        }
        let (since, limit, overdue) = match self.head_since {
            Some(since) => (since, self.limits.head, Overdue::Head),
            None => (self.quiet_since, self.limits.idle, Overdue::Idle),
        };
        Some((since.checked_add(limit)?, overdue))
    }

    /// Returns after which time to look again where nothing is due.
    pub(super) fn next_look(&self) -> Duration {
        const HOUR: Duration = Duration::from_secs(3600);
        self.limits.idle.min(self.limits.head).min(self.limits.write).min(HOUR)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> Limits {
        let [idle, head, write] = [60, 30, 20].map(Duration::from_secs);
        Limits { idle, head, write, ..Limits::default() }
    }

    /// What happens to a connection.
    #[derive(Clone, Copy, Debug)]
    enum Event {
        Preface,
        Came,
        Asked,
        Answered,
        GivenUp,
        Stuck,
        Wrote(usize),
        HandedOut,
        Taken(usize),
        Gone,
    }

    use Event::*;

    fn after(events: &[(u64, Event)]) -> Option<(u64, Overdue)> {
        let start = Instant::now();
        let at = |second| start + Duration::from_secs(second);
        let mut pace = Pace::new(limits(), start, Some(at(30)));
        for (second, event) in events {
            let now = at(*second);
            match *event {
                Preface => pace.speaks_http_2(),
                Came => pace.came(|| now),
                Asked => {
                    pace.asked();
                }
                Answered => pace.ended(now, true),
                GivenUp => pace.ended(now, false),
                Stuck => pace.stuck(now),
                Wrote(bytes) => pace.wrote(now, bytes),
                HandedOut => pace.handed_out(now),
                Taken(bytes) => pace.taken(now, bytes),
                Gone => pace.gone(now),
            }
        }
        pace.due().map(|(over, overdue)| ((over - start).as_secs(), overdue))
    }

    #[track_caller]
    fn check(events: &[(u64, Event)], expected: Option<(u64, Overdue)>) {
        assert_eq!(after(events), expected, "{events:?}");
    }

    #[test]
    fn the_first_request_has_a_time_that_nothing_but_it_moves() {
        check(&[], Some((30, Overdue::Silent)));
        check(&[(20, Came), (25, Came)], Some((30, Overdue::Head)));
        check(&[(1, Preface), (1, Came)], Some((30, Overdue::Silent)));
        check(&[(1, Came), (2, Asked)], None);
    }

    #[test]
    fn a_kept_connection_may_rest_and_a_head_has_its_own_time() {
        let once = [(1, Came), (1, Asked), (5, Answered)];
        check(&once, Some((65, Overdue::Idle)));
        check(&[&once[..], &[(60, Came)]].concat(), Some((90, Overdue::Head)));
        check(&[&once[..], &[(60, Came), (80, Came)]].concat(), Some((90, Overdue::Head)));
        check(&[&once[..], &[(60, Came), (61, Asked)]].concat(), None);
        let twice = [&once[..], &[(60, Came), (61, Asked), (70, Answered)]].concat();
        check(&twice, Some((130, Overdue::Idle)));
    }

    #[test]
    fn what_is_read_while_a_request_is_answered_is_no_head() {
        let pipelined = [(1, Came), (1, Asked), (2, Came), (3, Answered)];
        check(&pipelined, Some((63, Overdue::Idle)));
    }

    #[test]
    fn in_http_2_pings_do_not_keep_a_connection() {
        let pings = [(1, Preface), (1, Asked), (2, Answered), (30, Came), (50, Came)];
        check(&pings, Some((62, Overdue::Idle)));
        check(&[(1, Preface), (1, Asked), (1, Asked), (2, Answered)], None);
    }

    #[test]
    fn who_does_not_read_is_waited_for_from_the_first_byte_that_finds_no_room() {
        let sending = [(1, Asked), (5, Stuck)];
        check(&sending, Some((25, Overdue::NotReading)));
        check(&[&sending[..], &[(10, Stuck)]].concat(), Some((25, Overdue::NotReading)));
        check(&[&sending[..], &[(24, Wrote(1))]].concat(), None);
        let again = [&sending[..], &[(20, Wrote(1000)), (20, Stuck)]].concat();
        check(&again, Some((27, Overdue::NotReading)));
        let ended = [&sending[..], &[(6, Answered)]].concat();
        check(&ended, Some((25, Overdue::NotReading)));
        check(&[&ended[..], &[(7, Wrote(9))]].concat(), Some((67, Overdue::Idle)));
    }

    #[test]
    fn a_client_of_http_2_that_opens_no_window_is_one_that_does_not_read() {
        let held = [(1, Preface), (1, Asked), (2, HandedOut)];
        check(&held, Some((22, Overdue::NotReading)));
        check(&[&held[..], &[(3, Answered)]].concat(), Some((22, Overdue::NotReading)));
        check(&[&held[..], &[(12, Taken(10_000))]].concat(), Some((32, Overdue::NotReading)));
        check(&[&held[..], &[(12, Taken(9)), (12, Gone)]].concat(), None);
        let both = [&held[..], &[(2, Asked), (2, HandedOut), (12, Gone)]].concat();
        check(&both, Some((22, Overdue::NotReading)));
    }

    #[test]
    fn to_take_requests_back_is_allowed_as_often_as_to_let_them_be_answered_and_some_more() {
        let given_up = |times: usize| [(1, Asked), (1, GivenUp)].repeat(times);
        check(&given_up(100), Some((61, Overdue::Idle)));
        check(&given_up(101), Some((1, Overdue::Restless)));
        let answered = [(0, Asked), (0, Answered)].repeat(50);
        check(&[answered.clone(), given_up(150)].concat(), Some((61, Overdue::Idle)));
        check(&[answered, given_up(151)].concat(), Some((1, Overdue::Restless)));
    }

    #[test]
    fn some_are_waited_for_for_ever() {
        let now = Instant::now();
        let limits = Limits { idle: Duration::MAX, ..limits() };
        let mut pace = Pace::new(limits, now, None);
        assert_eq!(pace.due(), None);
        assert!(pace.asked() && !pace.asked());
        pace.ended(now, true);
        pace.ended(now, true);
        assert_eq!(pace.due(), None);
    }
}
