//! `bellwether run`: from a command line to a pool of the programs that it calls.

use std::time::Duration;

use bellwether::Error;
use clap::{Arg, Args};

use super::plan::Plan;
use super::rights::Rights;
use super::start::{PROGRAM, Start};
use crate::config::program::{KindOf, LogWay, PassWay, ReadyWay, StopSignal};
use crate::config::rules;
use crate::config::settings::PoolSettings;
use crate::config::written::Written;
use crate::ending::Ending;
use crate::serve::{Control, alone, sockets_are_passed};
use crate::words::shown;

/// Run any server program, unchanged, as a pool of handlers at one address.
///
/// Each handler is the program, started as it is; all of them wait at the same address, and one
/// wins each connection. They are replaced when they die, reloaded without a lost connection, and
/// as many as the load needs (`--handlers MIN..MAX`).
#[derive(Debug, Args)]
pub(crate) struct Run {
    #[command(flatten)]
    pool: PoolSettings,

    #[command(flatten)]
    program: Flags,

    /// Only to say why not.
    #[arg(long, hide = true, value_parser = no_tls)]
    tls: Option<String>,

    #[command(flatten)]
    control: Control,

    /// The program and its arguments, best behind `--`; our own options come first.
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        required = true,
        value_name = "CMD"
    )]
    command: Vec<String>,
}

/// How the program is run.
#[derive(Clone, Debug, Args)]
pub(crate) struct Flags {
    #[command(flatten)]
    start: Start,

    /// How the program is given the addresses: auto, listen-fds, fd:N, stdin, adopt or port
    /// [default: auto].
    ///
    /// auto: as the program is known to like it, else adopt, else port. listen-fds: as systemd
    /// does. fd:N: as descriptors from N on. stdin: as standard input (FastCGI). adopt: in the
    /// place of the socket that the program binds itself. port, the last resort: each program has
    /// a port of its own on 127.0.0.1, told by PORT and by {port} in CMD and --env, to which a
    /// relay carries connections.
    #[arg(long, value_name = "WAY", help_heading = PROGRAM)]
    pass: Option<Written<PassWay>>,

    /// By what the program is known to be ready: auto, notify, accept, http:/PATH, fd:N or after:TIME
    /// [default: auto].
    ///
    /// auto: by whatever is seen first. notify: it says so (sd_notify(3)). accept: it waits at an
    /// address. http:/PATH: it has answered that itself, with a status below 400. fd:N: it ends a line
    /// at descriptor N (as with s6).
    #[arg(long, value_name = "WAY", help_heading = PROGRAM)]
    ready: Option<Written<ReadyWay>>,

    /// For how long the program may be silent once it is ready [default: for ever].
    ///
    /// It is told so by WATCHDOG_USEC and says WATCHDOG=1 (sd_notify(3)) twice as often; else it is
    /// ended and replaced.
    #[arg(long, value_name = "TIME", help_heading = PROGRAM)]
    watchdog: Option<Written<Duration>>,

    /// How many connections the program serves at a time: auto, serial or concurrent [default: as
    /// it is known, else auto].
    ///
    /// By that it is judged whether it is busy: with a connection in hand, or by the processor
    /// time that it wants. auto: by watching it.
    #[arg(long, value_name = "KIND", help_heading = PROGRAM)]
    kind: Option<Written<KindOf>>,

    /// The signal by which the program finishes what it has and ends [default: as the program is
    /// known to like it, else TERM].
    #[arg(long, value_name = "SIGNAL", help_heading = PROGRAM)]
    stop_signal: Option<Written<StopSignal>>,

    /// What becomes of the program's output: plain or prefix [default: plain].
    ///
    /// plain: it goes where ours does, as it comes. prefix: so do its lines, each with its handler
    /// before it, as in `shop/3 | text`.
    #[arg(long, value_name = "WAY", help_heading = PROGRAM)]
    log: Option<Written<LogWay>>,

    #[command(flatten)]
    rights: Rights,
}

fn no_tls(_: &str) -> Result<String, String> {
    let way = "give the certificate to the program, in its own arguments behind `--`";
    Err(format!("a program speaks TLS itself, or not at all; {way}"))
}

/// Runs a program as the flags say until this process is told to stop.
pub(crate) fn run(order: &Run) -> Result<(), Ending> {
    order.control.start_log()?;
    let settings = order.program.settings(&order.command, &order.pool);
    order.check_command()?;
    rules::check(&settings)?;
    let plan = Plan::of(&settings)?;
    // What is said, or passed by a service manager, needs not be found out.
    let is_known = !settings.listen.is_empty() || sockets_are_passed();
    let addresses = if is_known { Vec::new() } else { plan.addresses()? };
    let ended = alone(order.control.config(settings, &addresses), order.control.way());
    ended.map_err(|ending| order.advise(ending))
}

/// An option as `run` has it: those that mean nothing for programs are refused, and not shown.
pub(crate) fn for_programs(option: Arg) -> Arg {
    match option.get_id().as_str() {
        "threads" | "connections" | "soft_deadline" | "hard_deadline" | "max_requests" | "shed"
        | "label_requests" => option.hide(true),
        "notification" => {
            let help = "Who wakes when a request arrives, with --pass port: all, some:K, one or \
                        turn [default: some:2]";
            option.help(help).long_help(help)
        }
        _ => option,
    }
}

impl Run {
    /// Adds what to try where the program has never become ready.
    fn advise(&self, ending: Ending) -> Ending {
        match ending {
            Ending::Failed(error @ Error::Boot { .. }) => {
                let command = shown(&self.command);
                let tries = format!("`bellwether doctor -- {command}` tries each way to run it");
                Ending::Advised(error, format!("what the program wrote is above; {tries}"))
            }
            other => other,
        }
    }

    /// An option that is not known would be taken for the program.
    fn check_command(&self) -> Result<(), Error> {
        let first = self.command.first().map(String::as_str).unwrap_or_default();
        let problem = "`run` has none of this name; `bellwether run --help` shows those that it has, \
                       and the program comes behind `--`";
        let is_option = first.starts_with('-').then(|| Error::Parse {
            what: "option",
            text: first.into(),
            problem: problem.into(),
        });
        is_option.map_or(Ok(()), Err)
    }
}

impl Flags {
    /// The settings that a file with the same settings would give.
    pub(crate) fn settings(&self, command: &[String], pool: &PoolSettings) -> PoolSettings {
        let Self { start, pass, ready, watchdog, kind, stop_signal, log, rights } = self.clone();
        let command = command.to_vec();
        let known =
            PoolSettings { command, pass, ready, watchdog, kind, stop_signal, log, ..pool.clone() };
        rights.entered(start.entered(known))
    }
}
