//! systemd units for a configuration file: a hardened service, and a socket for each pool.

use std::collections::BTreeSet;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bellwether::{Address, Defer, Error};
use clap::Args;

use crate::config::place::{options, place, socket_file};
use crate::config::settings::{PoolSettings, is_output};
use crate::config::written::Written;
use crate::config::{Config, File, SYSTEM_WIDE};
use crate::ending::Ending;
use crate::output::{print, write};
use crate::run::plan;

/// Which units, and for what.
#[derive(Debug, Args)]
pub(super) struct Units {
    #[command(flatten)]
    file: File,

    /// Print a socket for each pool too, which systemd opens; then the file says
    /// `listen = ["systemd:POOL"]`.
    #[arg(long)]
    socket: bool,

    /// Write the units as files into this folder.
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
}

/// A unit and the name of its file.
type Unit = (String, String);

/// Prints or writes units.
pub(super) fn run(order: &Units) -> Result<(), Ending> {
    let units = units(order)?;
    if let Some(folder) = &order.output {
        return units.iter().try_for_each(|(name, text)| write(folder, name, text.as_bytes()));
    }
    let texts: Vec<_> = units.into_iter().map(|(_, text)| text).collect();
    print(&texts.join("\n"))
}

fn units(order: &Units) -> Result<Vec<Unit>, Ending> {
    let (file, config) = subject(order)?;
    let name = config.name.as_ref().map_or("bellwether", |name| &name.0.0);
    let sockets = if order.socket {
        config.pool.iter().map(|(pool, it)| socket(name, &pool.0.0, it)).collect()
    } else {
        Ok(Vec::new())
    };
    let sockets: Vec<Unit> = sockets?;
    let names: Vec<_> = sockets.iter().map(|(name, _)| name.as_str()).collect();
    let program = std::env::current_exe()
        .map_err(|source| Error::System { doing: "find this program".into(), source })?;
    let note =
        if is_to_be_written(order) { format!("# Note: {}.\n", note()) } else { String::new() };
    let text = service(name, &config, &names, &program, &file).replace("@note@", &note);
    Ok(std::iter::once((format!("{name}.service"), text)).chain(sockets).collect())
}

/// The file and its settings; where none is named and none is found, those of an empty one that is
/// yet to be written. Sockets cannot be made of that.
fn subject(order: &Units) -> Result<(PathBuf, Config), Ending> {
    if is_to_be_written(order) {
        // With standard error gone, the unit says it alone.
        let _ = std::io::stderr().write_all(format!("note: {}\n", note()).as_bytes());
        return Ok((SYSTEM_WIDE.into(), Config::default()));
    }
    let path = std::path::absolute(order.file.found()?)
        .map_err(|source| Error::System { doing: "name the file".into(), source })?;
    // From an absolute path all others of the file are made absolute.
    let (config, _) = File { file: Some(path.clone()) }.load()?;
    Ok((path, config))
}

/// Tells whether the unit is for a file that is yet to be written.
fn is_to_be_written(order: &Units) -> bool {
    !order.socket && order.file.find().is_none()
}

fn note() -> String {
    format!("there is no configuration file here; this is for {SYSTEM_WIDE}, yet to be written")
}

fn service(name: &str, config: &Config, sockets: &[&str], program: &Path, file: &Path) -> String {
    let pools: Vec<_> = config.pool.values().collect();
    let (start, stop) = patience(&pools);
    let low_port = sockets.is_empty() && addresses(&pools).any(needs_privilege);
    let capabilities = if low_port { "CAP_NET_BIND_SERVICE" } else { "" };
    // In a user namespace of its own the capability would be worth nothing outside.
    let users = if low_port { "" } else { "PrivateUsers=yes\n" };
    let at_home =
        |path: &Path| ["/home", "/root", "/run/user"].iter().any(|it| path.starts_with(it));
    let named = pools.iter().flat_map(|pool| [pool.serve.as_deref(), pool.access_log.as_deref()]);
    let named = named.chain([config.log_file.as_deref()]);
    let secrets = pools.iter().flat_map(|pool| &pool.tls);
    let secrets = secrets.flat_map(|it| [it.cert.as_path(), &it.key]);
    let all = named.flatten().chain(secrets).chain([program, file]);
    let home = if all.into_iter().any(at_home) { "read-only" } else { "yes" };
    let after: String = sockets.iter().map(|it| format!(" {it}")).collect();
    let requires = sockets.iter().map(|it| format!("Requires={it}\n")).collect::<String>();
    let facts = [
        ("@name@", name.to_owned()),
        ("@program@", argument(program)),
        ("@file@", argument(file)),
        ("@sockets@", after),
        ("@requires@", requires),
        ("@start@", seconds(start)),
        ("@stop@", seconds(stop)),
        ("@home@", home.into()),
        ("@writable@", writable(&pools, config.log_file.as_deref())),
        ("@users@", users.into()),
        ("@groups@", groups(&pools)),
        ("@capabilities@", capabilities.into()),
    ];
    let template = include_str!("service.ini").to_owned();
    facts.iter().fold(template, |text, (key, value)| text.replace(key, value))
}

/// How long a start and a stop may take at most: the slowest pool, and a little more.
fn patience(pools: &[&PoolSettings]) -> (Duration, Duration) {
    const MARGIN: Duration = Duration::from_secs(10);
    let or = |time: Option<Written<Duration>>, default| {
        time.map_or_else(|| Duration::from_secs(default), |time| time.0)
    };
    let start = |pool: &&PoolSettings| or(pool.boot_timeout, 60) + or(pool.canary, 1);
    let stop = |pool: &&PoolSettings| {
        or(pool.announce, 0) + or(pool.stop_grace, 30) + or(pool.kill_after, 5)
    };
    let open = PoolSettings::default();
    let slowest = |time: &dyn Fn(&&PoolSettings) -> Duration| {
        pools.iter().map(time).max().unwrap_or_else(|| time(&&open)) + MARGIN
    };
    (slowest(&start), slowest(&stop))
}

