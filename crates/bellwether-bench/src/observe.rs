//! Suite `observe`: what it costs to be watched.
//!
//! In each repetition `bellwether serve` is measured twice under the load of wrk, alone and with an
//! observer that is scraped each second and tells a dashboard: who comes first changes. Then, once, a pool
//! of 512 idle handlers: how long a status takes, and what the observer and the spawner take of a processor
//! while a dashboard is open.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddrV4, TcpStream};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;
use serde_json::json;

use crate::condition::Condition;
use crate::figure::{Figure, Goal};
use crate::machine::Machine;
use crate::our_server::{NAME, RUNTIME};
use crate::site::daemon::{Daemon, folder, free_address};
use crate::table::Table;
use crate::wrk::{self, Load};
use crate::{executable, process};

/// Throughput that is left beside an observer.
const GOAL: Goal = Goal::AtLeast(0.99);

/// The pool that is large.
const MANY: usize = 512;

/// How long it may take to make all of them.
const BIRTHS: Duration = Duration::from_secs(30);

/// How long it is watched.
const WATCHED: Duration = Duration::from_secs(10);

#[derive(Args)]
pub(crate) struct Options {
    /// Repetitions [default: 9; with --quick 2]
    #[arg(long)]
    reps: Option<usize>,
    /// Whole seconds of load for each figure [default: 4; with --quick 1]
    #[arg(long)]
    seconds: Option<u64>,
    /// Let apt-get bring wrk
    #[arg(long)]
    install: bool,
    /// Look whether it works: too short to judge
    #[arg(long)]
    quick: bool,
    /// Where servers and clients run
    #[arg(long, value_enum, default_value = "u")]
    condition: Condition,
    /// Print JSON instead of tables
    #[arg(long)]
    json: bool,
}

impl Options {
    fn repetitions(&self) -> usize {
        self.reps.unwrap_or(if self.quick { 2 } else { 9 })
    }

    fn seconds(&self) -> u64 {
        self.seconds.unwrap_or(if self.quick { 1 } else { 4 }).max(1)
    }
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let machine = Machine::look(options.condition);
    if let Some(why) = wrk::missing(options.install) {
        bail!("{why}");
    }
    options.condition.apply()?;
    let mut ratios = [Vec::new(), Vec::new()];
    for repetition in 0..options.repetitions() {
        for (load, ratios) in Load::ALL.into_iter().zip(&mut ratios) {
            eprintln!("repetition {}, {load} connections", repetition + 1);
            ratios.push(watched_to_alone(load, options.seconds(), repetition % 2 == 0)?);
        }
    }
    eprintln!("{MANY} handlers");
    let many = Many::measure()?;
    let ratios = ratios.map(Figure::of);
    if options.json {
        let loads = Load::ALL.into_iter().zip(&ratios);
        let loads: Vec<_> = loads
            .map(|(load, ratio)| json!({ "load": load.to_string(), "watched": ratio.json() }))
            .collect();
        println!("{}", json!({ "machine": machine.json(), "loads": loads, "many": many.json() }));
        return Ok(());
    }
    print!("{}", markdown(&machine, options, &ratios, &many));
    Ok(())
}

/// The rate of a server that is watched, as a part of that of the same server alone.
fn watched_to_alone(load: Load, seconds: u64, alone_first: bool) -> Result<f64> {
    let server = Server::start(2)?;
    let rate = || {
        let tally = load.run(server.address, seconds, server.daemon.folder())?;
        ensure!(tally.failed == 0, "{} requests failed", tally.failed);
        Ok(tally.answered as f64 / tally.elapsed.as_secs_f64())
    };
    rate()?; // the first is a warm-up
    let (watched, alone) = if alone_first {
        let alone = rate()?;
        (server.watched(rate)?, alone)
    } else {
        (server.watched(rate)?, rate()?)
    };
    Ok(watched / alone)
}

struct Server {
    address: SocketAddrV4,
    daemon: Daemon,
}

impl Server {
    fn start(handlers: usize) -> Result<Self> {
        let (folder, address) = (folder()?, free_address()?);
        let program = executable::bellwether()?.to_string_lossy().into_owned();
        let (listen, handlers) = (address.to_string(), handlers.to_string());
        let words = ["serve", "--listen", &listen, "--handlers", &handlers, "--name", NAME];
        let mut daemon = Daemon::start(&[&[&*program], &words[..]].concat(), folder)?;
        daemon.wait_until(|| get(address, "/").map(drop))?;
        Ok(Self { address, daemon })
    }

    /// An observer of this server.
    fn observer(&self) -> Result<Self> {
        let address = free_address()?;
        let program = executable::bellwether()?.to_string_lossy().into_owned();
        let runtime = format!("{RUNTIME}={}", self.daemon.folder().display());
        let listen = address.to_string();
        let command = ["env", &runtime, &program, "observe", "--name", NAME, "--listen", &listen];
        let mut daemon = Daemon::start(&command, folder()?)?;
        daemon.wait_until(|| get(address, "/live").map(drop))?;
        Ok(Self { address, daemon })
    }

