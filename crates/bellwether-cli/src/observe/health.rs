//! Whether a server lives, and whether it can be given work: what probes ask.
//!
//! It lives as long as its spawner answers, however great the load and whatever its handlers do: who
//! restarts a server because it is busy makes it worse. It is ready when a handler is, and it does not
//! say goodbye.

use bellwether::status::{PoolStatus, Status};

/// The answer to a probe: whether all is well, and in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) is_well: bool,
    pub(super) words: String,
}

/// Tells whether the spawner answers.
pub(super) fn alive(told: &Result<Status, String>) -> Verdict {
    match told {
        Ok(status) => well(format!("server `{}` lives: {}", status.name, status.state)),
        Err(why) => ill(why.clone()),
    }
}

/// Tells whether newcomers are welcome.
///
/// While it only announces that it will stop it serves newcomers still, but they had better go
/// elsewhere; where whoever asks has known that for long (Kubernetes), it may count as ready.
pub(super) fn ready(told: &Result<Status, String>, announcing_is_ready: bool) -> Verdict {
    let status = match told {
        Ok(status) => status,
        Err(why) => return ill(why.clone()),
    };
    let state = status.state.as_str();
    if !(state == "serving" || state == "announcing" && announcing_is_ready) {
        return ill(format!("server `{}` is {state}", status.name));
    }
    let missing = status.pools.iter().find(|pool| pool.state != "drained" && handlers(pool) == 0);
    match missing {
        Some(pool) => ill(format!("pool `{}` has no handler that is ready", pool.name)),
        None => {
            let ready: usize = status.pools.iter().map(handlers).sum();
            well(format!("server `{}` is ready: {ready} handlers", status.name))
        }
    }
}

/// How many can take a request, now or when they are done.
fn handlers(pool: &PoolStatus) -> usize {
    let is_there = |state: &str| matches!(state, "idle" | "busy");
    pool.handlers.iter().filter(|it| is_there(&it.state)).count()
}

const fn well(words: String) -> Verdict {
    Verdict { is_well: true, words }
}

const fn ill(words: String) -> Verdict {
    Verdict { is_well: false, words }
}

#[cfg(test)]
mod tests {
    use serde_json::{json, to_value};

    use super::*;

    fn status(state: &str, pools: &[(&str, &[&str])]) -> Result<Status, String> {
        let mut status = to_value(Status::default()).unwrap();
        let mut all = Vec::new();
        for (state, handlers) in pools {
            let mut pool = to_value(PoolStatus::default()).unwrap();
            let handler = to_value(bellwether::status::HandlerStatus::default()).unwrap();
            let handlers = handlers.iter().map(|state| {
                let mut handler = handler.clone();
                handler["state"] = json!(state);
                handler
            });
            (pool["state"], pool["name"]) = (json!(state), json!("web"));
            pool["handlers"] = handlers.collect();
            all.push(pool);
        }
        (status["state"], status["pools"]) = (json!(state), json!(all));
        Ok(serde_json::from_value(status).unwrap())
    }

    #[test]
    fn a_server_is_ready_when_each_pool_has_a_handler_that_is() {
        let check = |told: &Result<Status, String>, lenient, expected, words: &str| {
            let verdict = ready(told, lenient);
            assert_eq!(verdict.is_well, expected, "{verdict:?}");
            assert!(verdict.words.contains(words), "{verdict:?}");
        };
        check(&status("serving", &[("serving", &["busy", "starting"])]), false, true, "1 handlers");
        check(&status("serving", &[("serving", &["starting"])]), false, false, "pool `web` has no");
        check(
            &status("serving", &[("drained", &[]), ("serving", &["idle"])]),
            false,
            true,
            "ready",
        );
        check(&status("announcing", &[("announcing", &["idle"])]), false, false, "is announcing");
        check(&status("announcing", &[("announcing", &["idle"])]), true, true, "ready");
        check(&status("stopping", &[("stopping", &["idle"])]), true, false, "is stopping");
        check(&Err("no server runs".into()), true, false, "no server runs");
    }

    #[test]
    fn a_server_lives_whatever_its_handlers_do() {
        assert!(alive(&status("stopping", &[("stopping", &[])])).is_well);
        assert!(!alive(&Err("it is gone".into())).is_well);
    }
}
