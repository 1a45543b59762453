//! What can be set for one pool, in the file and as flags of `bellwether serve`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bellwether::balance::{Rule, Slo};
use bellwether::http::{Network, ProxyHeaders};
use bellwether::{Address, Amount, Builder, Notification, Server};
use bytesize::ByteSize;
use clap::Args;
use schemars::JsonSchema;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use super::limits;
use super::place::resolved;
use super::program::{KindOf, LogWay, PassWay, ReadyWay, StopSignal};
use super::proxies::proxies;
use super::rights::{Account, Limited, Range};
use super::site::PageOfApp;
use super::tls::Certificate;
use super::written::{Handlers, Percent, Switch, Written};
use crate::access_log::Format;
use crate::files::CacheRule;

type Time = Written<Duration>;

/// A pool: where it listens, what it serves, and how its handlers live.
#[derive(Clone, Debug, Default, PartialEq, Args, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
#[schemars(extend("required" = ["listen"]), title = "Pool")]
pub(crate) struct PoolSettings {
    /// The directory to serve; without one a welcome page shows who answers.
    #[arg(skip)]
    pub(crate) serve: Option<PathBuf>,

    /// Whether a folder without index.html is answered with a list of what is in it [default:
    /// false].
    #[arg(skip)]
    pub(crate) listing: Option<Written<Switch>>,

    /// Whether files are served whose names, or whose folders' names, begin with a dot; /.well-known/
    /// always is [default: false].
    #[arg(skip)]
    pub(crate) hidden: Option<Written<Switch>>,

    /// The file with which paths that lead nowhere are answered, for applications that run in the
    /// browser [default: none].
    #[arg(skip)]
    pub(crate) spa: Option<Written<PageOfApp>>,

    /// For how long files may be kept by clients and caches: words of Cache-Control, for all files or
    /// after a pattern and `=`; the last that fits counts [default: no-cache].
    #[arg(skip)]
    pub(crate) cache: Vec<Written<CacheRule>>,

    /// Whether text of 1 KiB or more is sent as zstd, gzip or br to clients that accept it
    /// [default: true].
    #[arg(skip)]
    pub(crate) compress: Option<Written<Switch>>,

    /// The file to which a line is written for every request, `-` for standard output [default:
    /// none].
    #[arg(skip)]
    pub(crate) access_log: Option<PathBuf>,

    /// How the lines are written: combined or json [default: combined].
    #[arg(skip)]
    pub(crate) access_log_format: Option<Written<Format>>,

    /// Whether the answer to the first request of a connection says how long that waited in the
    /// buffer, by the header Server-Timing [default: false].
    #[arg(skip)]
    pub(crate) server_timing: Option<Written<Switch>>,

    /// How long a connection is kept on which nothing is asked [default: 60s].
    #[arg(skip)]
    pub(crate) idle_timeout: Option<Time>,

    /// How long the head of a request may take, which is then answered with 408 [default: 30s].
    #[arg(skip)]
    pub(crate) head_timeout: Option<Time>,

    /// How long the next piece of a body may take, and all of it longer by a second for each 500
    /// bytes, which is then answered with 408 [default: 30s].
    #[arg(skip)]
    pub(crate) body_timeout: Option<Time>,

    /// How long an answer waits for a client that takes nothing of it, and longer by a second for
    /// each 500 bytes that it took [default: 60s].
    #[arg(skip)]
    pub(crate) write_timeout: Option<Time>,

    /// How long the path and query of a request may be, which is then answered with 414 [default:
    /// 8KiB].
    #[arg(skip)]
    pub(crate) max_target: Option<Written<ByteSize>>,

    /// How long the head of a request may be, which is then answered with 431 [default: 32KiB].
    #[arg(skip)]
    pub(crate) max_head: Option<Written<ByteSize>>,

    /// How long the body of a request may be, which is then answered with 413 [default: 1GiB].
    #[arg(skip)]
    pub(crate) max_body: Option<Written<ByteSize>>,

    /// The networks whose proxies are trusted to say for whom they ask: an address, a network,
    /// loopback, private or unix [default: nobody].
    #[arg(skip)]
    pub(crate) trust: Vec<Written<Network>>,

    /// Whether connections from them begin with a PROXY header [default: false].
    #[arg(skip)]
    pub(crate) proxy_protocol: Option<Written<Switch>>,

    /// Which headers of requests from them are believed: forwarded, x-forwarded or none [default:
    /// none].
    #[arg(skip)]
    pub(crate) proxy_headers: Option<Written<ProxyHeaders>>,

