//! The name and the parameters of a rule, as text.

use std::fmt;
use std::str::FromStr;

use self::one::{ByDemand, One};
use super::parameter::Named;
use super::{
    Balance, DelayedOff, Fixed, FpmDynamic, FpmOndemand, Knative, Most, Slo, Spare, Unit,
    UwsgiBacklog, UwsgiBusyness, UwsgiSpare, UwsgiSpare2,
};

mod nearest;
mod one;

/// Which rule a pool has, with its parameters, as it is written in a configuration.
///
/// `NAME` or `NAME:PARAMETER=VALUE,…`; of a rule with one parameter its value is enough; rules with
/// `+` between them are the most of them all. [`Rule::descriptions`] has the names, `demand` unless
/// said otherwise.
///
/// ```
/// use bellwether::balance::{Balance, Reading, Rule, Slo};
/// let rule: Rule = "spare:min=2,max=4 + fixed:6".parse()?;
/// assert_eq!(rule.to_string(), "spare:min=2,max=4+fixed:6");
/// assert_eq!(rule.build(Slo::default()).decide(&Reading::default()).target, 6);
///
/// let complaint = "spar".parse::<Rule>().unwrap_err();
/// assert!(complaint.starts_with("there is no rule `spar` (did you mean `spare`?)"));
/// # Ok::<(), String>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Rule(Vec<One>);

/// What a rule is called, what it does and what its parameters are; printed as help.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Description {
    /// Its name.
    pub name: &'static str,
    /// One sentence.
    pub about: &'static str,
    /// Of each parameter the name, what it is, and its value unless set; `None`: the words say it.
    pub parameters: Vec<(&'static str, &'static str, Option<String>)>,
}

impl Rule {
    /// The names of all rules.
    pub const NAMES: [&'static str; 12] = [
        ByDemand::NAME,
        Fixed::NAME,
        Spare::NAME,
        FpmDynamic::NAME,
        FpmOndemand::NAME,
        UwsgiSpare::NAME,
        UwsgiSpare2::NAME,
        UwsgiBacklog::NAME,
        UwsgiBusyness::NAME,
        Unit::NAME,
        Knative::NAME,
        DelayedOff::NAME,
    ];

    /// Makes the rule; `slo` is the objective of those that have one.
    #[must_use]
    pub fn build(&self, slo: Slo) -> Box<dyn Balance> {
        match self.0.as_slice() {
            [one] => one.build(slo),
            several => Box::new(Most::new(several.iter().map(|one| one.build(slo)).collect())),
        }
    }

    /// Describes all rules, for help texts.
    ///
    /// ```
    /// use bellwether::balance::Rule;
    /// let help: Vec<String> = Rule::descriptions().iter().map(ToString::to_string).collect();
    /// assert!(help.iter().any(|text| text.starts_with("spare  ")));
    /// ```
    #[must_use]
    pub fn descriptions() -> Vec<Description> {
        One::all().iter_mut().map(One::describe).collect()
    }
}

/// `demand`.
impl Default for Rule {
    fn default() -> Self {
        Self(vec![One::Demand(ByDemand)])
    }
}

impl FromStr for Rule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.split('+').map(|one| one.trim().parse()).collect::<Result<_, _>>().map(Self)
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text: Vec<_> = self.0.iter().map(ToString::to_string).collect();
        f.pad(&text.join("+"))
    }
}