    /// Does something while an observer is scraped each second and tells a dashboard.
    fn watched<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let observer = self.observer()?;
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    let _ = get(observer.address, "/metrics");
                    thread::sleep(Duration::from_secs(1));
                }
            });
            scope.spawn(|| read_on(observer.address, &over));
            let done = work();
            over.store(true, Ordering::Relaxed);
            done
        })
    }
}

/// Reads what a dashboard is told.
fn read_on(address: SocketAddrV4, over: &AtomicBool) -> Result<()> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_millis(200)))?;
    stream.write_all(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
    let mut some = [0; 1 << 16];
    while !over.load(Ordering::Relaxed) {
        let _ = stream.read(&mut some);
    }
    Ok(())
}

fn get(address: SocketAddrV4, path: &str) -> Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    ensure!(answer.starts_with("HTTP/1.1 200 "), "{path}: {answer}");
    Ok(answer)
}

/// What a large pool costs whoever looks at it.
struct Many {
    /// From the start of `bellwether status` to its end, in ms.
    status: Figure,
    /// Of one processor, in percent, while a dashboard is open.
    observer: f64,
    /// The same of the spawner with all its handlers, which are idle.
    server: f64,
}

impl Many {
    fn measure() -> Result<Self> {
        let server = Server::start(MANY)?;
        let program = executable::bellwether()?;
        let status = || {
            let since = Instant::now();
            let mut command = Command::new(program.as_os_str());
            command.args(["status", "--name", NAME]).env(RUNTIME, server.daemon.folder());
            let output = command.output().context("cannot run bellwether")?;
            let all = String::from_utf8_lossy(&output.stdout);
            ensure!(output.status.success() && all.contains(&format!("{MANY} alive")), "{all}");
            Ok(since.elapsed().as_secs_f64() * 1000.0)
        };
        let deadline = Instant::now() + BIRTHS;
        while status().is_err() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(100));
        }
        let times = (0..9).map(|_| status()).collect::<Result<Vec<_>>>()?;
        let (observer, over) = (server.observer()?, AtomicBool::new(false));
        let all =
            [process::tree(observer.daemon.master())?, process::tree(server.daemon.master())?];
        let used = process::cpu_time_of;
        let (before, after) = thread::scope(|scope| {
            scope.spawn(|| read_on(observer.address, &over));
            thread::sleep(Duration::from_secs(1));
            let before = [used(&all[0]), used(&all[1])];
            thread::sleep(WATCHED);
            let after = [used(&all[0]), used(&all[1])];
            over.store(true, Ordering::Relaxed);
            (before, after)
        });
        let mut shares = before.into_iter().zip(after).map(|(before, after)| {
            Ok(100.0 * (after? - before?).as_secs_f64() / WATCHED.as_secs_f64())
        });
        let mut next = || shares.next().unwrap_or(Ok(0.0));
        let (observer, server): (Result<f64>, Result<f64>) = (next(), next());
        Ok(Self { status: Figure::of(times), observer: observer?, server: server? })
    }

    fn json(&self) -> serde_json::Value {
        json!({ "handlers": MANY, "status_ms": self.status.json(), "observer_percent": self.observer,
            "server_percent": self.server })
    }
}

fn markdown(machine: &Machine, options: &Options, ratios: &[Figure; 2], many: &Many) -> String {
    let (seconds, repetitions) = (options.seconds(), options.repetitions());
    let goal = GOAL.to_string();
    let mut table = Table::new(&["connections", "watched / alone", &goal]);
    for (load, ratio) in Load::ALL.into_iter().zip(ratios) {
        let text = format!("{:.3} ({:.3} to {:.3})", ratio.median, ratio.lower, ratio.upper);
        table.push(vec![load.to_string(), text, ratio.judge(GOAL).to_string()]);
    }
    let mut large = Table::new(&[
        "handlers",
        "status, ms",
        "observer, % of a processor",
        "server, % of a processor",
    ]);
    large.push(vec![
        MANY.to_string(),
        format!("{:.0} ({:.0} to {:.0})", many.status.median, many.status.lower, many.status.upper),
        format!("{:.1}", many.observer),
        format!("{:.1}", many.server),
    ]);
    format!(
        "{}* load: wrk, {seconds} s for each figure, {repetitions} repetitions; watched: metrics scraped \
         each second, one dashboard open\n* server: `bellwether serve` with 2 handlers and nothing else \
         set\n\n{table}\nThe ratio is that of requests a second within each repetition, with its quartiles.\n\n\
         {large}\n",
        machine.heading()
    )
}