    /// The program to run in each handler and its arguments, in place of `serve`.
    #[arg(skip)]
    #[serde(deserialize_with = "a_command")]
    pub(crate) command: Vec<String>,

    /// The recipe by which the program is run [default: the one for its name].
    #[arg(skip)]
    pub(crate) recipe: Option<String>,

    /// A file of recipes that come before those built in.
    #[arg(skip)]
    pub(crate) recipes: Option<PathBuf>,

    /// How the program is given the addresses: auto, listen-fds, fd:N, stdin, adopt or port
    /// [default: auto].
    #[arg(skip)]
    pub(crate) pass: Option<Written<PassWay>>,

    /// By what the program is known to be ready: auto, notify, accept, http:/PATH, fd:N or
    /// after:TIME [default: auto].
    #[arg(skip)]
    pub(crate) ready: Option<Written<ReadyWay>>,

    /// For how long the program may be silent once it is ready, which says WATCHDOG=1 (sd_notify(3))
    /// again and again [default: for ever].
    #[arg(skip)]
    pub(crate) watchdog: Option<Time>,

    /// How many connections the program serves at a time: auto, serial or concurrent [default: as it
    /// is known, else auto].
    #[arg(skip)]
    pub(crate) kind: Option<Written<KindOf>>,

    /// The signal by which the program finishes what it has and ends [default: as it is known to
    /// like it, else TERM].
    #[arg(skip)]
    pub(crate) stop_signal: Option<Written<StopSignal>>,

    /// The folder in which the program runs [default: the server's].
    #[arg(skip)]
    pub(crate) directory: Option<PathBuf>,

    /// Variables for the program, beside those of the server.
    #[arg(skip)]
    pub(crate) environment: BTreeMap<String, String>,

    /// What becomes of the program's output: plain, as it comes, or prefix, each line with its
    /// handler before it [default: plain].
    #[arg(skip)]
    pub(crate) log: Option<Written<LogWay>>,

    /// The user, and the group, as which the program runs; only root may choose [default: the
    /// server's].
    #[arg(skip)]
    pub(crate) user: Option<Written<Account>>,

    /// The first group of the program [default: that of its user].
    #[arg(skip)]
    pub(crate) group: Option<Written<Account>>,

    /// What each process of the program may use, by the names of setrlimit(2): a number,
    /// SOFT:HARD or unlimited.
    #[arg(skip)]
    pub(crate) limits: BTreeMap<Written<Limited>, Written<Range>>,

    /// Whether the program is kept from getting more privileges than it starts with [default: false].
    #[arg(skip)]
    pub(crate) no_new_privileges: Option<Written<Switch>>,

    /// The certificates by which HTTPS is spoken, each with its key; the first is for clients that
    /// ask for a name of none.
    #[arg(skip)]
    pub(crate) tls: Vec<Certificate>,

    /// Where to listen, repeatable.
    ///
    /// HOST:PORT, :PORT (all interfaces), unix:/PATH, unix:@NAME, fd:N or systemd:NAME. Options
    /// follow as in 127.0.0.1:8080?backlog=512&nodelay=off: backlog=N, nodelay=on|off,
    /// defer_accept=on|off|SECONDS, v6only=on|off, mode=OCTAL (of a socket file). Without one
    /// the sockets passed by systemd are taken; else `serve` takes 127.0.0.1:8080, and `run` the address in
    /// the program's own arguments, or 127.0.0.1:8000.
    #[arg(short, long, value_name = "ADDRESS")]
    pub(crate) listen: Vec<Written<Address>>,

    /// How many handler processes [default: one a processor, at least 2].
    ///
    /// MIN..MAX lets their number follow the load; with 0 as MIN nobody is kept while nobody comes.
    /// auto is 1..256, of which no more are made than processors and memory allow.
    #[arg(long, value_name = "N|MIN..MAX|auto", allow_hyphen_values = true)]
    pub(crate) handlers: Option<Written<Handlers>>,

    /// By which rule the number of handlers follows the load [default: demand].
    ///
    /// demand, delayed-off, fixed:N, spare (Apache prefork), fpm-dynamic, fpm-ondemand, uwsgi-spare,
    /// uwsgi-spare2, uwsgi-backlog, uwsgi-busyness, unit or knative, with parameters as in
    /// spare:min=5,max=10, and with + for the most of several: demand+fixed:2.
    #[arg(long, value_name = "RULE")]
    pub(crate) balance: Option<Written<Rule>>,

    /// How long requests may wait in the buffer, and how many of them longer [default: 99%<50ms].
    #[arg(long, value_name = "SHARE%<TIME")]
    pub(crate) slo: Option<Written<Slo>>,

