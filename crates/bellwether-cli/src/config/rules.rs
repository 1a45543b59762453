//! What values are possible, and which contradict one another.

use std::fmt::Display;
use std::time::Duration;

use bellwether::{Amount, Error, Pass, Ready, Result};
use bytesize::ByteSize;

use super::limits::about_clients;
use super::program::{PassWay, ReadyWay};
use super::proxies::about_proxies;
use super::rights::{Limited, Range};
use super::settings::PoolSettings;
use super::site;
use super::written::{Handlers, Percent, Written};

const MOST_HANDLERS: usize = 4096;
const MOST_THREADS: usize = 1024;
const MOST_CONNECTIONS: usize = 1 << 20;
const INSTANT: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const YEAR: Duration = Duration::from_secs(366 * 24 * 60 * 60);
/// The library's own.
const BOOT_TIMEOUT: Duration = Duration::from_secs(60);
const LEAST_SHARE: Percent = Percent(0.01);
const MEBIBYTE: ByteSize = ByteSize::mib(1);

/// What is wrong with the settings of a pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    /// The settings concerned and what is to be said beside each; the first is to be changed.
    pub(crate) keys: Vec<(&'static str, String)>,
    /// What is wrong.
    pub(crate) message: String,
    /// What to try.
    pub(crate) hint: String,
}

/// Finds all that is wrong with these values, as far as they can be judged by themselves.
pub(crate) fn problems(pool: &PoolSettings) -> Vec<Problem> {
    let found = [
        content(pool),
        site::about_files(pool),
        site::about_requests(pool),
        about_proxies(pool),
        handlers(pool),
        deadlines(pool),
        never_ready(pool),
        no_way_to_change(pool),
        limits(pool),
    ];
    let found = found.into_iter().chain(times(pool)).chain(numbers(pool)).flatten();
    found.chain(without_effect(pool)).chain(about_clients(pool)).collect()
}

/// Tells the first thing that is wrong with these values.
pub(crate) fn check(pool: &PoolSettings) -> Result<()> {
    problems(pool).into_iter().next().map_or(Ok(()), |problem| Err(problem.into()))
}

impl From<Problem> for Error {
    fn from(problem: Problem) -> Self {
        let (what, message) = problem.message.split_once(": ").unwrap_or_default();
        Self::Configure { what: what.into(), problem: format!("{message}; {}", problem.hint) }
    }
}

fn times(pool: &PoolSettings) -> impl Iterator<Item = Option<Problem>> {
    let zero = Duration::ZERO;
    let times = [
        ("boot-timeout", pool.boot_timeout, INSTANT, DAY),
        ("announce", pool.announce, zero, DAY),
        ("stop-grace", pool.stop_grace, zero, DAY),
        ("kill-after", pool.kill_after, zero, DAY),
        ("orphan-grace", pool.orphan_grace, zero, DAY),
        ("canary", pool.canary, zero, DAY),
        ("soft-deadline", pool.soft_deadline, INSTANT, DAY),
        ("hard-deadline", pool.hard_deadline, INSTANT, DAY),
        ("watchdog", pool.watchdog, INSTANT, DAY),
        ("max-age", pool.max_age, SECOND, YEAR),
    ];
    times.into_iter().map(|(key, time, least, most)| outside(key, time, least, most, time_text))
}

/// What is wrong with a time that cannot be none.
pub(super) fn time_outside(key: &'static str, time: Option<Written<Duration>>) -> Option<Problem> {
    outside(key, time, INSTANT, DAY, time_text)
}

fn numbers(pool: &PoolSettings) -> [Option<Problem>; 9] {
    let count = |amount: Option<Written<Amount>>| match amount {
        Some(Written(Amount::Count(count))) => Some(Written(count)),
        _ => None,
    };
    [
        outside("threads", pool.threads, 1, MOST_THREADS, text),
        outside("connections", pool.connections, 1, MOST_CONNECTIONS, text),
        outside("old-generations", pool.old_generations, 0, 1000, text),
        outside("max-surge", count(pool.max_surge), 0, MOST_HANDLERS, text),
        outside("max-unavailable", count(pool.max_unavailable), 0, MOST_HANDLERS, text),
        below("max-requests", pool.max_requests, 1),
        below("crash-budget", pool.crash_budget, 1),
        below("max-memory", pool.max_memory, MEBIBYTE),
        outside("memory-pressure", pool.memory_pressure, LEAST_SHARE, Percent(100.0), text),
    ]
}

