//! What follows from the trials: pure.

use std::time::Duration;

use super::{Doctor, Tried};
use crate::config::written::Written;

/// The ways in the order in which they are worth trying: first the one that is taken by itself.
pub(super) fn order_of_ways(by_itself: &str) -> impl Iterator<Item = &str> {
    let others = ["adopt", "listen-fds", "stdin", "port"];
    std::iter::once(by_itself).chain(others.into_iter().filter(move |way| *way != by_itself))
}

/// Why a way does not work, by what its server and the program have written.
pub(super) fn reason(said: &str) -> String {
    let own = said.lines().rev().find_map(|line| line.split_once("it opens "));
    if let Some((address, _)) = own.and_then(|(_, rest)| rest.split_once(", which is none")) {
        return format!("it opens {address} instead");
    }
    let in_use = ["EADDRINUSE", "address already in use", "Address already in use", "in use"];
    if said
        .lines()
        .any(|line| !line.contains("error: ") && in_use.iter().any(|it| line.contains(it)))
    {
        return "it opens its own address instead of taking this".into();
    }
    let error = said.lines().rev().find_map(|line| line.strip_prefix("error: "));
    let last = error.or_else(|| said.lines().last()).unwrap_or("it ended without a word");
    // What is the same for all ways is left out.
    last.rsplit_once("it could not start: ").map_or(last, |(_, why)| why).into()
}

/// The way to take: the first that works; they are in the order of what is good for a program.
pub(super) fn best(ways: &[Tried]) -> Option<&Tried> {
    ways.iter().find(|it| it.facts.is_some())
}

/// The command line that runs the program in the best way; nothing is said that goes without saying.
pub(super) fn command_line(
    order: &Doctor,
    addresses: &[String],
    known: &[String],
    ways: &[Tried],
) -> Option<Vec<String>> {
    let best = best(ways)?;
    let mut line = vec!["bellwether".to_owned(), "run".to_owned()];
    let mut add = |flag: &str, value: &str| line.extend([flag.to_owned(), value.to_owned()]);
    if known != addresses {
        let short = |address: &str| address.trim_start_matches("tcp://").to_owned();
        addresses.iter().take(1).for_each(|address| add("--listen", &short(address)));
    }
    if !best.by_itself {
        add("--pass", &best.way);
    }
    let time =
        |it: &Written<Duration>| humantime::format_duration(it.0).to_string().replace(' ', "");
    order.boot_timeout.iter().for_each(|it| add("--boot-timeout", &time(it)));
    line.extend(order.start.words());
    line.push("--".into());
    line.extend(order.command.iter().cloned());
    Some(line)
}

#[cfg(test)]
mod tests {
    use clap::{Command, FromArgMatches};

    use super::super::facts::Facts;
    use super::*;

    fn order(line: &str) -> Doctor {
        let command = <Doctor as clap::Args>::augment_args(Command::new("doctor"));
        let matches = command.try_get_matches_from(line.split(' ')).unwrap();
        Doctor::from_arg_matches(&matches).unwrap()
    }

    fn tried(way: &str, by_itself: bool, works: bool) -> Tried {
        let facts = works.then(Facts::default);
        let problem = (!works).then(|| "it ended".to_owned());
        Tried { way: way.into(), by_itself, facts, problem }
    }

    #[test]
    fn what_is_taken_by_itself_is_tried_first_and_nothing_twice() {
        let check = |by_itself: &str, expected: &[&str]| {
            assert_eq!(order_of_ways(by_itself).collect::<Vec<_>>(), expected);
        };
        check("fd", &["fd", "adopt", "listen-fds", "stdin", "port"]);
        check("adopt", &["adopt", "listen-fds", "stdin", "port"]);
        check("port", &["port", "adopt", "listen-fds", "stdin"]);
    }

    #[test]
    fn a_reason_is_what_was_said_last_of_the_way() {
        let check = |said: &str, expected: &str| assert_eq!(reason(said), expected, "{said}");
        let failed = "error: no handler became ready: 4 attempts failed, the last one: it could not \
                      start: the program ended with exit status 1 before it was ready";
        check(failed, "the program ended with exit status 1 before it was ready");
        let own = format!("Error: listen EADDRINUSE: 127.0.0.1:80\n{failed}");
        check(&own, "it opens its own address instead of taking this");
        let elsewhere =
            "error: it ended; it opens tcp://[::]:3000, which is none of its addresses here";
        check(&format!("EADDRINUSE\n{elsewhere}"), "it opens tcp://[::]:3000 instead");
        check("error: command: it is empty", "command: it is empty");
        check("a\nlast", "last");
        check("", "it ended without a word");
    }

    #[test]
    fn the_command_line_says_only_what_must_be_said() {
        let check = |typed: &str, known: &[&str], ways: &[Tried], expected: Option<&str>| {
            let known: Vec<_> = known.iter().map(ToString::to_string).collect();
            let line = command_line(&order(typed), &["127.0.0.1:9".into()], &known, ways);
            let expected = expected.map(|line| line.split(' ').map(str::to_owned).collect());
            assert_eq!(line, expected, "{typed}");
        };
        let auto = [tried("fd", true, true), tried("adopt", false, true)];
        let last = [tried("adopt", true, false), tried("port", false, true)];
        let nothing = [tried("adopt", true, false)];
        let typed = "doctor -- uvicorn app:app";
        check(typed, &["127.0.0.1:9"], &auto, Some("bellwether run -- uvicorn app:app"));
        let listen = "bellwether run --listen 127.0.0.1:9 -- uvicorn app:app";
        check(typed, &[], &auto, Some(listen));
        let port = "bellwether run --pass port --env A=1 -- shop";
        let slow = "bellwether run --boot-timeout 1m30s -- shop";
        check("doctor --boot-timeout 90s -- shop", &["127.0.0.1:9"], &auto, Some(slow));
        check("doctor -e A=1 -- shop", &["127.0.0.1:9"], &last, Some(port));
        check(typed, &[], &nothing, None);
    }
}
