//! What may be typed after `bellwether simulate`.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use bellwether::balance::{Rule, Slo};
use bellwether::simulation::{Cpu, Regime, Scenario};
use clap::Args;

use crate::config::written::{Handlers, Percent, Value, Written};

/// Show what rules would do with a load, and what that would cost.
///
/// Runs the same rules as the server, on made-up loads or on a trace of yours: what handlers would
/// cost beside what one would pay who knows the future, how long requests would wait, and why not
/// to choose another rule.
#[derive(Clone, Debug, Args)]
pub(crate) struct Simulate {
    #[command(flatten)]
    pub(super) setting: Setting,

    /// Which rules, repeatable or with commas: demand,spare:min=5,max=10,knative.
    #[arg(long, value_name = "RULES", default_value = "demand", allow_hyphen_values = true)]
    pub(super) balance: Vec<Rules>,

    /// Print the names of loads and rules.
    #[arg(long)]
    pub(super) list: bool,

    /// Draw arrivals, busy threads, handlers and queue over time into this file.
    #[arg(long, value_name = "FILE.svg")]
    pub(super) plot: Option<PathBuf>,

    /// Print JSON with stable keys.
    #[arg(long)]
    pub(super) json: bool,
}

impl Simulate {
    /// All rules, in the order in which they were typed.
    pub(super) fn rules(&self) -> impl Iterator<Item = &Rule> {
        self.balance.iter().flat_map(|rules| &rules.0)
    }
}

/// Which loads, and in what surroundings.
#[derive(Clone, Debug, Args)]
pub(crate) struct Setting {
    /// Files with traces, or names of made-up loads (see --list).
    ///
    /// A trace has one line for each request (its time in seconds, and after a comma its service,
    /// with the header t_s,service_s), or one for each period (count, or period,count). It may be
    /// compressed (.gz); - is standard input.
    #[arg(value_name = "TRACE", default_value = "step")]
    pub(super) traces: Vec<String>,

    /// What a handler costs and requests may wait: fork (5 ms, 1 s, 10 ms), start (100 ms, 10 s,
    /// 50 ms) or cold (2 s, 60 s, 50 ms), where nothing below says otherwise.
    #[arg(long, value_name = "NAME", default_value = "fork", help_heading = POOL)]
    pub(super) regime: Named,

    /// From the order for a handler until it is ready, on average.
    #[arg(long, value_name = "TIME", help_heading = POOL)]
    pub(super) spawn: Option<Written<Duration>>,

    /// For how long an idle handler costs less than making another.
    #[arg(long, value_name = "TIME", help_heading = POOL)]
    pub(super) cost: Option<Written<Duration>>,

    /// How long requests may wait, and how many of them longer.
    #[arg(long, value_name = "SHARE%<TIME", help_heading = POOL)]
    pub(super) slo: Option<Written<Slo>>,

    /// How many handlers there may be.
    #[arg(long, value_name = "N|MIN..MAX", default_value = "0..1024", help_heading = POOL)]
    pub(super) handlers: Written<Handlers>,

    /// Threads of a handler.
    #[arg(long, value_name = "N", default_value = "1", help_heading = POOL)]
    pub(super) threads: Written<usize>,

    /// Processors that handlers share [default: enough of them].
    #[arg(long, value_name = "N", help_heading = POOL)]
    pub(super) processors: Option<Written<usize>>,

    /// For which share of its service a request needs a processor.
    #[arg(long, value_name = "PERCENT%", default_value = "20%", help_heading = POOL)]
    pub(super) computing: Written<Percent>,

    /// Refuse requests that waited too long when no more handlers are possible.
    #[arg(long, help_heading = POOL)]
    pub(super) shed: bool,

    /// What one line of counts stands for.
    #[arg(long, value_name = "TIME", default_value = "1s", help_heading = TRACE)]
    pub(super) period: Written<Duration>,

    /// How many times faster than it was the traffic is replayed.
    #[arg(long, value_name = "N", default_value = "1", help_heading = TRACE)]
    pub(super) speed: Written<usize>,

    /// One of how many requests of counts is kept.
    #[arg(long, value_name = "N", default_value = "1", help_heading = TRACE)]
    pub(super) one_of: Written<usize>,

    /// How long a request is served on average, where the trace does not tell.
    #[arg(long, value_name = "TIME", default_value = "100ms", help_heading = TRACE)]
    pub(super) service: Written<Duration>,

    /// Lines to leave out after the header.
    #[arg(long, value_name = "N", default_value = "0", help_heading = TRACE)]
    pub(super) skip: Written<usize>,