pub(super) fn outside<T: PartialOrd + Copy>(
    key: &'static str,
    value: Option<Written<T>>,
    least: T,
    most: T,
    text: fn(&T) -> String,
) -> Option<Problem> {
    let Written(value) = value?;
    if (least..=most).contains(&value) {
        return None;
    }
    let (least, most) = (text(&least), text(&most));
    Some(impossible(key, &text(&value), format!("choose {least} to {most}")))
}

pub(super) fn below<T: PartialOrd + Copy + Display>(
    key: &'static str,
    value: Option<Written<T>>,
    least: T,
) -> Option<Problem> {
    let Written(value) = value?;
    let too_small = value < least;
    too_small.then(|| impossible(key, &text(&value), format!("choose at least {least}")))
}

fn impossible(key: &'static str, value: &str, hint: String) -> Problem {
    let keys = vec![(key, "not possible".into())];
    Problem { keys, message: format!("{key}: {value} is not possible"), hint }
}

fn content(pool: &PoolSettings) -> Option<Problem> {
    if !pool.command.is_empty() {
        return pool.serve.as_ref().map(|_| Problem {
            keys: vec![("serve", "these files".into()), ("command", "or this program".into())],
            message: "serve: a pool serves either files or what a program answers".into(),
            hint: "leave out serve or command, or make two pools".into(),
        });
    }
    let given = [
        ("recipe", pool.recipe.is_some()),
        ("recipes", pool.recipes.is_some()),
        ("pass", pool.pass.is_some()),
        ("ready", pool.ready.is_some()),
        ("watchdog", pool.watchdog.is_some()),
        ("kind", pool.kind.is_some()),
        ("stop-signal", pool.stop_signal.is_some()),
        ("directory", pool.directory.is_some()),
        ("environment", !pool.environment.is_empty()),
        ("log", pool.log.is_some()),
        ("user", pool.user.is_some()),
        ("group", pool.group.is_some()),
        ("limits", !pool.limits.is_empty()),
        ("no-new-privileges", pool.no_new_privileges.is_some()),
    ];
    let (key, _) = given.into_iter().find(|(_, given)| *given)?;
    Some(Problem {
        keys: vec![(key, "of which program?".into())],
        message: format!("{key}: there is no program that it could be about"),
        hint: "add command, the program and its arguments".into(),
    })
}

/// What is settled by whoever accepts, and so means nothing for a pool of programs.
///
/// Their requests are not seen, and which connections come and go between two looks neither.
fn without_effect(pool: &PoolSettings) -> impl Iterator<Item = Problem> {
    let is_program = !pool.command.is_empty();
    // The relay of a program with a port of its own waits for connections as we do.
    let is_relayed = matches!(pool.pass, Some(Written(PassWay::Only(Pass::Port))));
    let own_limit = "use the program's own limit, as `gunicorn --timeout` is one";
    let given = [
        (
            "tls",
            !pool.tls.is_empty(),
            "give the certificates to it: it speaks TLS itself or not at all",
        ),
        ("threads", pool.threads.is_some(), "say it in its arguments, or let handlers be more"),
        ("connections", pool.connections.is_some(), "let handlers be more, or fewer"),
        (
            "notification",
            pool.notification.is_some() && !is_relayed,
            "leave it out: a program waits as it likes, but for one with pass = \"port\"",
        ),
        ("soft-deadline", pool.soft_deadline.is_some(), own_limit),
        ("hard-deadline", pool.hard_deadline.is_some(), own_limit),
        ("max-requests", pool.max_requests.is_some(), "use max-age or max-memory"),
        ("label-requests", pool.label_requests.is_some(), "let it say STATUS= (docs/words.md)"),
        ("shed", pool.shed.is_some(), "let handlers be MIN..MAX or auto, so that less waits"),
    ];
    let given = given.into_iter().filter(move |(_, given, _)| is_program && *given);
    given.map(|(key, _, hint)| Problem {
        keys: vec![(key, "means nothing here".into())],
        message: format!("{key}: it has no effect on a program"),
        hint: hint.into(),
    })
}

fn limits(pool: &PoolSettings) -> Option<Problem> {
    let mut limits = pool.limits.iter();
    let is_wrong = |(limited, range): &(&Written<Limited>, &Written<Range>)| {
        range.0.in_bytes && !limited.0.0.is_in_bytes()
    };
    let Written(Limited(resource)) = limits.find(is_wrong)?.0;
    Some(Problem {
        keys: vec![("limits", format!("{resource} has no unit"))],
        message: format!("limits: {resource} does not count bytes"),
        hint: "write a number alone".into(),
    })
}

