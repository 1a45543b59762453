//! Measures bellwether beside raw loops that make the same system calls without it.
//!
//! A suite (`accept`, `spawn`) starts servers as child processes, drives them from this process,
//! and prints Markdown tables (or JSON). The servers are this same executable under hidden names.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "tables on standard output and progress on standard error are what it is for"
)]

mod accept;
mod condition;
mod figure;
mod load;
mod machine;
mod mode;
mod our_server;
mod pool;
mod process;
mod raw_loop;
mod spawn;
mod table;

use anyhow::Result;
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(about = "Measures bellwether beside raw loops that make the same system calls")]
struct Arguments {
    #[command(subcommand)]
    suite: Suite,
}

#[derive(Subcommand)]
enum Suite {
    /// Accept and answer with 100 bytes: bellwether beside a raw loop of the same mode
    Accept(accept::Options),
    /// What a handler costs: replacing a killed one, its memory, the idle spawner
    Spawn(spawn::Options),
    #[command(hide = true)]
    RawLoop(raw_loop::Options),
    #[command(hide = true)]
    OurServer(our_server::Options),
}

fn main() -> Result<()> {
    match Arguments::parse().suite {
        Suite::Accept(options) => accept::run(&options),
        Suite::Spawn(options) => spawn::run(&options),
        Suite::RawLoop(options) => raw_loop::run(&options),
        Suite::OurServer(options) => our_server::run(&options),
    }
}
