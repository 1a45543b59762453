//! The life of a change: a pure, total function from state and event to state and action.
//!
//! A change ends in one of two ways: the new serve alone, or the old go on as if nothing had
//! happened.

use serde::{Deserialize, Serialize};

/// How far a reload or an upgrade is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Nothing is going on.
    Idle,
    /// The new program reads configuration and state, and touches nothing.
    Rehearsing,
    /// Nobody is made any more, so that this process can become the new program.
    Settling,
    /// The first handlers of the new generation must stay alive for a while.
    Proving,
    /// The new take the place of the old.
    Spreading,
    /// The new program has failed; nobody is made, so that the old program can come back.
    Returning,
}

/// What can happen to a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// Somebody asks for one.
    Asked(Way),
    /// The new program can go on from here.
    Rehearsed,
    /// No handler is being made.
    Settled,
    /// The first new handlers of all pools have stayed alive.
    Proven,
    /// The new serve alone in all pools.
    Spread,
    /// What was tried has failed.
    Failed,
    /// The server stops.
    Stopped,
}

/// By which way handlers are made anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Way {
    /// By a new template of the same program.
    Template,
    /// By a new program in this process.
    Program,
}

/// What the spawner does about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Nothing,
    /// Tell whoever asked that another change is going on.
    Refuse,
    /// Let the new program rehearse.
    Rehearse,
    /// Become the new program; it goes on with `Prove`.
    Replace,
    /// Make the first of the new in every pool.
    Prove,
    /// Let the new take the place of the old.
    Spread,
    /// Give the new up, and say why.
    RollBack,
    /// Become the old program again; it says why.
    Return,
    /// Say that it is done.
    Finish,
    /// End what is under way, and say that the server stops.
    Abandon,
}

/// Returns what becomes of a change by an event; `replaced`: this process is the new program.
pub(crate) const fn step(state: State, event: Event, replaced: bool) -> (State, Action) {
    use Action as A;
    use Event as E;
    use State as S;
    match (state, event) {
        (S::Idle, E::Asked(Way::Template)) => (S::Proving, A::Prove),
        (S::Idle, E::Asked(Way::Program)) => (S::Rehearsing, A::Rehearse),
        (S::Idle, _) => (S::Idle, A::Nothing),

        (state, E::Asked(_)) => (state, A::Refuse),
        (_, E::Stopped) => (S::Idle, A::Abandon),

        (S::Rehearsing, E::Rehearsed) => (S::Settling, A::Nothing),
        (S::Settling, E::Settled) => (S::Settling, A::Replace),
        (S::Proving, E::Proven) => (S::Spreading, A::Spread),
        (S::Spreading, E::Spread) => (S::Idle, A::Finish),

        (S::Proving | S::Spreading, E::Failed) if replaced => (S::Returning, A::RollBack),
        (S::Returning, E::Settled) => (S::Returning, A::Return),
        (_, E::Failed) => (S::Idle, A::RollBack),

        (state, _) => (state, A::Nothing),
    }
}

impl State {
    /// The word for people.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Idle => "nothing",
            Self::Rehearsing => "the new program rehearses",
            Self::Settling => "waiting until no handler is being made",
            Self::Proving => "the first handler of the new generation proves itself",
            Self::Spreading => "the new generation takes the place of the old",
            Self::Returning => "returning to the old program",
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Which generation the world runs, as far as actions say.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum World {
        Old,
        /// Both, on the way.
        Both,
        New,
    }

    fn event() -> impl Strategy<Value = Event> {
        prop_oneof![
            Just(Event::Asked(Way::Template)),
            Just(Event::Asked(Way::Program)),
            Just(Event::Rehearsed),
            Just(Event::Settled),
            Just(Event::Proven),
            Just(Event::Spread),
            Just(Event::Failed),
            Just(Event::Stopped),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100_000))]

        #[test]
        fn every_change_ends_with_the_old_or_with_the_new(
            events in proptest::collection::vec(event(), 0..24)
        ) {
            let (mut state, mut replaced, mut world) = (State::Idle, false, World::Old);
            for event in events {
                let before = state;
                let (next, action) = step(state, event, replaced);
                world = match action {
                    Action::Prove => World::Both,
                    Action::Replace => {
                        // The new program takes up where the old one was.
                        replaced = true;
                        state = State::Proving;
                        world = World::Both;
                        continue;
                    }
                    Action::RollBack if next == State::Returning => World::Both,
                    Action::RollBack | Action::Return | Action::Abandon => World::Old,
                    Action::Finish => World::New,
                    Action::Refuse => {
                        prop_assert!(before != State::Idle && next == before);
                        world
                    }
                    Action::Nothing | Action::Rehearse | Action::Spread => world,
                };
                state = if action == Action::Return { State::Idle } else { next };
                if state == State::Idle {
                    replaced = false;
                    prop_assert!(world != World::Both, "{before:?} {event:?} left both");
                    world = World::Old; // whatever serves now is the old of the next change
                }
            }
            // However far it is: failing, settling and failing again ends it.
            for event in [Event::Failed, Event::Settled, Event::Failed] {
                let (next, action) = step(state, event, replaced);
                state = if action == Action::Return { State::Idle } else { next };
            }
            prop_assert_eq!(state, State::Idle);
        }
    }

    #[test]
    fn two_changes_at_once_are_refused() {
        for state in [State::Rehearsing, State::Settling, State::Proving, State::Spreading] {
            for way in [Way::Template, Way::Program] {
                assert_eq!(step(state, Event::Asked(way), false), (state, Action::Refuse));
            }
        }
    }
}
