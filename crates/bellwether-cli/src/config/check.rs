//! `bellwether check`: what is wrong with a configuration file, all of it, without starting.

use clap::Args;

use super::Config;
use super::file::{File, Outcome, WRONG};
use super::report;
use crate::ending::Ending;
use crate::output;
use crate::words::counted;

/// Check a configuration file and tell everything that is wrong with it.
///
/// Nothing is opened or changed. Addresses that are taken by others are found by `start` alone.
#[derive(Debug, Args)]
pub(crate) struct Check {
    #[command(flatten)]
    file: File,

    /// Print JSON with stable keys.
    #[arg(long)]
    json: bool,
}

/// Checks a file.
pub(crate) fn run(order: &Check) -> Result<(), Ending> {
    let outcome = order.file.read()?;
    let fine = outcome.findings.is_empty();
    let printed = match &outcome.config {
        _ if order.json => output::print(&format!("{:#}\n", report::to_programs(&outcome))),
        Some(config) if fine => output::print(&praise(config, &outcome)),
        _ => {
            report::to_people(&outcome);
            Ok(())
        }
    };
    if fine { printed } else { Err(Ending::Said(WRONG)) }
}

fn praise(config: &Config, outcome: &Outcome) -> String {
    let names: Vec<_> = config.pool.keys().map(|name| name.0.0.as_str()).collect();
    let places = config.pool.values().map(|pool| pool.listen.len() as u64).sum();
    let (pools, places) = (counted(names.len() as u64, "pool"), counted(places, "place"));
    let path = outcome.path.display();
    format!("{path} is fine: {pools} ({}), listening at {places}\n", names.join(", "))
}
