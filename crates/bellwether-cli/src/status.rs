//! `bellwether status`: how a running server is, for people and for programs.

mod pool;
mod text;
mod watch;

use std::time::Duration;

use bellwether::status::Status;
use bellwether::{Error, remote};
use clap::Args;

use crate::config::written::Written;
use crate::ending::Ending;
use crate::output::{print, unprinted};
use crate::refusal;
use text::Text;

/// Show how a running server is: its buffers, its handlers, who won how often.
///
/// What handlers have used (CPU, MEM: with what they share counted in proportion) is read by who asks,
/// from /proc, and is missing where that is not allowed.
#[derive(Debug, Args)]
pub(crate) struct Question {
    /// Which pool [default: all].
    pool: Option<String>,

    /// Show it again and again (every 100ms to 1m), until Ctrl-C; in JSON a line each.
    #[arg(short, long, value_name = "TIME", num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "2s")]
    watch: Option<Written<Duration>>,

    /// Print JSON with stable keys.
    #[arg(long)]
    json: bool,

    /// Which server; not needed where only one runs.
    #[arg(long)]
    name: Option<String>,
}

/// Asks a server how it is and prints its answer.
pub(crate) fn run(question: &Question) -> Result<(), Ending> {
    refusal::in_json(question.json, answer(question))
}

fn answer(question: &Question) -> Result<(), Ending> {
    if let Some(interval) = &question.watch {
        return watch::run(question, interval.0);
    }
    let status = ask(question)?;
    if question.json {
        let json = serde_json::to_string_pretty(&status).map_err(unprinted)?;
        return print(&format!("{json}\n"));
    }
    print(&Text(&status).to_string())
}

/// The answer, with no other pool in it than was asked for.
fn ask(question: &Question) -> Result<Status, Error> {
    let status = remote::status(question.name.as_deref())?;
    match &question.pool {
        Some(pool) => only(status, pool),
        None => Ok(status),
    }
}

/// Leaves one pool; whoever names a server in its place is told how that is asked.
pub(crate) fn only(mut status: Status, name: &str) -> Result<Status, Error> {
    let names: Vec<_> = status.pools.iter().map(|pool| pool.name.clone()).collect();
    status.pools.retain(|pool| pool.name == name);
    if !status.pools.is_empty() {
        return Ok(status);
    }
    let servers = remote::names().unwrap_or_default();
    let hint = match servers.iter().any(|server| server == name) {
        true => format!("; it is the name of a server, which `--name {name}` asks"),
        false => String::new(),
    };
    let problem =
        format!("server `{}` has no such pool; it has: {}{hint}", status.name, names.join(", "));
    Err(Error::Configure { what: format!("pool `{name}`"), problem })
}

#[cfg(test)]
mod tests {
    use bellwether::status::PoolStatus;

    use super::*;

    #[test]
    fn one_pool_can_be_asked_for_by_its_name() {
        let mut status = Status::default();
        status.pools = ["web", "api"].map(pool).into();
        let names = |status: Status| status.pools.into_iter().map(|it| it.name).collect::<Vec<_>>();
        assert_eq!(names(only(status.clone(), "api").unwrap()), ["api"]);
        let error = only(status, "shop").unwrap_err().to_string();
        assert!(error.contains("pool `shop`") && error.contains("it has: web, api"), "{error}");
    }

    fn pool(name: &str) -> PoolStatus {
        let mut pool = PoolStatus::default();
        pool.name = name.into();
        pool
    }
}
