//! Suite `quiet`: what the spawner takes for itself, when nobody comes and when requests rain.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use bellwether::Notification;
use clap::Args;
use serde_json::{Value, json};

use crate::arrivals::{Phase, Work, poisson};
use crate::condition::Condition;
use crate::elastic_server::{self, Rule};
use crate::figure::{Figure, Goal};
use crate::machine::Machine;
use crate::open_loop::{self, Record, Waits};
use crate::process;
use crate::site::{OurSite, Site as _};
use crate::table::Table;

/// Parts of one processor.
const IDLE_GOAL: Goal = Goal::AtMost(0.001);
const BUSY_GOAL: Goal = Goal::AtMost(0.01);
const SETTLING: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_secs(5);
/// As many handlers as an elastic pool may have, and a fixed one has.
const HANDLERS: usize = 8;

#[derive(Args)]
pub(crate) struct Options {
    /// Repetitions [default: 7; with --quick 1]
    #[arg(long)]
    reps: Option<u64>,
    /// Requests per second when they rain
    #[arg(long, default_value_t = 10_000.0)]
    rate: f64,
    /// Seconds to watch each state [default: 10; with --quick 2]
    #[arg(long)]
    seconds: Option<u64>,
    /// Look whether it works
    #[arg(long)]
    quick: bool,
    /// Where server and client run
    #[arg(long, value_enum, default_value = "s")]
    condition: Condition,
    /// Print JSON instead of tables
    #[arg(long)]
    json: bool,
}

impl Options {
    fn repetitions(&self) -> u64 {
        self.reps.unwrap_or(if self.quick { 1 } else { 7 })
    }

    fn watch(&self) -> Duration {
        Duration::from_secs(self.seconds.unwrap_or(if self.quick { 2 } else { 10 }))
    }
}

/// What one pool showed once.
#[derive(Clone, Copy, Debug)]
struct Sample {
    /// Parts of a processor that the spawner took, and its wake-ups per second.
    idle: f64,
    idle_wakeups: f64,
    busy: f64,
    busy_wakeups: f64,
    /// Requests per second that were answered.
    rate: f64,
    lost: f64,
    /// In ms.
    wait_p99: f64,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let machine = Machine::look(options.condition);
    options.condition.apply()?;
    let mut pools = Vec::new();
    for rule in [Rule::Demand, Rule::Fixed] {
        pools.push((rule, measure(rule, options)?));
    }
    if options.json {
        println!("{}", to_json(&machine, options, &pools));
    } else {
        print!("{}\n{}\n{}", machine.heading(), table(options, &pools), NOTE);
    }
    Ok(())
}

fn measure(rule: Rule, options: &Options) -> Result<Vec<Sample>> {
    let min = if rule == Rule::Fixed { HANDLERS } else { 1 };
    let notification = Notification::One;
    let server = elastic_server::Options { rule, min, max: HANDLERS, notification };
    let sample = |seed| {
        let sample = Sample::take(&server, options, seed)?;
        eprintln!("{rule:?}: idle {:.4} %, busy {:.3} %", sample.idle * 100.0, sample.busy * 100.0);
        Ok(sample)
    };
    (0..options.repetitions()).map(sample).collect()
}

impl Sample {
    fn take(server: &elastic_server::Options, options: &Options, seed: u64) -> Result<Self> {
        let site = OurSite::start(server)?;
        thread::sleep(SETTLING);
        let before = Usage::read(site.root())?;
        thread::sleep(options.watch());
        let (idle, idle_wakeups) = Usage::read(site.root())?.since(&before)?;
        let phase = Phase { rate: options.rate, length: options.watch() };
        let arrivals = poisson(&[phase], Work::default(), seed);
        let before = Usage::read(site.root())?;
        let run = open_loop::run(site.target(), &arrivals, PATIENCE)?;
        let (busy, busy_wakeups) = Usage::read(site.root())?.since(&before)?;
        let answered = run.records.iter().filter(|record| record.is_answered()).count();
        let last = run.records.iter().map(|record| record.ended).max().context("nobody came")?;
        Ok(Self {
            idle,
            idle_wakeups,
            busy,
            busy_wakeups,
            rate: answered as f64 / last.as_secs_f64(),
            lost: (run.records.len() - answered) as f64,
            wait_p99: Waits::of(run.records.iter().map(Record::wait)).at(0.99),
        })
    }
}

