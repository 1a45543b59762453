//! Measures bellwether beside raw loops that make the same system calls without it, and beside
//! classic servers under load that changes.
//!
//! A suite (`accept`, `spawn`, `step`, …) starts servers as child processes, drives them from this
//! process, and prints Markdown tables (or JSON). Our servers are this same executable under hidden
//! names.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "tables on standard output and progress on standard error are what it is for"
)]

mod accept;
mod arrivals;
mod census;
mod condition;
mod cycles;
mod document;
mod elastic_server;
mod executable;
mod figure;
mod hello;
mod http;
mod journal;
mod leash;
mod load;
mod machine;
mod mode;
mod neighbours;
mod observe;
mod open_loop;
mod our_server;
mod overload;
mod pool;
mod predict;
mod process;
mod program;
mod python;
mod quiet;
mod raw_loop;
mod scaling;
mod site;
mod slow;
mod spawn;
mod step;
mod table;
mod traced;
mod turns;
mod wrk;

use anyhow::Result;
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(about = "Measures bellwether beside raw loops and classic servers")]
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
    /// What a program costs more under `bellwether run`: the same alone, and in a pool of one
    Program(program::Options),
    /// The same small reply, and files, over HTTP: bellwether beside nginx, haproxy, lighttpd, h2o,
    /// hyper and axum
    Http(http::Options),
    /// What a client notices of a thousand others who take their time
    Slow(slow::Options),
    /// What it costs to be watched by an observer
    Observe(observe::Options),
    /// Ten times the load from one moment to the next: bellwether beside Apache and php-fpm,
    /// and programs of others under `bellwether run`
    Step(step::Options),
    /// A quarter more work than the processors can do: what is still answered in time
    Overload(overload::Options),
    /// Up and down again and again: nothing may be lost
    Cycles(cycles::Options),
    /// What the spawner of an elastic pool takes when idle and when requests rain
    Quiet(quiet::Options),
    /// The same arrivals through the server and through the simulator
    Predict(predict::Options),
    /// `demand` beside the rules of others, in the simulator: the tables of docs/scaling.md
    Scaling(scaling::Options),
    #[command(hide = true)]
    HttpServer(http::ServerOptions),
    #[command(hide = true)]
    ElasticServer(elastic_server::Options),
    #[command(hide = true)]
    Leashed(leash::Options),
    #[command(hide = true)]
    RawLoop(raw_loop::Options),
    #[command(hide = true)]
    OurServer(our_server::Options),
}

fn main() -> Result<()> {
    match Arguments::parse().suite {
        Suite::Accept(options) => accept::run(&options),
        Suite::Spawn(options) => spawn::run(&options),
        Suite::Program(options) => program::run(&options),
        Suite::Http(options) => http::run(&options),
        Suite::Slow(options) => slow::run(&options),
        Suite::Observe(options) => observe::run(&options),
        Suite::Step(options) => step::run(&options),
        Suite::Overload(options) => overload::run(&options),
        Suite::Cycles(options) => cycles::run(&options),
        Suite::Quiet(options) => quiet::run(&options),
        Suite::Predict(options) => predict::run(&options),
        Suite::Scaling(options) => scaling::run(&options),
        Suite::HttpServer(options) => http::serve(&options),
        Suite::ElasticServer(options) => elastic_server::run(&options),
        Suite::Leashed(options) => leash::run(&options),
        Suite::RawLoop(options) => raw_loop::run(&options),
        Suite::OurServer(options) => our_server::run(&options),
    }
}
