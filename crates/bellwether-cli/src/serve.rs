//! `bellwether serve` and `bellwether start`: from settings to a server that has been stopped.

mod content;

use std::path::PathBuf;

use bellwether::{Builder, Group, Result, Stopped};
use clap::Args;
use content::Content;

use crate::config::dashboard::Dashboard;
use crate::config::limits::LimitFlags;
use crate::config::log::LogFlags;
use crate::config::proxies::ProxyFlags;
use crate::config::rules;
use crate::config::settings::PoolSettings;
use crate::config::site::SiteFlags;
use crate::config::tls::{Certificate, tls};
use crate::config::written::{Name, Written};
use crate::config::{Allow, Config, File, Grant};
use crate::ending::{CUT, Ending};
use crate::log;
use crate::run::plan;

const ADDRESS: &str = "127.0.0.1:8080";

/// The name of a server whose file gives none.
const NAMELESS: &str = "bellwether";

/// The name of the only pool of `serve` and `run`.
const POOL: &str = "web";

/// Serve the files of a directory, or a welcome page, over HTTP.
///
/// HTTP/1.1 and HTTP/2 (with prior knowledge), with ranges and conditional requests. Beside
/// `page.html` a variant `page.html.br`, `.gz` or `.zst` is sent to clients that accept it. A
/// folder is answered with its `index.html`. Symbolic links are followed, wherever they lead.
///
/// SIGTERM and Ctrl-C let running requests finish, a second one ends them at once.
#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// The directory to serve; without one a welcome page shows who answers.
    #[arg(value_name = "DIR")]
    directory: Option<PathBuf>,

    /// Speak HTTPS with this certificate (PEM, with its chain) and its key, repeatable.
    ///
    /// Several are for several names: a client gets the certificate for the one that it asks for,
    /// else the first. The files are read again at each reload. The key must be for its owner alone
    /// (chmod 600), or also for its group (640).
    #[arg(long, num_args = 2, value_names = ["CERT", "KEY"])]
    tls: Vec<PathBuf>,

    #[command(flatten)]
    pool: PoolSettings,

    #[command(flatten)]
    site: SiteFlags,

    #[command(flatten)]
    limits: LimitFlags,

    #[command(flatten)]
    proxies: ProxyFlags,

    #[command(flatten)]
    control: Control,
}

/// Who commands a server, and by which name.
#[derive(Clone, Debug, Args)]
pub(crate) struct Control {
    /// The server's name for `bellwether status` [default: from the first address].
    #[arg(long, help_heading = CONTROL)]
    name: Option<Written<Name>>,

    /// Lets a user or group command the server, repeatable: read=gid:33.
    ///
    /// ROLE is read (status, events, why), operate (also scale, reload, drain, stop) or admin
    /// (also upgrade); root and the server's own user always may.
    #[arg(long, value_name = "ROLE=PEER", help_heading = CONTROL)]
    allow: Vec<Grant>,

    #[command(flatten)]
    log: LogFlags,

    /// Serve a dashboard, metrics and probes there, as `observe` does: HOST:PORT or unix:/PATH.
    #[arg(long, value_name = "ADDRESS", help_heading = CONTROL)]
    dashboard: Option<Written<Dashboard>>,

    #[command(flatten)]
    way: Way,
}

/// Serve what a configuration file says.
///
/// The same as `serve`, with the settings in a file and any number of pools. `bellwether check`
/// tells what is wrong with a file; `bellwether generate config` prints one to begin with.
#[derive(Debug, Args)]
pub(crate) struct Start {
    #[command(flatten)]
    file: File,

    #[command(flatten)]
    way: Way,
}

/// How the server comes to its addresses.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Way {
    /// Takes the addresses over from handlers whose spawner has died, if there are any.
    #[arg(long, help_heading = CONTROL)]
    take_over: bool,
}

pub(crate) const CONTROL: &str = "Control";

/// Serves as the flags say until the process is told to stop.
pub(crate) fn serve(order: &Serve) -> Result<(), Ending> {
    order.control.start_log()?;
    alone(order.config(), order.control.way)
}

/// Serves with the only pool of a configuration until the process is told to stop.
pub(crate) fn alone(config: Config, way: Way) -> Result<(), Ending> {
    let Some(pool) = config.pool.values().next() else { return Ok(()) };
    let content = Content::of(pool)?;
    let builder = builder(pool, config.name.as_ref().map(|name| &name.0))?;
    let server = controlled(builder, &config, way).open()?;
    farewell(content.pool(server)?.run()?)
}

/// Serves as a file says until the process is told to stop.
pub(crate) fn start(order: &Start) -> Result<(), Ending> {
    let (config, text) = order.file.load()?;
    config.start_log()?;
    farewell(together(&config, &text, order.way)?)
}

impl Serve {
    /// The settings that a file with the same settings would give.
    fn config(&self) -> Config {
        let tls = self.tls.chunks_exact(2).map(Certificate::of).collect();
        let pool = PoolSettings { serve: self.directory.clone(), tls, ..self.pool.clone() };
        let pool = self.proxies.added_to(self.limits.added_to(self.site.added_to(pool)));
        self.control.config(pool, &[ADDRESS.into()])
    }
}

