//! The handlers as a table: in which order, which of them, and how a row reads.

use std::cmp::Reverse;

use bellwether::status::{HandlerStatus, PoolStatus};

use super::model::{Grown, Track, who};
use crate::words::{age, clean, count};

/// By what handlers are sorted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Sort {
    #[default]
    Slot,
    State,
    Requests,
    Open,
    Age,
}

/// Which handlers are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Filter {
    #[default]
    All,
    Busy,
    /// Neither idle nor busy.
    Changing,
}

impl Sort {
    pub(super) const fn next(self) -> Self {
        match self {
            Self::Slot => Self::State,
            Self::State => Self::Requests,
            Self::Requests => Self::Open,
            Self::Open => Self::Age,
            Self::Age => Self::Slot,
        }
    }

    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Slot => "slot",
            Self::State => "state",
            Self::Requests => "requests",
            Self::Open => "open",
            Self::Age => "age",
        }
    }
}

impl Filter {
    pub(super) const fn next(self) -> Self {
        match self {
            Self::All => Self::Busy,
            Self::Busy => Self::Changing,
            Self::Changing => Self::All,
        }
    }

    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Busy => "busy",
            Self::Changing => "coming and going",
        }
    }

    fn shows(self, handler: &HandlerStatus) -> bool {
        match self {
            Self::All => true,
            Self::Busy => handler.state == "busy",
            Self::Changing => !matches!(handler.state.as_str(), "busy" | "idle"),
        }
    }
}

/// The handlers that are shown, in their order.
pub(super) fn chosen(pool: &PoolStatus, sort: Sort, filter: Filter) -> Vec<&HandlerStatus> {
    let mut chosen: Vec<_> = pool.handlers.iter().filter(|it| filter.shows(it)).collect();
    match sort {
        Sort::Slot => {}
        Sort::State => chosen.sort_by(|one, other| one.state.cmp(&other.state)),
        Sort::Requests => chosen.sort_by_key(|it| Reverse(it.requests)),
        Sort::Open => chosen.sort_by_key(|it| Reverse(it.open)),
        Sort::Age => chosen.sort_by(|one, other| other.age_s.total_cmp(&one.age_s)),
    }
    chosen
}

/// The names of the columns.
pub(super) fn head(pool: &PoolStatus) -> &'static str {
    match pool.serves {
        None => "SLOT     PID  GEN STATE        AGE    OPEN   WAKES    WINS REQUESTS",
        Some(_) => "SLOT     PID  GEN STATE        AGE    OPEN",
    }
}

/// One handler; of programs only what can be seen.
pub(super) fn row(handler: &HandlerStatus, pool: &PoolStatus, track: Option<&Track>) -> String {
    let HandlerStatus { slot, generation, state, .. } = handler;
    let pid = handler.pid.map_or_else(|| "-".into(), |pid| pid.to_string());
    let (age, open) = (age(handler.age_s), count(handler.open));
    let mut row = format!("{slot:>4} {pid:>7} {generation:>4} {state:<8} {age:>7} {open:>7}");
    if pool.serves.is_none() {
        let grown = track.and_then(|track| track.grown.get(&who(handler))).copied();
        let Grown { wakeups, wins, .. } = grown.unwrap_or_default();
        let requests = count(handler.requests);
        row += &format!(" {:>7} {:>7} {requests:>8}", count(wakeups), count(wins));
    }
    handler.says.iter().for_each(|words| row += &format!("  {}", clean(words)));
    row
}