    /// Lines to read [default: all].
    #[arg(long, value_name = "N", help_heading = TRACE)]
    pub(super) lines: Option<Written<usize>>,

    /// For everything that is left to chance.
    #[arg(long, value_name = "N", default_value = "1")]
    pub(crate) seed: u64,
}

const POOL: &str = "The pool";
const TRACE: &str = "Reading a trace";

impl Setting {
    /// In what surroundings the loads are served.
    pub(crate) fn scenario(&self) -> Scenario {
        let Handlers { min, max } = self.handlers.0;
        let regime = self.regime();
        let cpu = self.processors.map(|Written(processors)| Cpu {
            processors: processors.max(1) as f64,
            share: (self.computing.0.0 / 100.0).clamp(0.0, 1.0),
            overhead: 0.002,
            spawn: regime.spawn.min(0.02),
        });
        let threads = self.threads.0.max(1);
        Scenario { min, max, threads, cpu, shed: self.shed, ..Scenario::new(regime) }
    }

    /// What cannot be, and what to choose instead.
    pub(super) fn problem(&self) -> Option<(&'static str, &'static str)> {
        let Handlers { min, max } = self.handlers.0;
        let computing = self.computing.0.0;
        let checks = [
            (
                "handlers",
                max == 0 || min > max,
                "choose at least 1 as the larger, the smaller first",
            ),
            ("threads", self.threads.0 == 0, "choose at least 1"),
            ("processors", self.processors.is_some_and(|it| it.0 == 0), "choose at least 1"),
            ("computing", computing > 100.0, "choose at most 100%"),
            ("speed", self.speed.0 == 0, "choose at least 1"),
            ("one-of", self.one_of.0 == 0, "choose at least 1"),
            ("period", self.period.0.is_zero(), "choose at least 1ms"),
            ("service", self.service.0.as_secs() > 86_400, "choose at most a day"),
        ];
        checks.into_iter().find(|(_, is_wrong, _)| *is_wrong).map(|(what, _, hint)| (what, hint))
    }

    fn regime(&self) -> Regime {
        let seconds = |time: Option<Written<Duration>>| time.map(|it| it.0.as_secs_f64());
        let named = self.regime.0;
        Regime {
            spawn: seconds(self.spawn).unwrap_or(named.spawn).max(1e-6),
            cost: seconds(self.cost).unwrap_or(named.cost),
            wait: self.slo.map_or(named.wait, |slo| slo.0.wait().as_secs_f64()),
            late: self.slo.map_or(named.late, |slo| slo.0.late()),
        }
    }
}

/// A regime by its name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Named(pub(super) Regime);

impl FromStr for Named {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "fork" => Ok(Self(Regime::FORK)),
            "start" => Ok(Self(Regime::START)),
            "cold" => Ok(Self(Regime::COLD)),
            _ => Err(format!("`{text}` is no regime; write fork, start or cold")),
        }
    }
}

/// Several rules with commas between them.
#[derive(Clone, Debug)]
pub(crate) struct Rules(pub(super) Vec<Rule>);

impl FromStr for Rules {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let rules = parted(text).iter().map(|rule| Rule::read(rule)).collect::<Result<_, _>>()?;
        Ok(Self(rules))
    }
}

/// Parts a text at commas, but not before a parameter: `demand,spare:min=5,max=10` are two.
fn parted(text: &str) -> Vec<String> {
    let mut rules: Vec<String> = Vec::new();
    for part in text.split(',') {
        let name = part.split(['=', ':', '+']).next().unwrap_or_default();
        match rules.last_mut() {
            Some(last) if part.starts_with(&format!("{name}=")) => *last += &format!(",{part}"),
            _ => rules.push(part.trim().into()),
        }
    }
    rules
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_parted_at_commas_but_not_at_those_of_their_parameters() {
        let check = |text: &str, expected: &[&str]| assert_eq!(parted(text), expected, "{text}");
        check("demand", &["demand"]);
        check("demand,unit", &["demand", "unit"]);
        check("spare:min=5,max=10,demand", &["spare:min=5,max=10", "demand"]);
        check("demand+fixed:2,knative", &["demand+fixed:2", "knative"]);
        assert!("demand,guess".parse::<Rules>().is_err());
    }

    #[test]
    fn regimes_have_names() {
        assert_eq!("cold".parse::<Named>().unwrap().0, Regime::COLD);
        assert!("hot".parse::<Named>().unwrap_err().contains("fork, start or cold"));
    }
}