fn handlers(pool: &PoolSettings) -> Option<Problem> {
    let Written(Handlers { min, max }) = pool.handlers?;
    if (1..=MOST_HANDLERS).contains(&max) && min <= max {
        return None;
    }
    if min == max {
        let hint = format!("choose 1 to {MOST_HANDLERS}");
        return Some(impossible("handlers", &min.to_string(), hint));
    }
    let hint = format!("choose up to {MOST_HANDLERS}, the smaller first");
    Some(impossible("handlers", &format!("{min}..{max}"), hint))
}

fn deadlines(pool: &PoolSettings) -> Option<Problem> {
    let (Written(soft), Written(hard)) = (pool.soft_deadline?, pool.hard_deadline?);
    (soft > hard).then(|| Problem {
        keys: vec![
            ("soft-deadline", format!("told after {}", time_text(&soft))),
            ("hard-deadline", format!("ended after {}", time_text(&hard))),
        ],
        message: "soft-deadline: the handler would be told after it has been ended".into(),
        hint: "choose a soft deadline before the hard one".into(),
    })
}

fn never_ready(pool: &PoolSettings) -> Option<Problem> {
    let Some(Written(ReadyWay(Ready::After(time)))) = &pool.ready else { return None };
    let Written(limit) = pool.boot_timeout.unwrap_or(Written(BOOT_TIMEOUT));
    (*time >= limit).then(|| Problem {
        keys: [("ready", format!("ready after {}", time_text(time)))]
            .into_iter()
            .chain(
                pool.boot_timeout
                    .map(|_| ("boot-timeout", format!("ended after {}", time_text(&limit)))),
            )
            .collect(),
        message: "ready: the program would be ended before it is ready".into(),
        hint: format!(
            "choose less than the boot-timeout of {}, or a longer one",
            time_text(&limit)
        ),
    })
}

fn no_way_to_change(pool: &PoolSettings) -> Option<Problem> {
    let none = |amount: Amount| matches!(amount, Amount::Count(0) | Amount::Percent(0));
    let unavailable = pool.max_unavailable.map_or(Amount::Count(0), |it| it.0);
    let Written(surge) = pool.max_surge?;
    let other = ("max-unavailable", "none fewer".into());
    (none(surge) && none(unavailable)).then(|| Problem {
        keys: [("max-surge", "none more".into())]
            .into_iter()
            .chain(pool.max_unavailable.map(|_| other))
            .collect(),
        message: "max-surge: with no handler more and none fewer a reload could never begin".into(),
        hint: "let max-surge or max-unavailable be at least 1".into(),
    })
}

pub(super) fn text<T: Display>(value: &T) -> String {
    value.to_string()
}

