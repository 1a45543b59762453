//! One rule: which it is, its parameters, and how it is made.

use std::fmt;
use std::str::FromStr;

use super::super::parameter::{Named, Parameter};
use super::super::{
    Balance, DelayedOff, Demand, Fixed, FpmDynamic, FpmOndemand, Knative, Slo, Spare, Unit,
    UwsgiBacklog, UwsgiBusyness, UwsgiSpare, UwsgiSpare2,
};
use super::nearest::did_you_mean;
use super::{Description, Rule};

/// One rule as it is before it decides for the first time.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum One {
    Demand(ByDemand),
    Fixed(Fixed),
    Spare(Spare),
    FpmDynamic(FpmDynamic),
    FpmOndemand(FpmOndemand),
    UwsgiSpare(UwsgiSpare),
    UwsgiSpare2(UwsgiSpare2),
    UwsgiBacklog(UwsgiBacklog),
    UwsgiBusyness(UwsgiBusyness),
    Unit(Unit),
    Knative(Knative),
    DelayedOff(DelayedOff),
}

/// The rule that needs an objective to be built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ByDemand;

/// The same expression for whichever rule it is.
macro_rules! with {
    ($one:expr, $rule:ident => $body:expr) => {
        match $one {
            One::Demand($rule) => $body,
            One::Fixed($rule) => $body,
            One::Spare($rule) => $body,
            One::FpmDynamic($rule) => $body,
            One::FpmOndemand($rule) => $body,
            One::UwsgiSpare($rule) => $body,
            One::UwsgiSpare2($rule) => $body,
            One::UwsgiBacklog($rule) => $body,
            One::UwsgiBusyness($rule) => $body,
            One::Unit($rule) => $body,
            One::Knative($rule) => $body,
            One::DelayedOff($rule) => $body,
        }
    };
}

impl One {
    pub(super) fn all() -> Vec<Self> {
        vec![
            Self::Demand(ByDemand),
            Self::Fixed(Fixed::new(0)),
            Self::Spare(Spare::default()),
            Self::FpmDynamic(FpmDynamic::default()),
            Self::FpmOndemand(FpmOndemand::default()),
            Self::UwsgiSpare(UwsgiSpare::default()),
            Self::UwsgiSpare2(UwsgiSpare2::default()),
            Self::UwsgiBacklog(UwsgiBacklog::default()),
            Self::UwsgiBusyness(UwsgiBusyness::default()),
            Self::Unit(Unit::default()),
            Self::Knative(Knative::default()),
            Self::DelayedOff(DelayedOff::default()),
        ]
    }

    fn named(name: &str) -> Option<Self> {
        Self::all().into_iter().find(|one| one.name() == name)
    }