/// What a process used until a moment.
struct Usage {
    moment: Instant,
    cpu: Duration,
    wakeups: u64,
}

impl Usage {
    fn read(pid: u32) -> Result<Self> {
        let (cpu, wakeups) = (process::cpu_time(pid)?, process::wakeups(pid)?);
        Ok(Self { moment: Instant::now(), cpu, wakeups })
    }

    /// The part of a processor, and the wake-ups per second.
    fn since(&self, before: &Self) -> Result<(f64, f64)> {
        let time = self.moment - before.moment;
        let cpu = self.cpu.checked_sub(before.cpu).context("processor time runs backwards")?;
        let wakeups = self.wakeups.saturating_sub(before.wakeups) as f64;
        Ok((cpu.div_duration_f64(time), wakeups / time.as_secs_f64()))
    }
}

const NOTE: &str = "\
Spawner: its processor time by /proc/PID/schedstat, in percent of one processor, and how often it wakes up.
Demand: from 1 to 8 handlers; fixed: 8. Wait: response less service, the client's own queueing included.
";

fn figure(samples: &[Sample], quantity: fn(&Sample) -> f64) -> Figure {
    Figure::of(samples.iter().map(quantity))
}

fn table(options: &Options, pools: &[(Rule, Vec<Sample>)]) -> Table {
    let busy = format!("at {}/s", options.rate);
    let mut table = Table::new(&[
        "pool",
        "idle",
        "goal ≤ 0.1 %",
        "wake-ups/s",
        &busy,
        "goal ≤ 1 %",
        "wake-ups/s",
        "answered/s",
        "lost",
        "wait p99 ms",
    ]);
    for (rule, samples) in pools {
        let of = |quantity: fn(&Sample) -> f64| figure(samples, quantity).median;
        let (idle, busy) = (figure(samples, |it| it.idle), figure(samples, |it| it.busy));
        table.push(vec![
            format!("{rule:?}").to_lowercase(),
            format!("{:.4} %", idle.median * 100.0),
            idle.judge(IDLE_GOAL).to_string(),
            format!("{:.1}", of(|it| it.idle_wakeups)),
            format!("{:.3} %", busy.median * 100.0),
            busy.judge(BUSY_GOAL).to_string(),
            format!("{:.1}", of(|it| it.busy_wakeups)),
            format!("{:.0}", of(|it| it.rate)),
            format!("{:.0}", of(|it| it.lost)),
            format!("{:.1}", of(|it| it.wait_p99)),
        ]);
    }
    table
}

fn to_json(machine: &Machine, options: &Options, pools: &[(Rule, Vec<Sample>)]) -> Value {
    let pool = |(rule, samples): &(Rule, Vec<Sample>)| {
        let of = |quantity| figure(samples, quantity).json();
        json!({
            "rule": format!("{rule:?}").to_lowercase(),
            "idle_processors": of(|it| it.idle), "idle_wakeups_per_s": of(|it| it.idle_wakeups),
            "busy_processors": of(|it| it.busy), "busy_wakeups_per_s": of(|it| it.busy_wakeups),
            "answered_per_s": of(|it| it.rate), "lost": of(|it| it.lost),
            "wait_p99_ms": of(|it| it.wait_p99),
        })
    };
    let pools: Vec<Value> = pools.iter().map(pool).collect();
    json!({ "suite": "quiet", "machine": machine.json(), "rate": options.rate, "pools": pools })
}
