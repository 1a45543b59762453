//! bellwether, as the hidden `elastic-server`.

use anyhow::Result;
use clap::ValueEnum as _;

use super::Site;
use crate::elastic_server::{Options, Rule};
use crate::journal::{Entries, Journal};
use crate::open_loop::{Target, Wire};
use crate::pool::{OurPool, Pool as _};

pub(crate) struct OurSite {
    target: Target,
    journal: Journal,
    pub(crate) pool: OurPool,
}

impl OurSite {
    pub(crate) fn start(options: &Options) -> Result<Self> {
        let rule =
            options.rule.to_possible_value().map_or_else(String::new, |it| it.get_name().into());
        let notification = options.notification.to_string();
        let (min, max) = (options.min.to_string(), options.max.to_string());
        let arguments = [
            "elastic-server",
            "--rule",
            &rule,
            "--min",
            &min,
            "--max",
            &max,
            "--notification",
            &notification,
        ];
        let pool = OurPool::launch(&arguments, options.min)?;
        let target = Target { address: pool.address(), wire: Wire::Http };
        Ok(Self { target, journal: Journal::follow(&pool.control())?, pool })
    }

    /// A pool that nobody changes.
    pub(crate) fn fixed(handlers: usize) -> Result<Self> {
        let notification = bellwether::Notification::One;
        Self::start(&Options { rule: Rule::Fixed, min: handlers, max: handlers, notification })
    }
}

impl Site for OurSite {
    fn target(&self) -> &Target {
        &self.target
    }

    fn root(&self) -> u32 {
        self.pool.spawner()
    }

    /// The template.
    fn others(&self) -> usize {
        1
    }

    fn finish(self: Box<Self>) -> Result<Option<Entries>> {
        let Self { journal, pool, .. } = *self;
        drop(pool);
        journal.finish().map(Some)
    }
}
