//! Suite `scaling`: `demand` beside the rules of others, in the simulator: with their defaults, and
//! with the settings that would have been best for each load, known afterwards.
//!
//! Real traces take the place of their stand-ins where BELLWETHER_TRACES names the folder in which
//! they are, and the output says which. With `--write` the tables of `docs/scaling.md` and its pictures are made anew.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use anyhow::{Result, ensure};
use bellwether::simulation::tuning::{Tried, best, families, try_all};
use bellwether::simulation::{Regime, Scenario, Workload, synthetic};
use clap::Args;
use serde_json::json;

use crate::traced::{self, Load};
use crate::{document, executable};

#[derive(Args)]
pub(crate) struct Options {
    /// Seed of all that is left to chance
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Write the tables into this folder's scaling.md, and the pictures into its folder scaling
    #[arg(long, value_name = "DOCS")]
    write: Option<PathBuf>,
    /// Look whether it works: the shortest three loads
    #[arg(long)]
    quick: bool,
    /// Print JSON instead of tables
    #[arg(long)]
    json: bool,
}

const REGIMES: [(&str, Regime); 3] = [
    ("fork: ready in 5 ms, worth 1 s of an idle one; late after 10 ms", Regime::FORK),
    ("start: ready in 100 ms, worth 10 s; late after 50 ms", Regime::START),
    ("cold: ready in 2 s, worth 60 s; late after 50 ms", Regime::COLD),
];

/// The pictures: name, loads, rules.
const PICTURES: [(&str, &str, &str); 2] = [
    ("step", "step", "demand,spare,fpm-dynamic:min=5,max=35,knative"),
    ("mmpp", "mmpp", "demand,spare,fpm-ondemand"),
];

/// What a rule did with one load.
#[derive(Clone, Debug)]
struct Cell {
    default: Option<Tried>,
    best: Tried,
}

