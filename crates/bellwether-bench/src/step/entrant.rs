//! Who serves, and with which settings.

use std::fmt;

use anyhow::Result;
use bellwether::Notification;
use clap::ValueEnum;

use crate::elastic_server::{self, Rule};
use crate::site::{Apache, Fpm, Manager, OurSite, Program, ProgramSite, Site, Spares};

/// As many processes as any elastic entrant may have.
const LIMIT: usize = 256;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Entrant {
    /// Ours, with its default rule and nothing set
    Demand,
    /// Ours, with the number of handlers that a seer would choose
    Fixed,
    /// `bellwether run` of php-cgi, with its default rule and nothing set
    RunPhpCgi,
    /// `bellwether run` of gunicorn (a worker of class sync in each handler), likewise
    RunGunicorn,
    /// Apache prefork as Debian ships it
    ApacheStock,
    /// Apache prefork with as many spares as the load will need
    ApacheTuned,
    /// php-fpm as Debian ships it
    FpmStock,
    /// php-fpm with the spares of Debian and room to grow
    FpmRoomy,
    /// php-fpm with as many spares as the load will need
    FpmTuned,
    /// php-fpm without spares
    FpmOndemand,
}

impl Entrant {
    pub(super) const ALL: [Self; 10] = [
        Self::Demand,
        Self::Fixed,
        Self::RunPhpCgi,
        Self::RunGunicorn,
        Self::ApacheStock,
        Self::ApacheTuned,
        Self::FpmStock,
        Self::FpmRoomy,
        Self::FpmTuned,
        Self::FpmOndemand,
    ];

    pub(super) fn is_ours(self) -> bool {
        matches!(self, Self::Demand | Self::Fixed | Self::RunPhpCgi | Self::RunGunicorn)
    }

    /// Why it cannot take part, if it cannot.
    pub(super) fn missing(self, install: bool) -> Option<String> {
        match self {
            Self::Demand | Self::Fixed => None,
            Self::RunPhpCgi => Program::PhpCgi.missing(install),
            Self::RunGunicorn => Program::Gunicorn.missing(install),
            Self::ApacheStock | Self::ApacheTuned => Apache::missing(install),
            Self::FpmStock | Self::FpmRoomy | Self::FpmTuned | Self::FpmOndemand => {
                Fpm::missing(install)
            }
        }
    }

    /// Starts the server; `needed` is the number of handlers that a seer would choose.
    pub(super) fn start(self, needed: usize) -> Result<Box<dyn Site>> {
        let tuned = Spares { start: needed, min: needed, max: 2 * needed, limit: LIMIT };
        Ok(match self {
            Self::Demand => Box::new(OurSite::start(&demand())?),
            Self::Fixed => Box::new(OurSite::fixed(needed)?),
            Self::RunPhpCgi => Box::new(ProgramSite::start(Program::PhpCgi, LIMIT)?),
            Self::RunGunicorn => Box::new(ProgramSite::start(Program::Gunicorn, LIMIT)?),
            Self::ApacheStock => Box::new(Apache::start(Apache::STOCK)?),
            Self::ApacheTuned => Box::new(Apache::start(tuned)?),
            Self::FpmStock => Box::new(Fpm::start(Manager::Dynamic(Fpm::STOCK))?),
            Self::FpmRoomy => {
                let roomy = Spares { limit: LIMIT, ..Fpm::STOCK };
                Box::new(Fpm::start(Manager::Dynamic(roomy))?)
            }
            Self::FpmTuned => Box::new(Fpm::start(Manager::Dynamic(tuned))?),
            Self::FpmOndemand => Box::new(Fpm::start(Manager::OnDemand { limit: LIMIT })?),
        })
    }
}

fn demand() -> elastic_server::Options {
    let (rule, notification) = (Rule::Demand, Notification::One);
    elastic_server::Options { rule, min: 1, max: LIMIT, notification }
}

impl fmt::Display for Entrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Demand => "bellwether demand",
            Self::Fixed => "bellwether fixed",
            Self::RunPhpCgi => "bellwether run, php-cgi",
            Self::RunGunicorn => "bellwether run, gunicorn",
            Self::ApacheStock => "Apache prefork, stock",
            Self::ApacheTuned => "Apache prefork, tuned",
            Self::FpmStock => "php-fpm dynamic, stock",
            Self::FpmRoomy => "php-fpm dynamic, stock, 256 allowed",
            Self::FpmTuned => "php-fpm dynamic, tuned",
            Self::FpmOndemand => "php-fpm ondemand",
        })
    }
}
