//! Suite `spawn`: what a handler costs to make, to replace and to keep.
//!
//! `replacement` kills the only handler again and again; `idle` looks at pools that do nothing;
//! `report` says what came out. Only our server is measured: the raw loop replaces nobody.

mod idle;
mod replacement;
mod report;

use std::time::Duration;

use anyhow::Result;
use clap::Args;

use self::idle::Idle;
use self::replacement::Replacement;
use crate::condition::Condition;
use crate::machine::Machine;
use crate::mode::Mode;

#[derive(Args)]
pub(crate) struct Options {
    /// How often a handler is killed in each way [default: 200; with --quick 10]
    #[arg(long)]
    kills: Option<usize>,
    /// Sizes of the idle pools
    #[arg(long, value_delimiter = ',', default_value = "1,8,64")]
    handlers: Vec<usize>,
    /// Seconds to watch each idle pool [default: 10; with --quick 1]
    #[arg(long)]
    seconds: Option<u64>,
    /// Notification mode
    #[arg(long, default_value = "some:2")]
    mode: Mode,
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
    fn kills(&self) -> usize {
        self.kills.unwrap_or(if self.quick { 10 } else { 200 })
    }

    fn watch(&self) -> Duration {
        Duration::from_secs(self.seconds.unwrap_or(if self.quick { 1 } else { 10 }))
    }
}

/// The only handler dies: once in the life of a server, or again and again.
struct Deaths {
    first: Replacement,
    each: Replacement,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let machine = Machine::look(options.condition);
    options.condition.apply()?;
    let deaths = Deaths {
        first: Replacement::of_first(options.mode, options.kills())?,
        each: Replacement::of_each(options.mode, options.kills())?,
    };
    let idle = |&handlers: &usize| Idle::measure(options.mode, handlers, options.watch());
    let idle: Vec<Idle> = options.handlers.iter().map(idle).collect::<Result<_>>()?;
    if options.json {
        println!("{}", report::json(&machine, &deaths, &idle));
    } else {
        print!("{}", report::markdown(&machine, &deaths, &idle));
    }
    Ok(())
}
