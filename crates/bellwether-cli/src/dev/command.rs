//! What may be typed behind `bellwether dev`.

use std::path::PathBuf;
use std::time::Duration;

use bellwether::{Address, Result};
use clap::{Args, value_parser};

use super::{act, inside};
use crate::config::settings::PoolSettings;
use crate::config::written::{Handlers, Name, Written};
use crate::ending::Ending;
use crate::run::command::Flags;
use crate::run::plan::Plan;
use crate::serve::{CONTROL, sockets_are_passed};

/// Run a server program while it is written: a saved file restarts it, and nobody is refused.
///
/// The address stays open, whatever becomes of the program. When a file has changed, the program
/// finishes what it has and ends, then it starts anew; requests wait meanwhile and are answered by
/// the new code. If that does not start, they wait on, until the next change.
///
/// Watched is the folder in which the program runs, without what .gitignore leaves out, hidden
/// files, node_modules, target, __pycache__, venv, logs, databases, and what editors leave behind.
#[derive(Debug, Args)]
pub(crate) struct Dev {
    /// Where to listen, repeatable [default: where the program itself would].
    ///
    /// HOST:PORT, :PORT (all interfaces), unix:/PATH, unix:@NAME, fd:N or systemd:NAME.
    #[arg(short, long, value_name = "ADDRESS")]
    listen: Vec<Written<Address>>,

    /// How many handler processes, 1 or 2.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = value_parser!(u8).range(1..=2))]
    handlers: u8,

    /// What to watch, a file or a folder, repeatable [default: the folder in which the program
    /// runs].
    #[arg(short, long, value_name = "PATH", help_heading = WATCHING)]
    pub(super) watch: Vec<PathBuf>,

    /// What not to watch, repeatable, written as in .gitignore; with `!` in front, what to watch
    /// all the same.
    #[arg(long, value_name = "PATTERN", help_heading = WATCHING)]
    pub(super) ignore: Vec<String>,

    /// How long running requests may take to finish before a restart.
    #[arg(long, value_name = "TIME", default_value = "2s", help_heading = TIMES)]
    stop_grace: Written<Duration>,

    /// From SIGTERM to SIGKILL for a program that does not end.
    #[arg(long, value_name = "TIME", default_value = "1s", help_heading = TIMES)]
    kill_after: Written<Duration>,

    /// From the start of the program until it must be ready.
    #[arg(long, value_name = "TIME", default_value = "60s", help_heading = TIMES)]
    boot_timeout: Written<Duration>,

    #[command(flatten)]
    program: Flags,

    /// The server's name for `bellwether status` [default: from the first address].
    #[arg(long, help_heading = CONTROL)]
    pub(super) name: Option<Written<Name>>,

    /// The program and its arguments, best behind `--`; our own options come first.
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        required = true,
        value_name = "CMD"
    )]
    command: Vec<String>,
}

const WATCHING: &str = "Watching";
const TIMES: &str = "Times (30s, 500ms, 1h; a number alone counts seconds)";

/// How many crashes a minute cost no pause: what crashes again and again is not to fill the screen.
const CRASH_BUDGET: u32 = 60;

/// Runs a program, and runs it anew whenever a file has changed, until this process is told to stop.
pub(crate) fn run(order: &Dev) -> Result<(), Ending> {
    match std::env::var(inside::VARIABLE) {
        Ok(parent) => inside::run(order, &parent),
        Err(_) => act::run(order),
    }
}

impl Dev {
    /// The settings of a pool that runs the program.
    pub(super) fn settings(&self) -> PoolSettings {
        let number = self.handlers.into();
        let pool = PoolSettings {
            handlers: Some(Written(Handlers { min: number, max: number })),
            stop_grace: Some(self.stop_grace),
            kill_after: Some(self.kill_after),
            boot_timeout: Some(self.boot_timeout),
            // Whose server was killed is not to be served on by.
            orphan_grace: Some(Written(Duration::ZERO)),
            crash_budget: Some(Written(CRASH_BUDGET)),
            ..PoolSettings::default()
        };
        self.program.settings(&self.command, &pool)
    }

    /// Where it listens: what was typed or passed, else where the program itself would.
    ///
    /// To see that, the program may have to be started.
    pub(super) fn addresses(&self, plan: &Plan) -> Result<Vec<Address>> {
        if !self.listen.is_empty() {
            return Ok(self.listen.iter().map(|it| it.0.clone()).collect());
        }
        let own = if sockets_are_passed() { vec!["systemd:".into()] } else { plan.addresses()? };
        own.iter().map(|text| text.parse()).collect()
    }
}
