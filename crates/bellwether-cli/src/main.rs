//! The program `bellwether`: a server of handler processes that race for one kernel queue.

mod access_log;
mod around;
mod ask;
mod banner;
mod cli;
mod config;
mod demo;
mod dev;
mod doctor;
mod ending;
mod escape;
mod events;
mod files;
mod followed;
mod generate;
mod log;
mod observe;
mod output;
mod page;
mod refusal;
mod run;
mod serve;
mod simulate;
mod status;
mod top;
mod tune;
mod welcome;
mod why;
mod words;

use std::process::ExitCode;

use cli::Command;

fn main() -> ExitCode {
    ending::of(|| match cli::read()? {
        Command::Serve(order) => serve::serve(&order),
        Command::Run(order) => run::command::run(&order),
        Command::Demo(order) => demo::run(&order),
        Command::Dev(order) => dev::command::run(&order),
        Command::Doctor(order) => doctor::run(&order),
        Command::Start(order) => serve::start(&order),
        Command::Check(order) => config::check::run(&order),
        Command::Generate(order) => generate::run::<cli::Cli>(&order),
        Command::Status(question) => status::run(&question),
        Command::Observe(order) => observe::run(&order),
        Command::Top(order) => top::run(&order),
        Command::Ask(ask) => ask::run(&ask),
        Command::Simulate(order) => simulate::run(&order),
        Command::Tune(order) => tune::run(&order),
    })
}
