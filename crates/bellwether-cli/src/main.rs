//! The program `bellwether`: a server of handler processes that race for one kernel queue.

mod ask;
mod banner;
mod cli;
mod disk;
mod ending;
mod events;
mod files;
mod log;
mod out;
mod page;
mod serve;
mod status;
mod welcome;
mod words;

use std::process::ExitCode;

use cli::Command;

fn main() -> ExitCode {
    ending::of(|| match cli::read()? {
        Command::Serve(order) => serve::run(&order),
        Command::Status(question) => status::run(&question),
        Command::Ask(ask) => ask::run(&ask),
    })
}