/// Of one regime, for each rule its name and what it did with each load.
struct Sheet {
    title: &'static str,
    rules: Vec<(&'static str, Vec<Cell>)>,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let kinds = synthetic::KINDS
        .iter()
        .filter(|kind| !options.quick || ["flash", "sparse", "llm-code"].contains(&kind.name));
    let loads = traced::loads(kinds, options.seed)?;
    eprintln!("{}", traced::origin(&loads));
    let sheets = REGIMES.map(|(title, regime)| sheet(title, regime, &loads, options.seed));
    if options.json {
        println!("{:#}", json(&loads, &sheets));
        return Ok(());
    }
    let tables = sheets.iter().map(|sheet| table(sheet, loads.len())).collect::<Vec<_>>();
    let text = format!("{}\n\n{}", traced::origin(&loads), tables.join("\n"));
    match &options.write {
        Some(docs) => write(docs, &text),
        None => {
            print!("{text}");
            Ok(())
        }
    }
}

/// Tries all rules on all loads, as many at once as there are processors.
fn sheet(title: &'static str, regime: Regime, loads: &[Load], seed: u64) -> Sheet {
    let scenario = Scenario::new(regime);
    let next = Mutex::new((0..loads.len()).collect::<Vec<_>>());
    let done = Mutex::new(vec![Vec::new(); loads.len()]);
    let work = || {
        while let Some(load) = next.lock().ok().and_then(|mut next| next.pop()) {
            let workload = &loads[load].workload;
            let cells = cells(&scenario, workload, seed);
            eprintln!("{}: {}", title.split(':').next().unwrap_or(title), workload.name());
            done.lock().map(|mut done| done[load] = cells).ok();
        }
    };
    std::thread::scope(|scope| {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        (0..processors).for_each(|_| drop(scope.spawn(work)));
    });
    let done = done.into_inner().unwrap_or_default();
    let of = |rule: usize| done.iter().filter_map(|cells| cells.get(rule).cloned()).collect();
    let names = families().into_iter().enumerate();
    Sheet { title, rules: names.map(|(i, family)| (family.name, of(i))).collect() }
}

fn cells(scenario: &Scenario, load: &Workload, seed: u64) -> Vec<Cell> {
    let of = |family: bellwether::simulation::tuning::Family| {
        let tried = try_all(scenario, load, &family.settings, seed, &mut |_| {});
        let default = tried.iter().find(|it| it.rule == family.name).cloned();
        Some(Cell { default, best: best(&tried)?.clone() })
    };
    families().into_iter().filter_map(of).collect()
}

fn mean(costs: impl Iterator<Item = f64>) -> Option<f64> {
    let logarithms: Vec<f64> = costs.map(f64::ln).collect();
    let sum: f64 = logarithms.iter().sum();
    (!logarithms.is_empty()).then(|| (sum / logarithms.len() as f64).exp())
}

fn table(sheet: &Sheet, loads: usize) -> String {
    let mut text = format!("**{}**\n\n", sheet.title);
    text += "| rule | default: cost | worst late % | in time | best settings: cost | in time | there, `demand` costs |\n";
    text += "|---|---|---|---|---|---|---|\n";
    let ours = sheet.rules.first().map_or(&[][..], |(_, cells)| cells.as_slice());
    for (name, cells) in &sheet.rules {
        let _ = writeln!(
            text,
            "| {name} | {} | {} |",
            default(cells, loads),
            tuned(cells, ours, loads)
        );
    }
    text
}

fn default(cells: &[Cell], loads: usize) -> String {
    let all = || cells.iter().filter_map(|cell| cell.default.as_ref());
    let Some(cost) = mean(all().map(|it| it.cost)) else { return "– | – | –".into() };
    let worst = all().map(|it| it.late_percent).fold(0.0, f64::max);
    format!("{cost:.2} | {worst:.2} | {} of {loads}", all().filter(|it| it.meets_slo).count())
}

/// On the loads that both the best settings and `demand` serve in time.
fn tuned(cells: &[Cell], ours: &[Cell], loads: usize) -> String {
    let both =
        || cells.iter().zip(ours).filter(|(one, our)| one.best.meets_slo && our.best.meets_slo);
    let cost = mean(both().map(|(one, _)| one.best.cost));
    let our_cost = mean(both().map(|(_, our)| our.best.cost));
    let (Some(cost), Some(our_cost)) = (cost, our_cost) else { return "– | 0 | –".into() };
    let met = cells.iter().filter(|cell| cell.best.meets_slo).count();
    format!("{cost:.2} | {met} of {loads} | {our_cost:.2}")
}

fn json(loads: &[Load], sheets: &[Sheet]) -> serde_json::Value {
    let name = |load: &Load| load.workload.name().to_owned();
    let names: Vec<_> = loads.iter().map(name).collect();
    let real: Vec<_> = loads.iter().filter(|load| load.real).map(name).collect();
    let cell = |cell: &Cell| json!({ "default": cell.default, "best": cell.best });
    let rule = |(name, cells): &(&str, Vec<Cell>)| json!({ "rule": name, "loads": cells.iter().map(cell).collect::<Vec<_>>() });
    let sheet = |sheet: &Sheet| json!({ "regime": sheet.title, "rules": sheet.rules.iter().map(rule).collect::<Vec<_>>() });
    json!({ "loads": names, "real": real, "regimes": sheets.iter().map(sheet).collect::<Vec<_>>() })
}

/// Puts the tables between their marks, and draws the pictures with the program.
fn write(docs: &Path, text: &str) -> Result<()> {
    document::put(&docs.join("scaling.md"), "scaling", text)?;
    let folder = docs.join("scaling");
    std::fs::create_dir_all(&folder)?;
    PICTURES.iter().try_for_each(|picture| draw(&folder, picture))
}

fn draw(folder: &Path, (name, loads, rules): &(&str, &str, &str)) -> Result<()> {
    let picture = folder.join(format!("{name}.svg"));
    let drawn = Command::new(executable::bellwether()?)
        .args(["simulate", loads, "--balance", rules, "--plot"])
        .arg(&picture)
        .output()?;
    ensure!(drawn.status.success(), "{}", String::from_utf8_lossy(&drawn.stderr));
    Ok(())
}