fn addresses<'p>(pools: &'p [&PoolSettings]) -> impl Iterator<Item = &'p Address> {
    pools.iter().flat_map(|pool| &pool.listen).map(|address| &address.0)
}

fn needs_privilege(address: &Address) -> bool {
    let text = place(address);
    let port = text.strip_prefix("tcp://").and_then(|socket| socket.rsplit_once(':'));
    port.is_some_and(|(_, port)| port.parse().is_ok_and(|port: u16| (1..1024).contains(&port)))
}

/// The groups by which a user of no other rights may read the keys of TLS.
fn groups(pools: &[&PoolSettings]) -> String {
    let keys = pools.iter().flat_map(|pool| &pool.tls).filter_map(|it| it.key.metadata().ok());
    let by_group = keys.filter(|key| key.mode() & 0o040 != 0 && key.gid() != 0);
    let groups: BTreeSet<_> = by_group.map(|key| key.gid()).collect();
    groups.iter().map(|group| format!("SupplementaryGroups={group}\n")).collect()
}

/// The folders in which socket files and logs are made.
fn writable(pools: &[&PoolSettings], log: Option<&Path>) -> String {
    let places: Vec<_> = addresses(pools).map(place).collect();
    let sockets = places.iter().filter_map(|it| socket_file(it)?.parent());
    let logs = pools.iter().filter_map(|it| it.access_log.as_deref().filter(|it| !is_output(it)));
    let logs = logs.chain(log);
    // Each once, in the order of their names.
    let folders: BTreeSet<_> = sockets.chain(logs.filter_map(Path::parent)).collect();
    let line = |folder| format!("ReadWritePaths={}\n", quoted(folder));
    let lines: String = folders.into_iter().map(line).collect();
    let comment =
        "# It must exist, and this user may write there; with --socket systemd makes it.\n";
    if lines.is_empty() { lines } else { comment.to_owned() + &lines }
}

/// The socket unit of one pool.
fn socket(server: &str, pool: &str, settings: &PoolSettings) -> Result<Unit, Error> {
    let name = format!("{server}-{pool}.socket");
    let mut lines = vec![
        format!("# Made by `bellwether generate systemd`; put it at /etc/systemd/system/{name}."),
        format!("# Then write listen = [\"systemd:{pool}\"] for [pool.{pool}]."),
        String::new(),
        "[Unit]".into(),
        format!("Description=bellwether: the addresses of pool {pool} of {server}"),
        String::new(),
        "[Socket]".into(),
    ];
    for Written(address) in &settings.listen {
        lines.extend(stream(address)?);
    }
    lines.push(format!("FileDescriptorName={pool}"));
    lines.push(format!("Service={server}.service"));
    lines.extend(common_options(settings)?);
    lines.extend(["", "[Install]", "WantedBy=sockets.target", ""].map(String::from));
    Ok((name, lines.join("\n")))
}

/// The line of an address in the words of systemd.socket(5).
fn stream(address: &Address) -> Result<Vec<String>, Error> {
    let place = place(address);
    if let Some(path) = place.strip_prefix("unix:") {
        return Ok(vec![format!("ListenStream={path}")]);
    }
    let Some((host, port)) = place.strip_prefix("tcp://").and_then(|it| it.rsplit_once(':')) else {
        // The file leaves it to the unit where that is.
        return Ok(vec!["ListenStream=127.0.0.1:8080".into()]);
    };
    let numeric = |host: &str| host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok();
    match host {
        "*" => Ok(vec![format!("ListenStream={port}")]),
        "localhost" => {
            Ok(vec![format!("ListenStream=127.0.0.1:{port}"), format!("ListenStream=[::1]:{port}")])
        }
        host if numeric(host) => Ok(vec![format!("ListenStream={host}:{port}")]),
        host => Err(Error::Configure {
            what: place.clone(),
            problem: format!("systemd opens numbers only; write the address of {host}"),
        }),
    }
}

/// What holds for all addresses of a socket unit: the first that says something about it.
fn common_options(settings: &PoolSettings) -> Result<Vec<String>, Error> {
    let all: Vec<_> = settings.listen.iter().map(|it| options(&it.0)).collect();
    let backlog = all.iter().find_map(|it| it.backlog).unwrap_or(4096);
    let mode = all.iter().find_map(|it| it.mode).unwrap_or(0o666);
    let mut lines = vec![format!("Backlog={backlog}"), format!("SocketMode={mode:04o}")];
    if all.iter().all(|it| it.nodelay != Some(false)) {
        lines.push("NoDelay=yes".into());
    }
    let said = all.iter().find_map(|it| it.defer_accept);
    let defer = said.map_or_else(|| plan::defer(settings), Ok)?;
    if let Defer::Seconds(seconds) = defer {
        lines.push(format!("DeferAcceptSec={seconds}"));
    }
    Ok(lines)
}

fn seconds(time: Duration) -> String {
    format!("{}s", time.as_secs_f64().ceil())
}

/// A path as an argument of a command in a unit (systemd.service(5)).
fn argument(path: &Path) -> String {
    quoted(path).replace('$', "$$")
}

/// A path as one word of a unit: systemd.syntax(7) and its specifiers.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string().replace('%', "%%");
    if text.contains([' ', '"', '\'', '\\', ';']) { format!("{text:?}") } else { text }
}