fn time_text(time: &Duration) -> String {
    humantime::format_duration(*time).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(toml: &str, keys: &[&str], hint: &str) {
        let pool: PoolSettings = toml::from_str(toml).unwrap();
        let found = problems(&pool);
        let [problem] = &found[..] else { panic!("{toml}: {found:?}") };
        assert_eq!(problem.keys.iter().map(|(key, _)| *key).collect::<Vec<_>>(), keys, "{toml}");
        assert!(problem.hint.contains(hint), "{toml}: {problem:?}");
        assert!(problem.message.starts_with(keys[0]), "{problem:?}");
    }

    #[test]
    fn every_value_has_its_range() {
        check("handlers = 0", &["handlers"], "1 to 4096");
        check("handlers = '0..0'", &["handlers"], "1 to 4096");
        check("handlers = '8..2'", &["handlers"], "the smaller first");
        check("handlers = '1..9999'", &["handlers"], "up to 4096");
        check("threads = 0", &["threads"], "1 to 1024");
        check("threads = 1025", &["threads"], "1 to 1024");
        check("connections = 0", &["connections"], "1 to 1048576");
        check("boot-timeout = 0", &["boot-timeout"], "1ms to 1day");
        check("stop-grace = '25h'", &["stop-grace"], "0s to 1day");
        check("max-age = '2years'", &["max-age"], "1s to");
        check("max-memory = 512", &["max-memory"], "at least 1.0 MiB");
        check("memory-pressure = 0", &["memory-pressure"], "0.01% to 100%");
        check("memory-pressure = '101%'", &["memory-pressure"], "0.01% to 100%");
        check("max-requests = 0", &["max-requests"], "at least 1");
        check("crash-budget = 0", &["crash-budget"], "at least 1");
        check("old-generations = 2000", &["old-generations"], "0 to 1000");
        check("max-surge = 5000", &["max-surge"], "0 to 4096");
        check("idle-timeout = 0", &["idle-timeout"], "1ms to 1day");
        check("write-timeout = '25h'", &["write-timeout"], "1ms to 1day");
        check("max-head = 100", &["max-head"], "1.0 KiB to 1.0 MiB");
        check("max-target = 0", &["max-target"], "at least 1 B");
    }

    #[test]
    fn contradictions_name_both_sides() {
        let deadlines = ["soft-deadline", "hard-deadline"];
        check("soft-deadline = '2s'\nhard-deadline = '1s'", &deadlines, "before the hard one");
        check("max-surge = 0", &["max-surge"], "at least 1");
        let content = ["serve", "command"];
        check("serve = 'public'\ncommand = ['php-cgi']", &content, "two pools");
        check("kind = 'serial'", &["kind"], "add command");
        let program = "command = ['php-cgi']\nready = 'after:";
        check(&format!("{program}60s'"), &["ready"], "boot-timeout of 1m");
        let both = ["ready", "boot-timeout"];
        check(&format!("{program}5s'\nboot-timeout = '2s'"), &both, "a longer one");
        check("user = 'root'", &["user"], "add command");
        let unit = "command = ['php-cgi']\nlimits = { core = '1MiB', nofile = '1k' }";
        check(unit, &["limits"], "a number alone");
        check("listing = true", &["listing"], "name the directory");
        check("spa = 'index.html'", &["spa"], "name the directory");
        check("cache = ['no-store']", &["cache"], "name the directory");
        check("compress = false", &["compress"], "name the directory");
        check("access-log-format = 'json'", &["access-log-format"], "add access-log");
        check("access-log = '-'\ncommand = ['php-cgi']", &["access-log"], "leave it out");
        check("listing = true\ncommand = ['php-cgi']", &["listing"], "name the directory");
        check("proxy-protocol = true", &["proxy-protocol"], "add trust");
        check("proxy-headers = 'forwarded'", &["proxy-headers"], "add trust");
        check("trust = ['unix']", &["trust"], "add proxy-protocol or proxy-headers");
        check("trust = ['unix']\nproxy-headers = 'none'", &["trust"], "add proxy-protocol");
        check("trust = ['unix']\ncommand = ['php-cgi']", &["trust"], "let the program");
        let both = ["max-surge", "max-unavailable"];
        check("max-surge = '0%'\nmax-unavailable = 0", &both, "at least 1");
    }

    #[test]
    fn what_has_no_effect_on_a_program_says_what_to_use_instead() {
        let check = |setting: &str, key: &str, hint: &str| {
            check(&format!("command = ['php-cgi']\n{setting}"), &[key], hint);
        };
        check("tls = [{ cert = 'a', key = 'b' }]", "tls", "it speaks TLS itself");
        check("threads = 2", "threads", "more");
        check("connections = 2", "connections", "handlers");
        check("label-requests = true", "label-requests", "STATUS=");
        check("notification = 'one'", "notification", "port");
        check("pass = 'adopt'\nnotification = 'all'", "notification", "leave it out");
        check("soft-deadline = '1s'", "soft-deadline", "own limit");
        check("hard-deadline = '1s'", "hard-deadline", "own limit");
        check("max-requests = 9", "max-requests", "max-age");
        check("shed = false", "shed", "MIN..MAX");
        check("idle-timeout = '1s'", "idle-timeout", "own limit");
        check("max-body = '1MiB'", "max-body", "own limit");
    }

    #[test]
    fn what_is_possible_is_not_complained_about() {
        let fine = "command = ['php-cgi']\nkind = 'serial'\nhandlers = '2..8'\nmax-age = '1h'\n\
                    max-surge = 0\nmax-unavailable = 1\nstop-grace = 0";
        assert_eq!(problems(&toml::from_str(fine).unwrap()), []);
        let fine = "soft-deadline = '1s'\nhard-deadline = '1s'\nthreads = 2\nshed = true\n\
                    connections = 1\nlabel-requests = true";
        assert_eq!(problems(&toml::from_str(fine).unwrap()), []);
        let proxies =
            "trust = ['10.0.0.0/8', 'unix']\nproxy-protocol = true\nproxy-headers = 'forwarded'";
        assert_eq!(problems(&toml::from_str(proxies).unwrap()), []);
        let untold = "proxy-protocol = false\nproxy-headers = 'none'";
        assert_eq!(problems(&toml::from_str(untold).unwrap()), []);
        let relayed = "command = ['node', 'app.js']\npass = 'port'\nnotification = 'one'";
        assert_eq!(problems(&toml::from_str(relayed).unwrap()), []);
        assert_eq!(problems(&PoolSettings::default()), []);
    }
}