impl Control {
    /// The configuration of one pool, at these addresses where none is given or passed.
    pub(crate) fn config(&self, mut pool: PoolSettings, addresses: &[String]) -> Config {
        if pool.listen.is_empty() && !sockets_are_passed() {
            pool.listen.extend(addresses.iter().filter_map(|it| it.parse().ok()).map(Written));
        }
        Config {
            name: self.name.clone(),
            log_format: self.log.format,
            log_file: self.log.file.clone(),
            dashboard: self.dashboard.clone(),
            allow: self.allow.iter().copied().collect::<Allow>(),
            pool: [(Written(Name(POOL.into())), pool)].into(),
        }
    }

    /// Starts the log as these flags say.
    pub(crate) fn start_log(&self) -> Result<()> {
        log::start_server(self.log.format.map(|it| it.0), self.log.file.as_deref())
    }

    pub(crate) const fn way(&self) -> Way {
        self.way
    }
}

/// Tells whether a service manager has passed sockets to this very process (sd_listen_fds(3)).
pub(crate) fn sockets_are_passed() -> bool {
    let is = |name, expected: &str| std::env::var(name).is_ok_and(|value| value == expected);
    // What an earlier life of ours has stored with the manager is no address of its choosing.
    let ours = |names: String| names.split(':').all(|name| name.starts_with("bellwether-"));
    let stored_alone = std::env::var("LISTEN_FDNAMES").is_ok_and(ours);
    let any = std::env::var_os("LISTEN_FDS").is_some() && !is("LISTEN_FDS", "0") && !stored_alone;
    // Without LISTEN_PID it is rubbish, which the library tells.
    let for_us = is("LISTEN_PID", &std::process::id().to_string());
    any && (for_us || std::env::var_os("LISTEN_PID").is_none())
}

/// Serves all pools of a file under one name; a reload reads the file anew.
fn together(config: &Config, text: &str, way: Way) -> Result<Stopped> {
    let group = Group::named(config.name.as_ref().map_or(NAMELESS, |name| &name.0.0))?;
    let contents = config.pool.values().map(Content::of).collect::<Result<Vec<_>>>()?;
    let mut pools = Vec::new();
    for ((name, pool), content) in config.pool.iter().zip(contents) {
        let builder = controlled(builder(pool, Some(&name.0))?, config, way);
        let builder = builder.reload_program().configuration(text);
        pools.push(content.pool(group.open(builder)?)?);
    }
    group.run(pools)
}

/// The library's settings of one pool, after a look whether they are possible.
fn builder(pool: &PoolSettings, name: Option<&Name>) -> Result<Builder> {
    rules::check(pool)?;
    if let Some(rule) = pool.balance.as_ref().filter(|_| !pool.is_elastic()) {
        let rule = &rule.0;
        tracing::warn!(
            "balance: {rule} has nothing to choose, for the number of handlers is fixed; \
             let handlers be MIN..MAX or auto"
        );
    }
    let builder = pool.builder().defer_accept(plan::defer(pool)?);
    let builder = match tls(&pool.tls)? {
        Some(tls) => builder.tls(tls),
        None => builder,
    };
    Ok(match name {
        Some(Name(name)) => builder.name(name),
        None => builder,
    })
}

/// Adds who may command the server, and how it comes to its addresses.
fn controlled(builder: Builder, config: &Config, way: Way) -> Builder {
    let allowed = config.allow.all().fold(builder, |it, (role, peer)| it.allow(role, peer));
    let counted = allowed.lost_lines(&log::LOST);
    let watched = match &config.dashboard {
        Some(Written(Dashboard(address))) => {
            let address = address.to_string();
            counted.companion(["observe", "--companion", "--listen", &address])
        }
        None => counted,
    };
    if way.take_over { watched.take_over() } else { watched }
}

/// Says how the server ended, last of all.
pub(crate) fn farewell(stopped: Stopped) -> Result<(), Ending> {
    match stopped.cut {
        0 => tracing::info!("stopped; every connection was finished"),
        1 => tracing::warn!("stopped; 1 connection was cut"),
        cut => tracing::warn!("stopped; {cut} connections were cut"),
    }
    if stopped.cut == 0 { Ok(()) } else { Err(Ending::Said(CUT)) }
}

#[cfg(test)]
mod tests {
    use clap::{Command, FromArgMatches};

    use super::*;
    use crate::around::Around;
    use crate::config::SAMPLE;
    use crate::config::tls::tests::certificate_on_disk;
    use crate::files::Manner;

