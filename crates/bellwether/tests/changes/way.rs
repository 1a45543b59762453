//! The ways to change a server, and how far a change is.

use serde_json::{Value, json};

use crate::kit::{Control, PATIENCE, Pending, Pid, Run, Signal, control, eventually, usage};

/// How a server is renewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// New handlers.
    Reload,
    /// A new spawner and new handlers.
    Upgrade,
}

/// Every test of a change is made in each of these ways.
pub(crate) const WAYS: &[Way] = &[Way::Reload, Way::Upgrade];

impl Way {
    pub(crate) const fn verb(self) -> &'static str {
        match self {
            Self::Reload => "reload",
            Self::Upgrade => "upgrade",
        }
    }

    pub(crate) const fn signal(self) -> Signal {
        match self {
            Self::Reload => Signal::HUP,
            Self::Upgrade => Signal::USR2,
        }
    }

    /// What is said when handlers of the new generation were no good.
    pub(crate) const fn consolation(self) -> &'static str {
        match self {
            Self::Reload => "nothing was changed",
            Self::Upgrade => "the program from before serves on",
        }
    }

    /// Asks for the change, and does not wait for it.
    #[track_caller]
    pub(crate) fn begin(self, run: &Run) -> Pending {
        run.control().begin(&json!({"verb": self.verb()}))
    }

    /// Asks for the change, and returns as soon as it is going on.
    #[track_caller]
    pub(crate) fn enter(self, run: &Run) -> Pending {
        let pending = self.begin(run);
        eventually(PATIENCE, "the change to begin", || change(run).map(drop));
        pending
    }

    /// Changes the server and returns the answer.
    #[track_caller]
    pub(crate) fn ask(self, run: &Run) -> Value {
        self.begin(run).answer()
    }

    /// Changes the server, which must succeed.
    #[track_caller]
    pub(crate) fn succeed(self, run: &Run) {
        let answer = self.ask(run);
        assert_eq!(answer["result"], "done", "{} failed: {answer}", self.verb());
    }
}

/// Asks for another number of handlers, and does not wait for them.
#[track_caller]
pub(crate) fn scale(control: &Control, handlers: &str) -> Pending {
    control.begin(&json!({"verb": "scale", "handlers": handlers}))
}

/// What is going on, if anything is.
pub(crate) fn change(run: &Run) -> Option<String> {
    run.control().status().ok()?["change"].as_str().map(Into::into)
}

/// The generation that serves.
#[track_caller]
pub(crate) fn generation(run: &Run) -> u64 {
    run.pool()["generation"].as_u64().expect("a generation")
}

/// The handlers of a generation, ready or not.
#[track_caller]
pub(crate) fn members(run: &Run, generation: u64) -> Vec<Pid> {
    let pool = run.pool();
    let handlers = pool["handlers"].as_array().expect("handlers").iter();
    let own = handlers.filter(|it| it["generation"] == generation);
    own.filter_map(|it| Pid::try_from(it["pid"].as_i64()?).ok()).collect()
}

/// Waits until nothing is going on and exactly so many handlers serve, all of one generation.
#[track_caller]
pub(crate) fn wait_calm(run: &Run, handlers: usize) {
    let what = format!("{handlers} handlers of one generation, and no change");
    eventually(PATIENCE, &what, || {
        let status = run.control().status().ok()?;
        let pool = control::pool(&status);
        let listed = pool["handlers"].as_array()?;
        let one = listed.iter().all(|it| it["generation"] == pool["generation"]);
        let ready = control::ready(&status).len();
        let calm = status["change"].is_null() && one;
        (calm && ready == handlers && listed.len() == handlers).then_some(())
    });
}

/// The descriptors of a spawner when nothing moves any more: the fewest of many looks.
///
/// A control connection, or the socket of a template, is closed a moment after its end.
#[track_caller]
pub(crate) fn descriptors(run: &Run) -> usize {
    let mut looks = Vec::new();
    eventually(PATIENCE, "fifty looks", || {
        looks.push(usage::descriptors(run.pid()));
        (looks.len() == 50).then(|| looks.iter().min().copied()).flatten()
    })
}

/// Asserts that an answer says this, for these reasons.
#[track_caller]
pub(crate) fn assert_answer(answer: &Value, result: &str, words: &[&str]) {
    let reason = answer["reason"].as_str().or_else(|| answer["what"].as_str()).unwrap_or_default();
    let fits = answer["result"] == result && words.iter().all(|word| reason.contains(word));
    assert!(fits, "not {result} because of {words:?}: {answer}");
}

/// What the server wrote down about changes and refusals: `RULE: REASON`, the oldest first.
#[track_caller]
pub(crate) fn told(run: &Run, kind: &str) -> Vec<String> {
    let why = run.control().tell(&json!({"verb": "why"}));
    let entries = why["entries"].as_array().expect("entries").iter();
    let of_kind = entries.filter(|it| it["kind"] == kind);
    let text = |it: &Value, key: &str| it[key].as_str().expect("text").to_owned();
    of_kind.map(|it| format!("{}: {}", text(it, "rule"), text(it, "reason"))).collect()
}