    /// How many threads in each handler, 1 to 1024 [default: 1].
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) threads: Option<Written<usize>>,

    /// How many connections a thread holds at once, 1 to 1048576; more wait for another thread
    /// [default: 1024].
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) connections: Option<Written<usize>>,

    /// Who wakes when a request arrives: all, some:K, one or turn [default: some:2].
    ///
    /// all: every idle handler. some:K: at most K of them. one: one, the lowest idle slot first.
    /// turn: one, each in turn. Whoever wakes races for the request; one wins it.
    #[arg(long, value_name = "MODE")]
    pub(crate) notification: Option<Written<Notification>>,

    /// From the fork of a handler until it must be ready [default: 60s].
    #[arg(long, value_name = "TIME", help_heading = TIMES)]
    pub(crate) boot_timeout: Option<Time>,

    /// How long a stop is announced before newcomers are refused [default: 0s].
    #[arg(long, value_name = "TIME", help_heading = TIMES)]
    pub(crate) announce: Option<Time>,

    /// How long running requests may take to finish after a stop [default: 30s].
    #[arg(long, value_name = "TIME", help_heading = TIMES, allow_negative_numbers = true)]
    pub(crate) stop_grace: Option<Time>,

    /// From SIGTERM to SIGKILL for a handler that does not end [default: 5s].
    #[arg(long, value_name = "TIME", help_heading = TIMES)]
    pub(crate) kill_after: Option<Time>,

    /// How long handlers serve on when their spawner has died [default: 10s].
    #[arg(long, value_name = "TIME", help_heading = TIMES)]
    pub(crate) orphan_grace: Option<Time>,

    /// How long the first handler of a new generation must serve alone [default: 1s].
    #[arg(long, value_name = "TIME", help_heading = CHANGE)]
    pub(crate) canary: Option<Time>,

    /// How many handlers more than wanted there may be meanwhile [default: 25%].
    #[arg(long, value_name = "N|PERCENT%", help_heading = CHANGE)]
    pub(crate) max_surge: Option<Written<Amount>>,

    /// How many of the handlers wanted may be missing meanwhile [default: 0].
    #[arg(long, value_name = "N|PERCENT%", help_heading = CHANGE)]
    pub(crate) max_unavailable: Option<Written<Amount>>,

    /// How many old generations may still finish requests [default: 4].
    #[arg(long, value_name = "N", help_heading = CHANGE)]
    pub(crate) old_generations: Option<Written<usize>>,

    /// When a handler is told that a request takes too long [default: never].
    #[arg(long, value_name = "TIME", help_heading = LIMITS)]
    pub(crate) soft_deadline: Option<Time>,

    /// When a handler is ended because a request takes too long [default: never].
    ///
    /// A response that is still being sent counts: large downloads by slow clients are cut.
    #[arg(long, value_name = "TIME", help_heading = LIMITS)]
    pub(crate) hard_deadline: Option<Time>,

    /// After how many requests a handler is replaced [default: never].
    #[arg(long, value_name = "N", help_heading = LIMITS)]
    pub(crate) max_requests: Option<Written<u64>>,

    /// At which age a handler is replaced [default: never].
    #[arg(long, value_name = "TIME", help_heading = LIMITS)]
    pub(crate) max_age: Option<Time>,

    /// With how much memory (PSS) a handler is replaced [default: never].
    #[arg(long, value_name = "SIZE", help_heading = LIMITS)]
    pub(crate) max_memory: Option<Written<ByteSize>>,

    /// From which share of the time on that anybody waits for memory the fattest idle handler is
    /// replaced, one every 10 s [default: never].
    #[arg(long, value_name = "PERCENT%", help_heading = LIMITS, allow_negative_numbers = true)]
    pub(crate) memory_pressure: Option<Written<Percent>>,

    /// Whether a connection that has waited too long is answered with 503 while more come than can be
    /// served [default: on with MIN..MAX handlers, off with a fixed number].
    ///
    /// Too long is 50 ms when the buffer was never empty for 500 ms and there cannot be more
    /// handlers; before that it is 500 ms. At Unix sockets nobody is sent away: there the kernel does
    /// not tell how long somebody has waited.
    #[arg(long, value_name = "on|off", help_heading = LIMITS)]
    pub(crate) shed: Option<Written<Switch>>,

    /// Whether status and journal show what the oldest request of a handler asks for, by method and
    /// path [default: off].
    ///
    /// Paths can hold what is secret, and whoever may ask for the status reads them.
    #[arg(long, value_name = "on|off", help_heading = LIMITS)]
    pub(crate) label_requests: Option<Written<Switch>>,

    /// How many handlers that died may be replaced in a minute [default: 6000].
    #[arg(long, value_name = "N", help_heading = LIMITS)]
    pub(crate) crash_budget: Option<Written<u32>>,
}