    const EVERY_FLAG: &str = "serve public --tls CERT KEY --listen :1 --listen unix:/x --handlers 2..8 --balance spare --slo 99.9%<20ms --threads 2 --connections 64 \
        --notification some:4 --boot-timeout 2m --announce 1s --stop-grace 5 --kill-after 2s \
        --orphan-grace 3s --canary 4s --max-surge 50% --max-unavailable 1 --old-generations 3 \
        --soft-deadline 10s --hard-deadline 30s --max-requests 10000 --max-age 1h \
        --max-memory 512MiB --memory-pressure 20% --shed off --label-requests on --crash-budget 60 --name shop \
        --allow read=gid:33 --allow operate=uid:1000 --log-format json --log-file b.log --dashboard 127.0.0.1:9180 --listing --hidden --spa=app.html --cache no-store --compress off \
        --access-log a.log --access-log-format json --server-timing on \
        --idle-timeout 10s --head-timeout 5s --body-timeout 6s --write-timeout 7s --max-target 2KiB \
        --max-head 16KiB --max-body 2MiB --trust 10.0.0.0/8,unix --proxy-protocol --proxy-headers forwarded";

    const EVERY_KEY: &str = "
        name = 'shop'
        log-format = 'json'
        log-file = 'b.log'
        dashboard = '127.0.0.1:9180'
        allow = { read = ['gid:33'], operate = ['uid:1000'] }
        [pool.web]
        serve = 'public'
        tls = [{ cert = 'CERT', key = 'KEY' }]
        listen = [':1', 'unix:/x']
        handlers = '2..8'
        balance = 'spare'
        slo = '99.9%<20ms'
        threads = 2
        connections = 64
        notification = 'some:4'
        boot-timeout = '120s'
        announce = '1s'
        stop-grace = '5s'
        kill-after = 2
        orphan-grace = '3s'
        canary = '4s'
        max-surge = '50%'
        max-unavailable = 1
        old-generations = 3
        soft-deadline = '10s'
        hard-deadline = '30s'
        max-requests = 10_000
        max-age = '60m'
        max-memory = 536_870_912
        memory-pressure = 20
        shed = false
        label-requests = true
        listing = true
        hidden = true
        spa = 'app.html'
        cache = ['no-store']
        compress = false
        access-log = 'a.log'
        access-log-format = 'json'
        server-timing = true
        idle-timeout = 10
        head-timeout = '5s'
        body-timeout = '6s'
        write-timeout = '7s'
        max-target = 2048
        max-head = '16KiB'
        max-body = '2MiB'
        trust = ['10.0.0.0/8', 'unix']
        proxy-protocol = true
        proxy-headers = 'forwarded'
        crash-budget = 60";

    /// The same text with a certificate and a key that are there.
    fn with_files(text: &str) -> String {
        let [cert, key] = certificate_on_disk().each_ref().map(|path| path.to_str().unwrap());
        text.replace("CERT", cert).replace("KEY", key)
    }

    fn typed(line: &str) -> Serve {
        let command = Serve::augment_args(Command::new("serve"));
        let line = with_files(line);
        let matches = command.try_get_matches_from(line.split_whitespace()).unwrap();
        Serve::from_arg_matches(&matches).unwrap()
    }

    /// What the library and the files are given for the only pool, in the form for people who
    /// debug.
    fn given(config: &Config) -> String {
        let pool = config.pool.values().next().unwrap();
        let Ok(builder) = builder(pool, config.name.as_ref().map(|name| &name.0)) else {
            return format!("{:?}", rules::problems(pool));
        };
        let builder = controlled(builder, config, Way { take_over: false });
        let format = config.log_format.map(|it| it.0).unwrap_or_default();
        let log = (format, &config.log_file);
        format!("{builder:?} {:?} {:?} {log:?}", Manner::of(pool), Around::of(pool))
    }

    #[test]
    fn flags_and_file_give_the_same_settings() {
        let (flags, file) =
            (typed(EVERY_FLAG).config(), toml::from_str(&with_files(EVERY_KEY)).unwrap());
        assert_eq!(flags, file);
        assert_eq!(given(&flags), given(&file));
    }

    #[test]
    fn every_setting_reaches_who_heeds_it() {
        let all = typed(EVERY_FLAG);
        let flags: Vec<_> = EVERY_FLAG.split(" --").skip(1).collect();
        for missing in &flags {
            let others = flags.iter().filter(|flag| *flag != missing);
            let line = others.fold("serve public".into(), |line, flag| format!("{line} --{flag}"));
            assert_ne!(given(&typed(&line).config()), given(&all.config()), "--{missing}");
        }
    }

    #[test]
    fn the_sample_names_every_setting_with_its_default() {
        // Lines that begin with ## have an example, not a default.
        let shown = SAMPLE.replace("\n# ", "\n").replace("\n## ", "\n#");
        let settings =
            |line: &&str| line.split_once(" = ").is_some_and(|(key, _)| !key.contains(' '));
        let is_header = |line: &&str| line.starts_with('[');
        let lines: Vec<_> = shown.lines().filter(|it| settings(it) || is_header(it)).collect();
        let sample: Config = toml::from_str(&lines.join("\n")).unwrap();
        let plain = typed("serve --listen 127.0.0.1:8080 --name bellwether").config();
        assert_eq!(given(&sample), given(&plain));
        let pool = serde_json::to_value(schemars::schema_for!(PoolSettings)).unwrap();
        for key in pool["properties"].as_object().unwrap().keys() {
            assert!(SAMPLE.contains(&format!("{key} = ")), "{key} is not in the sample");
        }
    }
}
