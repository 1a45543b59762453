//! Signals and commands in every order, on real processes: it always ends in a defined state.

use serde_json::json;

use crate::kit::{
    Chance, Kill, Pending, Run, Signal, assert_conserved, assert_descriptors, assert_quiescent,
};
use crate::pool::start;
use crate::way::{WAYS, assert_answer, descriptors, scale, wait_calm};

const WORDS: &[&str] = &["handlers=3", "canary=30"];

/// One thing that happens to a server.
#[derive(Clone, Copy, Debug)]
enum Happening {
    Renewal(Signal),
    Nonsense,
    Ask(&'static str),
    Scale(&'static str),
    Burst,
    Wait,
    Abandon,
}

impl Happening {
    fn any(chance: &mut Chance) -> Self {
        let way = WAYS[chance.below(WAYS.len()).unwrap_or(0)];
        match chance.below(10) {
            Some(0 | 1) => Self::Renewal(way.signal()),
            Some(2) => Self::Ask(way.verb()),
            Some(3) => Self::Nonsense,
            Some(4) => Self::Scale("1"),
            Some(5) => Self::Scale("5"),
            Some(6) => Self::Burst,
            Some(7) => Self::Abandon,
            _ => Self::Wait,
        }
    }

    fn happen(self, run: &Run, pending: &mut Vec<Pending>, chance: &mut Chance) {
        match self {
            Self::Renewal(signal) => run.signal(signal),
            Self::Nonsense => run.signal(Signal::USR1),
            Self::Ask(verb) => pending.push(run.control().begin(&json!({"verb": verb}))),
            Self::Scale(handlers) => pending.push(scale(&run.control(), handlers)),
            Self::Burst => run.handler_pids().into_iter().for_each(|pid| _ = Kill::of(pid)),
            Self::Abandon => pending.clear(),
            // As long as some answers take.
            Self::Wait => (0..chance.below(40).unwrap_or(0)).for_each(|_| drop(run.status())),
        }
    }
}

#[track_caller]
fn assert_it_serves_on(run: &mut Run, before: usize) {
    assert_answer(&scale(&run.control(), "3").answer(), "done", &[]);
    wait_calm(run, 3);
    assert_descriptors(run, before);
    assert_conserved(&run.status());
    assert_eq!(run.stop().code(), Some(0));
}

/// Half of the sequences end with a stop in the middle of what goes on.
#[track_caller]
fn endure(seed: u64) {
    let mut chance = Chance(seed);
    let happenings: Vec<_> = (0..12).map(|_| Happening::any(&mut chance)).collect();
    let stops = chance.below(2) == Some(0);
    println!("seed {seed}, stops: {stops}: {happenings:?}");
    let mut run = start(WORDS);
    let (before, mut pending) = (descriptors(&run), Vec::new());
    for happening in happenings {
        happening.happen(&run, &mut pending, &mut chance);
    }
    if !stops {
        pending.clear();
        return assert_it_serves_on(&mut run, before);
    }
    run.processes();
    run.signal(Signal::TERM);
    run.signal([Signal::HUP, Signal::USR1, Signal::CHILD][chance.below(3).unwrap_or(0)]);
    assert_eq!(run.wait().code(), Some(0));
    assert_quiescent(run.baseline(), &run);
    for client in &mut pending {
        let answer = client.answer();
        assert!(answer["result"].is_string(), "everybody is answered at the end: {answer}");
    }
}

#[test]
fn ten_orders_of_signals_and_commands_all_end() {
    (1..=10).for_each(endure);
}

#[test]
#[ignore = "minutes: 300 sequences"]
fn hundreds_of_orders_of_signals_and_commands_all_end() {
    (1000..1300).for_each(endure);
}