    fn name(&self) -> &'static str {
        /// A constant by way of a value.
        const fn name<R: Named>(_: &R) -> &'static str {
            R::NAME
        }
        with!(self, rule => name(rule))
    }

    fn about(&self) -> &'static str {
        /// A constant by way of a value.
        const fn about<R: Named>(_: &R) -> &'static str {
            R::ABOUT
        }
        with!(self, rule => about(rule))
    }

    fn parameters(&mut self) -> Vec<Parameter<'_>> {
        with!(self, rule => rule.parameters())
    }

    fn contradiction(&self) -> Option<String> {
        with!(self, rule => rule.contradiction())
    }

    pub(super) fn build(&self, slo: Slo) -> Box<dyn Balance> {
        match self {
            Self::Demand(_) => demand(slo),
            Self::Fixed(rule) => Box::new(*rule),
            Self::Spare(rule) => Box::new(rule.clone()),
            Self::FpmDynamic(rule) => Box::new(rule.clone()),
            Self::FpmOndemand(rule) => Box::new(rule.clone()),
            Self::UwsgiSpare(rule) => Box::new(rule.clone()),
            Self::UwsgiSpare2(rule) => Box::new(rule.clone()),
            Self::UwsgiBacklog(rule) => Box::new(rule.clone()),
            Self::UwsgiBusyness(rule) => Box::new(rule.clone()),
            Self::Unit(rule) => Box::new(rule.clone()),
            Self::Knative(rule) => Box::new(rule.clone()),
            Self::DelayedOff(rule) => Box::new(rule.clone()),
        }
    }

    pub(super) fn describe(&mut self) -> Description {
        let (name, about) = (self.name(), self.about());
        // What contradicts as it is has to be set.
        let complete = self.contradiction().is_none();
        let parameters = self.parameters();
        let usual = |parameter: &Parameter<'_>| parameter.get().filter(|_| complete);
        let parameters = parameters.iter().map(|it| (it.name, it.about, usual(it))).collect();
        Description { name, about, parameters }
    }

    /// Sets one parameter to what is written, and returns its name.
    fn set(&mut self, text: &str) -> Result<&'static str, String> {
        let rule = self.name();
        let mut parameters = self.parameters();
        let names: Vec<_> = parameters.iter().map(|parameter| parameter.name).collect();
        let (name, value) = match (text.split_once('='), names.as_slice()) {
            (Some((name, value)), _) => (name.trim(), value.trim()),
            (None, [only]) => (*only, text.trim()),
            (None, _) => return Err(format!("`{text}` is no NAME=VALUE; {}", has(rule, &names))),
        };
        let found = parameters.iter_mut().find(|parameter| parameter.name == name);
        let Some(parameter) = found else {
            let near = did_you_mean(name, &names);
            return Err(format!("there is no parameter `{name}`{near}; {}", has(rule, &names)));
        };
        let set = parameter.set(value).map_err(|expected| format!("{name} must be {expected}"));
        set.map(|()| parameter.name)
    }
}

impl FromStr for One {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, settings) = text.split_once(':').unwrap_or((text, ""));
        let name = name.trim();
        let mut one = Self::named(name).ok_or_else(|| {
            let (near, names) = (did_you_mean(name, &Rule::NAMES), Rule::NAMES.join(", "));
            format!("there is no rule `{name}`{near}; there are {names}")
        })?;
        let wrong = |complaint| format!("`{text}`: {complaint}");
        let mut seen = Vec::new();
        for setting in settings.split(',').filter(|_| text.contains(':')) {
            let name = one.set(setting).map_err(wrong)?;
            if seen.contains(&name) {
                return Err(wrong(format!("{name} is given twice")));
            }
            seen.push(name);
        }
        let contradiction = one.contradiction();
        contradiction.map_or(Ok(one), |what| Err(wrong(what)))
    }
}

impl fmt::Display for One {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut own = self.clone();
        let mut usual = Self::named(self.name()).unwrap_or_else(|| self.clone());
        let (own, usual) = (own.parameters(), usual.parameters());
        let alone = own.len() == 1;
        let set = own.iter().zip(&usual).filter(|(own, usual)| own.get() != usual.get());
        let set: Vec<_> = set
            .filter_map(|(own, _)| own.get().map(|value| (own.name, value)))
            .map(|(name, value)| if alone { value } else { format!("{name}={value}") })
            .collect();
        f.write_str(self.name())?;
        if set.is_empty() { Ok(()) } else { write!(f, ":{}", set.join(",")) }
    }
}

impl Named for ByDemand {
    const NAME: &'static str = "demand";
    const ABOUT: &'static str =
        "As many as requests will need when another handler could be ready.";

    fn parameters(&mut self) -> Vec<Parameter<'_>> {
        Vec::new()
    }
}

/// Makes the rule `demand`.
fn demand(slo: Slo) -> Box<dyn Balance> {
    Box::new(Demand::new(slo))
}

/// Says which parameters a rule has.
fn has(rule: &str, names: &[&str]) -> String {
    if names.is_empty() {
        return format!("{rule} has no parameters");
    }
    format!("{rule} has {}", names.join(", "))
}