impl fmt::Display for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}  {}", self.name, self.about)?;
        for (name, about, usual) in &self.parameters {
            let usual = usual.as_ref().map(|usual| format!(" [{usual}]")).unwrap_or_default();
            write!(f, "\n    {name}: {about}{usual}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_read_as_it_is_printed() {
        for text in [
            "demand",
            "fixed:4",
            "spare",
            "spare:min=6,max=12,start=9",
            "fpm-dynamic:min=5,max=35",
            "fpm-dynamic:start=0",
            "fpm-ondemand:30s",
            "delayed-off:1.5s",
            "unit:spare=5,idle=500ms",
            "uwsgi-busyness:overload=1,backlog-step=3",
            "demand+fixed:2",
        ] {
            assert_eq!(text.parse::<Rule>().unwrap().to_string(), text);
        }
        let check = |text: &str, same: &str| {
            assert_eq!(text.parse::<Rule>().unwrap().to_string(), same, "{text}");
        };
        check("spare:min=5,max=10,start=5", "spare");
        check(" demand + fixed: handlers = 2 ", "demand+fixed:2");
        check("fpm-ondemand:idle=1m", "fpm-ondemand:60s");
        assert_eq!(Rule::default().to_string(), "demand");
    }

    #[test]
    fn what_is_no_rule_is_refused_with_what_there_is() {
        let check = |text: &str, complaint: &str| {
            assert_eq!(text.parse::<Rule>().unwrap_err(), complaint, "{text}");
        };
        let all = "there are demand, fixed, spare, fpm-dynamic, fpm-ondemand, uwsgi-spare, \
                   uwsgi-spare2, uwsgi-backlog, uwsgi-busyness, unit, knative, delayed-off";
        check("", &format!("there is no rule ``; {all}"));
        check("apache", &format!("there is no rule `apache`; {all}"));
        check(
            "fpm-dinamic:min=2",
            &format!("there is no rule `fpm-dinamic` (did you mean `fpm-dynamic`?); {all}"),
        );
        check("demand+", &format!("there is no rule ``; {all}"));
        check(
            "spare:mn=2",
            "`spare:mn=2`: there is no parameter `mn` (did you mean `min`?); spare has min, max, \
             start",
        );
        check("spare:7", "`spare:7`: `7` is no NAME=VALUE; spare has min, max, start");
        check("spare:", "`spare:`: `` is no NAME=VALUE; spare has min, max, start");
        check("demand:p=1", "`demand:p=1`: there is no parameter `p`; demand has no parameters");
        let count = "a whole number from 1 to 1000000";
        check("spare:min=0", &format!("`spare:min=0`: min must be {count}"));
        check("spare:min=-1", &format!("`spare:min=-1`: min must be {count}"));
        check("spare:min=", &format!("`spare:min=`: min must be {count}"));
        check("fixed:many", &format!("`fixed:many`: handlers must be {count}"));
        check("fixed", "`fixed`: it needs the number of handlers, like fixed:4");
        check("fixed:4,5", "`fixed:4,5`: handlers is given twice");
        check("spare:min=2,min=3", "`spare:min=2,min=3`: min is given twice");
        check("fpm-dynamic:min=9", "`fpm-dynamic:min=9`: min=9 is more than max=3");
        check(
            "unit:idle=5",
            "`unit:idle=5`: idle must be a time from 1ms to 1440m, like 500ms, 10s or 2m",
        );
        check("knative:stable=11m", "`knative:stable=11m`: stable=660s is more than 600s");
    }

    #[test]
    fn each_rule_is_described_and_does_what_its_name_says() {
        let descriptions = Rule::descriptions();
        let names: Vec<_> = descriptions.iter().map(|description| description.name).collect();
        assert_eq!(names, Rule::NAMES);
        for Description { name, .. } in descriptions {
            let text = if name == "fixed" { "fixed:1" } else { name };
            let mut rule = text.parse::<Rule>().unwrap().build(Slo::default());
            let why = rule.decide(&super::super::Reading::default()).why;
            assert!(why.starts_with(&format!("{name}: ")), "{why}");
        }
    }

    #[test]
    fn a_description_has_what_is_usual_and_what_is_derived() {
        let text = Rule::descriptions().iter().map(ToString::to_string).collect::<Vec<_>>();
        let expected = "fpm-dynamic  Between MIN and MAX idle handlers, as php-fpm's pm = dynamic.
    min: the fewest idle handlers [1]
    max: the most idle handlers [3]
    start: handlers at the start, halfway unless set
    rate: the most to start at once [32]";
        assert_eq!(text[3], expected);
        assert!(text[1].ends_with("\n    handlers: how many, to be given"), "{}", text[1]);
    }
}
