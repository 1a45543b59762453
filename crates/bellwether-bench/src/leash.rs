//! Becomes a program that ends with the one that started it: no rival outlives a killed bench.

use std::os::unix::process::CommandExt as _;
use std::process::Command;

use anyhow::{Context as _, Result};
use clap::Args;
use rustix::process::{Signal, set_parent_process_death_signal};

#[derive(Args)]
pub(crate) struct Options {
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<String>,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    // The kernel keeps it over an exec.
    set_parent_process_death_signal(Some(Signal::TERM))?;
    let program = &options.command[0];
    let failed = Command::new(program).args(&options.command[1..]).exec();
    Err(failed).with_context(|| format!("cannot run {program}"))
}
