//! `bellwether tune`: what each rule would have cost with a load, and which limits to set.

use std::fmt::{self, Write};

use bellwether::balance::Rule;
use bellwether::simulation::Scenario;
use bellwether::simulation::tuning::{Family, Tried, best, families, try_all};
use bytesize::ByteSize;
use clap::Args;
use serde::Serialize;

use crate::config::written::Written;
use crate::ending::Ending;
use crate::output::{print, unprinted};
use crate::simulate::Setting;
use crate::simulate::loads::{self, Load};
use crate::simulate::progress::Progress;
use crate::simulate::table::seconds;
use crate::words::{age, count};

/// Show what each rule would have cost with your load, and which limits to set.
///
/// Runs every rule with its defaults and with many settings, and says which of them would have been
/// best, known afterwards; `demand` has nothing to set. Then it looks for the fewest and the most
/// handlers to allow.
#[derive(Clone, Debug, Args)]
pub(crate) struct Tune {
    #[command(flatten)]
    setting: Setting,

    /// What a handler takes of memory, to say what the most of them would.
    #[arg(long, value_name = "SIZE")]
    memory: Option<Written<ByteSize>>,

    /// Print JSON with stable keys.
    #[arg(long)]
    json: bool,
}

/// What came of it for one load.
#[derive(Debug, Serialize)]
struct Advice {
    load: String,
    requests: usize,
    duration_s: f64,
    offered: f64,
    slo: String,
    rules: Vec<Compared>,
    limits: Limits,
}

/// A rule with its defaults, and with the settings that would have been best.
#[derive(Debug, Serialize)]
struct Compared {
    rule: &'static str,
    /// Missing where the rule has no defaults.
    default: Option<Tried>,
    best: Option<Tried>,
}

/// Between which numbers of handlers `demand` should choose.
#[derive(Debug, Serialize)]
struct Limits {
    min: usize,
    max: usize,
    /// The most handlers that were there at once.
    peak: usize,
    /// What `demand` costs with this minimum, beside one who knows the future.
    cost: f64,
    late_percent: f64,
    meets_slo: bool,
    /// Bytes that the most handlers take.
    memory: Option<u64>,
}

/// How many handlers to keep, the fewest first.
const FEWEST: [usize; 8] = [0, 1, 2, 4, 8, 16, 32, 64];

/// How many of these the user allows, the fewest that are allowed first.
fn fewest(scenario: &Scenario) -> impl Iterator<Item = usize> {
    let (min, max) = (scenario.min, scenario.max);
    std::iter::once(min).chain(FEWEST.into_iter().filter(move |it| (min + 1..=max).contains(it)))
}

/// Compares all rules on all loads.
pub(crate) fn run(order: &Tune) -> Result<(), Ending> {
    let loads = loads::all(&order.setting)?;
    let families = families();
    let minima = fewest(&order.setting.scenario()).count();
    let mut progress = Progress::of(loads.len() * (families.len() + minima));
    let advice: Vec<Advice> =
        loads.iter().map(|load| advise(order, load, &families, &mut progress)).collect();
    drop(progress);
    if order.json {
        let json = serde_json::to_string_pretty(&advice).map_err(unprinted)?;
        return print(&format!("{json}\n"));
    }
    print(&Text(&advice, &order.setting.scenario()).to_string())
}

fn advise(order: &Tune, load: &Load, families: &[Family], progress: &mut Progress) -> Advice {
    let (scenario, seed) = (order.setting.scenario(), order.setting.seed);
    let mut try_these = |rules: &[Rule], what: &str| {
        progress.begin(&format!("{what} on {}", load.workload.name()));
        try_all(&scenario, &load.workload, rules, seed, &mut |share| progress.part(share))
    };
    let rules = families.iter().map(|family| {
        let tried = try_these(&family.settings, family.name);
        // A rule that is only its name has its defaults.
        let default = tried.iter().find(|it| it.rule == family.name).cloned();
        Compared { rule: family.name, default, best: best(&tried).cloned() }
    });
    let rules = rules.collect();
    let mut limits = limits(&scenario, load, seed, progress);
    limits.memory = order.memory.map(|Written(size)| size.0.saturating_mul(limits.max as u64));
    Advice {
        load: load.workload.name().into(),
        requests: load.workload.requests().len(),
        duration_s: load.workload.duration(),
        offered: load.workload.offered_load(),
        slo: scenario.regime.slo().to_string(),
        rules,
        limits,
    }
}

/// Finds the fewest handlers with which the objective is met, and head room above the most.
fn limits(scenario: &Scenario, load: &Load, seed: u64, progress: &mut Progress) -> Limits {
    let demand = [Rule::default()];
    let with = |min: usize| {
        let scenario = Scenario { min, ..*scenario };
        progress.begin(&format!("demand with at least {min} on {}", load.workload.name()));
        let part = &mut |share| progress.part(share);
        let tried = try_all(&scenario, &load.workload, &demand, seed, part);
        tried.into_iter().next().map(|tried| (min, tried))
    };
    let tried: Vec<_> = fewest(scenario).filter_map(with).collect();
    let fine = tried.iter().find(|(_, tried)| tried.meets_slo);
    let (min, tried) = match fine.or_else(|| tried.iter().find(|(min, _)| *min >= 1)) {
        Some((min, tried)) => (*min, tried.clone()),
        None => {
            return Limits {
                min: 1,
                max: 1,
                peak: 0,
                cost: 0.0,
                late_percent: 0.0,
                meets_slo: false,
                memory: None,
            };
        }
    };
    let Tried { peak, cost, late_percent, meets_slo, .. } = tried;
    let max = (peak + peak.div_ceil(2)).min(scenario.max).max(min);
    Limits { min, max, peak, cost, late_percent, meets_slo, memory: None }
}

