//! The program `bellwether`: a server of handler processes that race for one kernel queue.

mod banner;
mod cli;
mod disk;
mod ending;
mod files;
mod log;
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
    })
}
