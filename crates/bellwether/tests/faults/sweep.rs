//! A handler killed at every step that it takes for one request (H3–H5 of the fault catalogue).
//!
//! One handler of two stands still, so that the other one wins the race. A strace shows its calls
//! for one request; then, for each of these calls, a handler is killed at the entry of that call
//! and the books are compared: at most the request that it had accepted may have failed.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::thread;
use std::time::Instant;

use crate::journal::{alarms, assert_rare};
use crate::kit::{
    Hold, Kill, Launch, Ledger, Outcome, PATIENCE, Pid, Run, Until, Verdict, assert_conserved,
    eventually, example, load, processes,
};
use crate::looks::{finish, idle_in, template};
use crate::tracer::{ALL, Tracer, can_trace};

/// Requests after each kill.
const AFTERWARDS: usize = 50;

/// A call that a handler makes for one request, and the how-manieth of its name.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Step {
    call: String,
    number: usize,
}

impl Step {
    fn injection(&self) -> String {
        format!("{}:signal=SIGKILL:when={}", self.call, self.number)
    }
}

/// A pool of two and its books.
struct Sweep {
    run: Run,
    record: PathBuf,
    ledger: Ledger,
    kills: Vec<Kill>,
}

impl Sweep {
    fn of(mode: &str) -> Self {
        let launch = Launch::of(example("pool"));
        let record = launch.path("record");
        let words = ["127.0.0.1:0".into(), "handlers=2".into(), format!("notification={mode}")];
        let run = launch.args(words).arg(format!("record={}", record.display())).start();
        run.wait_ready(2);
        Self { run, record, ledger: Ledger::default(), kills: Vec::new() }
    }

    /// Makes requests and books them; their outcomes.
    fn request(&mut self, number: usize) -> Vec<Outcome> {
        let ledger = load(self.run.socket_addr(), 1, Until::Requests(number));
        let outcomes = ledger.entries().map(|entry| entry.outcome).collect();
        self.ledger.merge(ledger);
        outcomes
    }

    /// Holds the handler of slot 1 still and lets that of slot 0 serve a first request, so that
    /// its next one takes the usual calls.
    #[track_caller]
    fn prepare(&mut self) -> (Pid, Pid, Hold) {
        let (victim, other) = (idle_in(&self.run, 0), idle_in(&self.run, 1));
        let hold = Hold::stop(&[other]);
        assert_eq!(self.request(1), [Outcome::Ok(victim)]);
        assert_eq!(idle_in(&self.run, 0), victim);
        (victim, other, hold)
    }

    /// The calls from one wait to the next, the second wait included.
    fn steps(&mut self) -> Vec<Step> {
        let (victim, _, _hold) = self.prepare();
        let tracer = Tracer::attach(&self.run, victim, ALL, &[]);
        assert_eq!(self.request(1), [Outcome::Ok(victim)]);
        let calls = eventually(PATIENCE, "the handler to wait again", || {
            let calls = tracer.calls();
            let waits = calls.iter().filter(|call| call.contains("epoll_") && is_wait(call));
            (waits.count() >= 2).then_some(calls)
        });
        numbered(calls).into_iter().skip(1).collect()
    }

    /// Kills a handler at this step of a request, and sees what it cost.
    #[track_caller]
    fn kill_at(&mut self, step: &Step) {
        let (victim, _, hold) = self.prepare();
        let tracer = Tracer::attach(&self.run, victim, ALL, &[&step.injection()]);
        let outcome = self.request_during(|| die(victim, hold));
        tracer.detach();
        if step.call.starts_with("accept") {
            assert!(matches!(outcome, Outcome::Ok(_)), "{step:?}: not accepted, but {outcome:?}");
        }
        self.run.wait_ready(2);
        let outcomes = self.request(AFTERWARDS);
        let answered = outcomes.iter().filter(|it| matches!(it, Outcome::Ok(_))).count();
        assert_eq!(answered, AFTERWARDS, "{step:?}: afterwards all are answered");
        assert_conserved(&self.run.status());
    }

    /// Makes one request while something is done that kills.
    #[track_caller]
    fn request_during(&mut self, deed: impl FnOnce() -> Kill) -> Outcome {
        let address = self.run.socket_addr();
        let (ledger, kill) = thread::scope(|scope| {
            let client = scope.spawn(move || load(address, 1, Until::Requests(1)));
            let kill = deed();
            (client.join().expect("a client that ends"), kill)
        });
        self.kills.push(kill);
        let outcome = ledger.entries().next().expect("one request").outcome;
        self.ledger.merge(ledger);
        outcome
    }

    #[track_caller]
    fn end(self) {
        let verdict = Verdict::join(&self.ledger, &self.record);
        verdict.assert_only_owned_by(&self.kills, 1);
        assert_rare(&alarms(&self.run));
        finish(self.run);
    }
}

/// Waits until the victim is dead, and only then lets the other handler go on.
#[track_caller]
fn die(victim: Pid, hold: Hold) -> Kill {
    let from = Instant::now();
    eventually(PATIENCE, &format!("the death of {victim}"), || {
        (!processes::is_alive(victim)).then_some(())
    });
    hold.release();
    Kill { pid: victim, from, to: Instant::now() }
}

fn is_wait(call: &str) -> bool {
    call.contains("wait")
}

/// Counts the calls of each name.
fn numbered(calls: Vec<String>) -> Vec<Step> {
    let mut counts = BTreeMap::new();
    let number = |call: String| {
        let count = counts.entry(call.clone()).or_insert(0);
        *count += 1;
        Step { call, number: *count }
    };
    calls.into_iter().map(number).collect()
}

#[track_caller]
fn sweep(mode: &str) {
    if !can_trace() {
        return;
    }
    let mut sweep = Sweep::of(mode);
    let steps = sweep.steps();
    for call in ["accept4", "recvfrom", "write", "sendto", "close"] {
        let seen = steps.iter().any(|step| step.call == call);
        assert!(seen, "no {call} among {steps:?}");
    }
    steps.iter().for_each(|step| sweep.kill_at(step));
    sweep.end();
}

#[test]
fn a_kill_at_any_step_costs_at_most_the_request_in_hand_when_all_wake() {
    sweep("all");
}

#[test]
fn a_kill_at_any_step_costs_at_most_the_request_in_hand_when_some_wake() {
    sweep("some:2");
}

#[test]
fn a_kill_at_any_step_costs_at_most_the_request_in_hand_when_one_wakes() {
    sweep("one");
}

#[test]
fn a_kill_at_any_step_costs_at_most_the_request_in_hand_when_they_wake_in_turn() {
    sweep("turn");
}

#[test]
fn a_request_whose_handler_died_between_waking_and_accepting_is_served_by_the_other() {
    if !can_trace() {
        return;
    }
    for mode in ["all", "some:2", "one", "turn"] {
        let mut sweep = Sweep::of(mode);
        let (victim, other, hold) = sweep.prepare();
        // Nobody new comes to help.
        let birth = Hold::stop(&[template(&sweep.run)]);
        let fault = "accept4,accept:signal=SIGKILL:when=1";
        let tracer = Tracer::attach(&sweep.run, victim, "accept4,accept", &[fault]);
        let outcome = sweep.request_during(|| die(victim, hold));
        assert_eq!(outcome, Outcome::Ok(other), "{mode}");
        tracer.detach();
        birth.release();
        sweep.run.wait_ready(2);
        sweep.end();
    }
}