struct Text<'a>(&'a [Advice], &'a Scenario);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let regime = &self.1.regime;
        let (spawn, cost) = (seconds(regime.spawn), seconds(regime.cost));
        writeln!(f, "A handler takes {spawn} to make and costs as much as one idle for {cost}.")?;
        self.0.iter().try_for_each(|advice| one(f, advice, self.1))
    }
}

fn one(f: &mut fmt::Formatter<'_>, advice: &Advice, scenario: &Scenario) -> fmt::Result {
    let (requests, time) = (count(advice.requests as u64), age(advice.duration_s));
    writeln!(
        f,
        "\n{}: {requests} requests in {time}, {:.1} served at once",
        advice.load, advice.offered
    )?;
    writeln!(
        f,
        "{:<16}{:>8}{:>9}    BEST SETTING, KNOWN AFTERWARDS     COST   LATE %",
        "RULE", "COST", "LATE %"
    )?;
    advice.rules.iter().try_for_each(|it| row(f, it))?;
    f.write_str("COST: beside what one pays who knows the future; !: misses the objective\n")?;
    limits_in_words(f, advice, scenario)
}

fn row(f: &mut fmt::Formatter<'_>, it: &Compared) -> fmt::Result {
    write!(f, "{:<16}", it.rule)?;
    match &it.default {
        Some(tried) => figures(f, tried)?,
        None => write!(f, "{:>8}{:>9} ", "-", "-")?,
    }
    match it.best.as_ref().filter(|best| it.default.as_ref() != Some(*best)) {
        Some(best) => {
            write!(f, "   {:<30}", best.rule)?;
            figures(f, best)?;
        }
        None => f.write_str("   as it is")?,
    }
    f.write_char('\n')
}

fn figures(f: &mut fmt::Formatter<'_>, it: &Tried) -> fmt::Result {
    let mark = if it.meets_slo { ' ' } else { '!' };
    write!(f, "{:>8.2}{:>9.2}{mark}", it.cost, it.late_percent)
}

const MORE_HANDLERS: &str = "All that --handlers allows were there: allow more of them.\n";
const FASTER_HANDLERS: &str = "Handlers that start faster would help most, or a longer wait.\n";

fn limits_in_words(
    f: &mut fmt::Formatter<'_>,
    advice: &Advice,
    scenario: &Scenario,
) -> fmt::Result {
    let Limits { min, max, peak, cost, late_percent, meets_slo, memory } = &advice.limits;
    let slo = &advice.slo;
    if *meets_slo {
        let kept = if *min == 0 { "none kept".into() } else { format!("at least {min} kept") };
        writeln!(
            f,
            "\nWith `demand` and {kept}, {late_percent:.2} % are late ({slo}), with at most {peak} handlers;\nthe cost is {cost:.2}."
        )?;
    } else {
        let most = fewest(scenario).last().unwrap_or(scenario.min);
        writeln!(
            f,
            "\nNo minimum up to {most} keeps `demand` to {slo}: {late_percent:.2} % are late."
        )?;
        f.write_str(if *peak >= scenario.max { MORE_HANDLERS } else { FASTER_HANDLERS })?;
    }
    if let Some(memory) = memory {
        writeln!(f, "All of {max} would take {}.", ByteSize(*memory))?;
    }
    writeln!(f, "\n  bellwether serve --handlers {min}..{max} --slo '{slo}'")
}

#[cfg(test)]
mod tests {
    use bellwether::simulation::{Regime, synthetic};

    use super::*;

    #[test]
    fn a_load_that_needs_a_minimum_gets_one() {
        let load =
            |name: &str| Load { workload: synthetic::named(name).unwrap().make(1), jump: None };
        let limits = |regime: Regime, load: &Load| {
            limits(&Scenario::new(regime), load, 1, &mut Progress::of(FEWEST.len()))
        };
        let steady = limits(Regime::FORK, &load("const"));
        assert!(steady.meets_slo && steady.min == 0 && steady.max > steady.peak, "{steady:?}");
        let sparse = limits(Regime::COLD, &load("sparse"));
        assert!(sparse.meets_slo && sparse.min >= 2, "{sparse:?}");
    }

    #[test]
    fn limits_stay_within_those_of_the_user() {
        let flash = Load { workload: synthetic::named("flash").unwrap().make(1), jump: None };
        let check = |min: usize, max: usize| {
            let scenario = Scenario { min, max, ..Scenario::new(Regime::START) };
            let limits = limits(&scenario, &flash, 1, &mut Progress::of(FEWEST.len()));
            assert!(min <= limits.min && limits.max <= max, "{min}..{max}: {limits:?}");
            assert!(limits.min <= limits.max && limits.peak <= max, "{min}..{max}: {limits:?}");
        };
        check(0, 4);
        check(3, 3);
        check(5, 40);
        check(100, 200);
    }
}