const TIMES: &str = "Times (30s, 500ms, 1h; a number alone counts seconds)";
const CHANGE: &str = "Reload and upgrade";
const LIMITS: &str = "Limits";

/// A command names a program at least.
fn a_command<'de, D: Deserializer<'de>>(reader: D) -> Result<Vec<String>, D::Error> {
    let words = Vec::deserialize(reader)?;
    if words.is_empty() {
        return Err(D::Error::custom("a command names a program, as in [\"node\", \"app.js\"]"));
    }
    Ok(words)
}

impl PoolSettings {
    /// The library's settings for these; what is left open is left to the library.
    pub(crate) fn builder(&self) -> Builder {
        let open = Server::builder().titles(true);
        let listening = self.listen.iter().fold(open, |it, address| it.listen(&address.0));
        let with = With(listening)
            .set(self.threads, Builder::threads)
            .set(self.connections, Builder::connections)
            .set(self.notification, Builder::notification)
            .set(self.handlers, |it, Handlers { min, max }| {
                it.handlers(min.max(1)).bounds(min, max)
            })
            .set(self.balance.clone(), Builder::balance)
            .set(self.slo, Builder::slo)
            .set(self.boot_timeout, Builder::boot_timeout)
            .set(self.announce, Builder::announce)
            .set(self.stop_grace, Builder::stop_grace)
            .set(self.kill_after, Builder::kill_after)
            .set(self.orphan_grace, Builder::orphan_grace)
            .set(self.canary, Builder::canary)
            .set(self.max_surge, Builder::max_surge)
            .set(self.max_unavailable, Builder::max_unavailable)
            .set(self.old_generations, Builder::old_generations)
            .set(self.soft_deadline, Builder::soft_deadline)
            .set(self.hard_deadline, Builder::hard_deadline)
            .set(self.max_requests, Builder::max_requests)
            .set(self.max_age, Builder::max_age)
            .set(self.max_memory, |it, size: ByteSize| it.max_memory(size.0))
            .set(self.memory_pressure, |it, share: Percent| it.memory_pressure(share.0))
            .set(Some(Written(self.sheds())), |it, Switch(on)| it.shed(on))
            .set(self.label_requests, |it, Switch(on)| it.label_requests(on))
            .set(self.crash_budget, Builder::crash_budget);
        let builder = with.0.http_limits(limits::limits(self));
        match proxies(self) {
            Some(proxies) => builder.proxies(proxies),
            None => builder,
        }
    }

    /// Whether late connections are sent away: where nothing is said, if their number of handlers
    /// can grow, so that not even more of them would help.
    fn sheds(&self) -> Switch {
        self.shed
            .map_or_else(|| Switch(self.is_elastic() && self.command.is_empty()), |Written(it)| it)
    }

    /// Whether the number of handlers follows the load.
    pub(crate) fn is_elastic(&self) -> bool {
        self.handlers.is_some_and(|Written(it)| it.min < it.max)
    }

    /// Takes relative paths as ones from this folder.
    pub(crate) fn resolve(&mut self, folder: &Path) {
        self.serve = self.serve.take().map(|path| folder.join(path));
        self.tls.iter_mut().for_each(|it| it.resolve(folder));
        self.recipes = self.recipes.take().map(|path| folder.join(path));
        self.directory = self.directory.take().map(|path| folder.join(path));
        let log = self.access_log.take();
        self.access_log = log.map(|path| if is_output(&path) { path } else { folder.join(path) });
        self.listen.iter_mut().for_each(|it| it.0 = resolved(&it.0, folder));
    }
}

/// Tells whether a file stands for standard output.
pub(crate) fn is_output(file: &Path) -> bool {
    file == Path::new("-")
}

/// The library's settings on their way.
struct With(Builder);

impl With {
    fn set<T>(self, value: Option<Written<T>>, set: impl FnOnce(Builder, T) -> Builder) -> Self {
        match value {
            Some(Written(value)) => Self(set(self.0, value)),
            None => self,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_elastic_pool_sheds_and_a_fixed_one_only_when_asked() {
        let check = |toml: &str, expected: bool| {
            let pool: PoolSettings = toml::from_str(toml).unwrap();
            assert_eq!(pool.sheds(), Switch(expected), "{toml}");
        };
        check("", false);
        check("handlers = 4", false);
        check("handlers = '4..4'", false);
        check("handlers = '2..8'", true);
        check("handlers = '2..8'\nshed = false", false);
        check("handlers = 4\nshed = true", true);
    }
}
