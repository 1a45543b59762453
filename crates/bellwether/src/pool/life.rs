//! The life of a slot: a pure, total function from state and event to state and action.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::rules::Times;

/// Where a slot is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum State {
    /// Nobody sits here.
    Vacant,
    /// The last one died; a new one comes after a pause.
    Resting,
    /// A process was asked for; it is not ready yet.
    Starting,
    /// The handler waits, accepts and serves.
    Serving,
    /// It finishes what it has accepted.
    Leaving,
    /// It took too long and was sent SIGTERM.
    Ending,
    /// It was sent SIGKILL.
    Killed,
}

/// What can happen to a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// The balance wants a handler here.
    Wanted,
    /// The balance, a stop or a contradiction wants this handler gone.
    Unwanted,
    /// The handler waits for requests.
    Ready,
    /// The handler closed its channel: it is about to end, or deaf.
    HungUp,
    /// The process could not be made.
    NotForked,
    /// The process has ended.
    Exited,
    /// The patience with this state has run out.
    Expired,
    /// Everything must end at once.
    Doom,
}

/// What the spawner does about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Nothing,
    /// Ask the template for a process.
    Fork,
    /// Order the handler to leave.
    Dismiss,
    /// Send SIGTERM.
    Terminate,
    /// Send SIGKILL.
    Kill,
    /// Close the books on the process that was here, and let the slot rest.
    Bury,
}

/// Returns what becomes of a slot by an event.
pub(crate) const fn step(state: State, event: Event) -> (State, Action) {
    use Action as A;
    use Event as E;
    use State as S;
    match (state, event) {
        (S::Vacant, E::Wanted) => (S::Starting, A::Fork),
        (S::Vacant, _) => (S::Vacant, A::Nothing),

        (S::Resting, E::Expired | E::Unwanted | E::Doom) => (S::Vacant, A::Nothing),
        (S::Resting, _) => (S::Resting, A::Nothing),

        // From here on there is, or may be, a process.
        (_, E::NotForked | E::Exited) => (S::Resting, A::Bury),
        (_, E::Doom) => (S::Killed, A::Kill),

        (S::Starting, E::Ready) => (S::Serving, A::Nothing),
        (S::Starting, E::Expired) => (S::Killed, A::Kill),
        (S::Starting | S::Serving, E::Unwanted) => (S::Leaving, A::Dismiss),
        (S::Starting | S::Serving, E::HungUp) => (S::Leaving, A::Nothing),

        (S::Leaving, E::Expired) => (S::Ending, A::Terminate),
        (S::Ending | S::Killed, E::Expired) => (S::Killed, A::Kill),
        (state, _) => (state, A::Nothing),
    }
}

impl State {
    /// Returns how long the state may last; `None`: as long as it likes.
    pub(crate) const fn patience(self, times: &Times) -> Option<Duration> {
        match self {
            Self::Vacant | Self::Serving | Self::Resting => None,
            Self::Starting => Some(times.boot),
            Self::Leaving => Some(times.grace),
            Self::Ending | Self::Killed => Some(times.last),
        }
    }

    /// Tells whether a process belongs to the slot.
    pub(crate) const fn has_process(self) -> bool {
        !matches!(self, Self::Vacant | Self::Resting)
    }

    /// The word for people and for `status`.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Vacant => "vacant",
            Self::Resting => "resting",
            Self::Starting => "starting",
            Self::Serving => "serving",
            Self::Leaving => "leaving",
            Self::Ending => "ending",
            Self::Killed => "killed",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATES: [State; 7] = [
        State::Vacant,
        State::Resting,
        State::Starting,
        State::Serving,
        State::Leaving,
        State::Ending,
        State::Killed,
    ];
    const EVENTS: [Event; 8] = [
        Event::Wanted,
        Event::Unwanted,
        Event::Ready,
        Event::HungUp,
        Event::NotForked,
        Event::Exited,
        Event::Expired,
        Event::Doom,
    ];

    #[test]
    fn over_the_whole_product_processes_appear_by_fork_and_vanish_by_burial() {
        for state in STATES {
            for event in EVENTS {
                let (next, action) = step(state, event);
                let (before, after) = (state.has_process(), next.has_process());
                assert_eq!(!before && after, action == Action::Fork, "{state:?} {event:?}");
                assert_eq!(before && !after, action == Action::Bury, "{state:?} {event:?}");
                if matches!(action, Action::Kill | Action::Terminate | Action::Dismiss) {
                    assert!(before && after, "{state:?} {event:?}: nobody to signal");
                }
            }
        }
    }

    #[test]
    fn every_state_with_a_process_that_must_end_has_a_deadline_that_leads_to_its_death() {
        let second = Duration::from_secs(1);
        let times = Times { boot: second, announce: second, grace: second, last: second };
        for start in [State::Starting, State::Leaving, State::Ending, State::Killed] {
            let mut state = start;
            for _ in 0..3 {
                assert!(state.patience(&times).is_some(), "{state:?}");
                state = step(state, Event::Expired).0;
            }
            assert_eq!(state, State::Killed, "from {start:?}");
        }
    }

    #[test]
    fn doom_kills_whatever_lives() {
        for state in STATES {
            let (next, action) = step(state, Event::Doom);
            assert_eq!(action == Action::Kill, state.has_process());
            assert!(next == State::Killed || next == State::Vacant);
        }
    }

    #[test]
    fn a_leaving_handler_is_not_called_back() {
        for state in [State::Leaving, State::Ending, State::Killed] {
            for event in [Event::Wanted, Event::Unwanted, Event::Ready, Event::HungUp] {
                assert_eq!(step(state, event), (state, Action::Nothing));
            }
        }
    }
}
