//! What the operator sees first: where the server listens, how, and how to stop it.

use std::fmt;

use bellwether::{Buffer, Listener, Notification, Server};

use crate::log;

/// How many handlers there are and how they are told of a request.
#[derive(Clone, Debug)]
pub(crate) struct Crew {
    /// The fewest and the most that there may be.
    pub(crate) bounds: (usize, usize),
    /// By which rule their number follows the load.
    pub(crate) rule: String,
    pub(crate) threads: usize,
    pub(crate) notification: Notification,
    /// Whether they race in the way that was chosen: programs do not.
    pub(crate) races: bool,
}

impl Crew {
    pub(crate) fn of(server: &Server) -> Self {
        Self {
            bounds: server.bounds(),
            rule: server.balance().to_string(),
            threads: server.threads(),
            notification: server.notification(),
            races: true,
        }
    }

    /// The crew of a pool of programs.
    pub(crate) fn of_programs(server: &Server) -> Self {
        Self { races: false, ..Self::of(server) }
    }
}

impl fmt::Display for Crew {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let each =
            if self.threads == 1 { "1 thread" } else { &format!("{} threads", self.threads) };
        match self.bounds {
            (1, 1) => write!(f, "1 process x {each}"),
            (min, max) if min == max => write!(f, "{max} processes x {each}"),
            (min, max) => write!(f, "{min} to {max} processes x {each}, by `{}`", self.rule),
        }
    }
}

/// Says in half a sentence who wakes.
pub(crate) fn meaning(notification: Notification) -> String {
    match notification {
        Notification::All => "a request wakes every idle handler, one wins it".into(),
        Notification::Some(1) | Notification::One => {
            "a request wakes one handler, the lowest idle slot first".into()
        }
        Notification::Some(most) => {
            format!("a request wakes at most {most} idle handlers, one wins it")
        }
        Notification::Turn => "a request wakes one handler, each in turn".into(),
        _ => "see `bellwether serve --help`".into(),
    }
}

/// Says on standard error what has been opened; `content` is what is served.
pub(crate) fn show(server: &Server, content: &str, crew: &Crew) {
    say(of(server, content, crew));
}

/// What there is to say of a server.
pub(crate) fn of(server: &Server, content: &str, crew: &Crew) -> Option<String> {
    // Who goes on in the same process has said all that before.
    let is_wanted = tracing::enabled!(tracing::Level::INFO) && !server.is_successor();
    is_wanted.then(|| text(server, content, crew))
}

/// Says it in the log.
pub(crate) fn say(words: Option<String>) {
    words.iter().for_each(|words| log::tell(words));
}

fn text(server: &Server, content: &str, crew: &Crew) -> String {
    let mut lines = vec![format!("bellwether {} serves {content}", env!("CARGO_PKG_VERSION"))];
    let scheme = if server.is_secure() { "https" } else { "http" };
    lines.extend(places(server.listeners(), scheme));
    let (mode, name) = (crew.notification, server.name());
    lines.push(row("handlers", &crew.to_string()));
    // Programs wait as they like.
    if crew.races {
        lines.push(row("notification", &format!("{mode}: {}", meaning(mode))));
    }
    lines.push(row("name", &format!("{name}; ask with `bellwether status --name {name}`")));
    lines.push(row("stop", "Ctrl-C finishes running requests, twice ends them at once"));
    lines.push(String::new());
    lines.join("\n")
}

/// Says where one can connect, a line each.
pub(crate) fn places<'a>(
    listeners: impl IntoIterator<Item = &'a Listener>,
    scheme: &str,
) -> impl Iterator<Item = String> {
    let labels = std::iter::once("listens at").chain(std::iter::repeat(""));
    labels.zip(listeners).map(move |(label, listener)| {
        row(label, &format!("{}{}", place(listener.address(), scheme), buffer(listener)))
    })
}

pub(crate) fn row(label: &str, value: &str) -> String {
    format!("  {label:<14}{value}")
}

/// An address as a browser or a person takes it.
fn place(address: &str, scheme: &str) -> String {
    let Some(socket) = address.strip_prefix("tcp://") else { return address.into() };
    match socket.rsplit_once(':') {
        Some(("0.0.0.0" | "[::]", port)) => {
            format!("{scheme}://localhost:{port}/ on all interfaces")
        }
        _ => format!("{scheme}://{socket}/"),
    }
}

fn buffer(listener: &Listener) -> String {
    let limit = Buffer::of(listener).map(|buffer| buffer.limit);
    limit.map_or_else(|_| String::new(), |limit| format!(" (buffer of {limit})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_what_one_can_open() {
        let check = |address: &str, expected: &str| assert_eq!(place(address, "http"), expected);
        check("tcp://127.0.0.1:8080", "http://127.0.0.1:8080/");
        check("tcp://[::1]:80", "http://[::1]:80/");
        check("tcp://[::]:80", "http://localhost:80/ on all interfaces");
        check("tcp://0.0.0.0:80", "http://localhost:80/ on all interfaces");
        check("unix:/run/x.sock", "unix:/run/x.sock");
        assert_eq!(place("tcp://[::1]:443", "https"), "https://[::1]:443/");
    }

    #[test]
    fn every_mode_says_what_it_means_within_a_line() {
        for mode in ["all", "some:1", "some:2", "some:999", "one", "turn"] {
            let line = row("notification", &format!("{mode}: {}", meaning(mode.parse().unwrap())));
            assert!(line.contains("wakes") && line.len() <= 80, "{line}");
        }
    }

    #[test]
    fn a_crew_is_counted_in_words() {
        let check = |bounds, threads, expected: &str| {
            let (rule, notification) = ("demand".into(), Notification::default());
            let crew = Crew { bounds, rule, threads, notification, races: true };
            assert_eq!(crew.to_string(), expected);
        };
        check((1, 1), 1, "1 process x 1 thread");
        check((8, 8), 2, "8 processes x 2 threads");
        check((0, 8), 1, "0 to 8 processes x 1 thread, by `demand`");
    }
}
