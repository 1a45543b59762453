//! What is wrong with settings that can be read: one pool by itself, and pools beside each other.

use bellwether::{Address, Error};

use super::Config;
use super::document::Document;
use super::finding::{Finding, Place};
use super::place::collide;
use super::rules::{Problem, problems};
use super::settings::PoolSettings;
use super::tls::Certificate;
use super::written::Written;
use crate::files::Folder;
use crate::log::{Format, objection};
use crate::run::identity::Identity;
use crate::run::plan::Plan;

/// Finds all that would keep the server of this configuration from being started here.
///
/// Only of a `complete` one, of which nothing had to be left out, can be said what is missing.
pub(crate) fn judge(config: &Config, document: &Document<'_>, complete: bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    if complete && config.pool.is_empty() {
        let hint = "add a pool: [pool.web] and below it listen = [\"127.0.0.1:8080\"]";
        let message = "there is no pool, so nothing would be served".into();
        findings.push(Finding::at(document.value(&["pool"]), message, hint.into()));
    }
    findings.extend(log_file(config, document));
    for (Written(name), pool) in &config.pool {
        let path = ["pool", &name.0];
        findings.extend(problems(pool).into_iter().map(|it| placed(it, document, path)));
        findings.extend(Identity::of(pool).err().map(|it| placed(it, document, path)));
        findings.extend(silence(pool, document, path).filter(|_| complete));
        findings.extend(directory(pool, document, path));
        findings.extend(program(pool, document, path));
        findings.extend(certificates(pool, document, path));
    }
    findings.extend(same_addresses(config, document));
    findings
}

fn log_file(config: &Config, document: &Document<'_>) -> Option<Finding> {
    let for_journal = config.log_format.is_some_and(|it| it.0 == Format::Journald);
    let (problem, hint) = objection(for_journal, config.log_file.as_deref()?)?;
    Some(Finding::at(document.value(&["log-file"]), problem.into(), hint.into()))
}

fn placed(problem: Problem, document: &Document<'_>, [table, pool]: [&str; 2]) -> Finding {
    let place = |(key, label): (&'static str, String)| Place {
        span: document.value(&[table, pool, key]),
        label,
    };
    let places = problem.keys.into_iter().map(place).collect();
    Finding { message: problem.message, hint: problem.hint, places }
}

fn silence(pool: &PoolSettings, document: &Document<'_>, path: [&str; 2]) -> Option<Finding> {
    let listen = [path[0], path[1], "listen"];
    let given = document.has(&listen);
    let span = if given { document.value(&listen) } else { document.key(&path) };
    pool.listen.is_empty().then(|| {
        let message = format!("pool `{}` listens nowhere", path[1]);
        Finding::at(span, message, "add listen = [\"127.0.0.1:8080\"]".into())
    })
}

fn directory(pool: &PoolSettings, document: &Document<'_>, path: [&str; 2]) -> Option<Finding> {
    let error = Folder::at(pool.serve.as_deref()?).err()?.to_string();
    let (problem, hint) = error.split_once("; ").unwrap_or((&error, ""));
    let span = document.value(&[path[0], path[1], "serve"]);
    Some(Finding::at(span, problem.into(), hint.into()))
}

/// What keeps its program from being started, as far as that can be seen.
fn program(pool: &PoolSettings, document: &Document<'_>, path: [&str; 2]) -> Option<Finding> {
    // What is wrong with a value was told.
    let is_known = Identity::of(pool).is_err() || !problems(pool).is_empty();
    let error = Plan::look_at(pool).err().filter(|_| !pool.command.is_empty() && !is_known)?;
    let Error::Configure { what, problem } = error else { return None };
    let keys = ["command", "directory", "recipes", "recipe"];
    let key = keys.into_iter().find(|key| *key == what).unwrap_or("command");
    let (problem, hint) =
        problem.split_once("; ").unwrap_or((&problem, "try it by `bellwether run`"));
    let span = document.value(&[path[0], path[1], key]);
    Some(Finding::at(span, format!("{what}: {problem}"), hint.into()))
}

fn certificates(
    pool: &PoolSettings,
    document: &Document<'_>,
    [table, pool_name]: [&str; 2],
) -> Vec<Finding> {
    let list = [table, pool_name, "tls"];
    let wrong = |(index, it): (usize, &Certificate)| {
        let error = it.look().err()?.to_string();
        let (problem, hint) = error.split_once("; ").unwrap_or((&error, ""));
        Some(Finding::at(document.element(&list, index), problem.into(), hint.into()))
    };
    // A program would not be given them anyway.
    let own = pool.tls.iter().filter(|_| pool.command.is_empty());
    own.enumerate().filter_map(wrong).collect()
}

/// Where an address stands in the file, and what it is.
struct Spot<'c> {
    pool: &'c str,
    index: usize,
    address: &'c Address,
}

fn same_addresses(config: &Config, document: &Document<'_>) -> Vec<Finding> {
    let spots: Vec<_> =
        config.pool.iter().flat_map(|(name, pool)| spots(&name.0.0, pool)).collect();
    let mut findings = Vec::new();
    for (later, second) in spots.iter().enumerate() {
        let first = spots[..later].iter().find(|first| collide(first.address, second.address));
        findings.extend(first.map(|first| collision(first, second, document)));
    }
    findings
}

fn spots<'c>(name: &'c str, pool: &'c PoolSettings) -> impl Iterator<Item = Spot<'c>> {
    let listen = pool.listen.iter().enumerate();
    listen.map(move |(index, address)| Spot { pool: name, index, address: &address.0 })
}

/// Tells of two addresses in the order of the file.
fn collision(first: &Spot<'_>, second: &Spot<'_>, document: &Document<'_>) -> Finding {
    let span = |spot: &Spot<'_>| document.element(&["pool", spot.pool, "listen"], spot.index);
    let (first, second) =
        if span(first).start < span(second).start { (first, second) } else { (second, first) };
    let place = |spot: &Spot<'_>, word: &str| Place {
        span: span(spot),
        label: format!("{word} by pool `{}`", spot.pool),
    };
    Finding {
        message: format!("{} is taken already", second.address),
        hint: "give each pool addresses of its own".into(),
        places: vec![place(second, "wanted"), place(first, "taken")],
    }
}
