//! What may be typed, and the help about it.

pub(crate) mod ask;

use std::io::Write;

use clap::error::ErrorKind;
use clap::{Parser, Subcommand};

use crate::config::check::Check;
use crate::demo::Demo;
use crate::dev::command::Dev;
use crate::doctor::Doctor;
use crate::ending::Ending;
use crate::generate::Generate;
use crate::observe::Observe;
use crate::run::command::{Run, for_programs};
use crate::serve::{Serve, Start};
use crate::simulate::Simulate;
use crate::status;
use crate::top::Top;
use crate::tune::Tune;

/// The exit status of a wrong command line (EX_USAGE of sysexits.h).
const USAGE: u8 = 64;

const EXIT_STATUS: &str = "\
Exit status:
  0   done, or stopped as told
  3   stopped as told, but connections were cut
  64  the command line is wrong
  66  the configuration file is not there or cannot be read
  69  not available: the address or the name is taken, or no such server runs
  70  failed: no handler became ready, a change of a running server did not
      work, or the system refused something
  75  not done: a running server does something else now
  77  not allowed: a running server is another user's
  78  cannot be used: an option's value, a configuration file, a directory,
      a passed descriptor";

const EXAMPLES: &str = "\
Examples:
  bellwether demo                    see it work, in half a minute
  bellwether serve                   a welcome page on http://127.0.0.1:8080/
  bellwether serve public -l :8080   the files in `public`, on all interfaces
  bellwether run -l :8000 -- PROGRAM  any server program, as a pool
  bellwether dev -- PROGRAM          the same for who writes it: restarts on save
  bellwether start -c shop.toml      what a file says; `check` judges it
  bellwether status                  how it is, for people
  bellwether status --json           the same, for programs
  bellwether top                     the same, live
  bellwether observe                 the same in a browser, and for Prometheus
  bellwether reload                  new handlers in place of the old";

const SERVE_EXAMPLES: &str = "\
Examples:
  bellwether serve
  bellwether serve public --listen :8080 --handlers 8
  bellwether serve public -l '[::1]:80?backlog=512' -l unix:/run/web.sock
  bellwether serve public -l :443 --tls shop.pem shop.key
  bellwether serve --notification all --name demo
  BELLWETHER_LOG=debug bellwether serve public

Environment:
  BELLWETHER_LOG          what to log: off, error, warn, info, debug or trace
  BELLWETHER_LOG_FORMAT   as --log-format, where that is not given
  BELLWETHER_RUNTIME_DIR  where locks and control sockets are kept (default:
                          /run/bellwether, $XDG_RUNTIME_DIR/bellwether or
                          /tmp/bellwether-UID, the first that applies)
  LISTEN_FDS, LISTEN_PID  sockets passed by systemd, used without --listen
  NO_COLOR                no colours in the log, even on a terminal";

const RUN_EXAMPLES: &str = "\
Examples:
  bellwether run -- python3 -m http.server 8000
  bellwether run -l :8000 --handlers 1..16 -- gunicorn shop:app
  bellwether run -l unix:/run/php.sock --handlers auto -- php-cgi
  bellwether run -l :3000 --handlers 4 -e NODE_ENV=production -- npm start";

const DEMO_EXAMPLES: &str = "\
Examples:
  bellwether demo
  bellwether demo --time 5m --listen 127.0.0.1:8080
  bellwether demo --plain | tee demo.log";

const DEV_EXAMPLES: &str = "\
Examples:
  bellwether dev -- python3 app.py
  bellwether dev -l :8000 -w src -w config.toml -- uvicorn shop:app
  bellwether dev --ignore 'uploads/' --ignore '!.env' -- node app.js";

const DOCTOR_EXAMPLES: &str = "\
Examples:
  bellwether doctor -- uvicorn shop:app
  bellwether doctor -l :3000 -- npm start
  bellwether doctor --json -- php-cgi";

const START_EXAMPLES: &str = "\
Examples:
  bellwether generate config > bellwether.toml
  bellwether start
  bellwether start -c /etc/bellwether/shop.toml";

const CHECK_EXAMPLES: &str = "\
Examples:
  bellwether check
  bellwether check -c shop.toml
  bellwether check --json";

const GENERATE_EXAMPLES: &str = "\
Examples:
  bellwether generate config > bellwether.toml
  bellwether generate schema > bellwether.schema.json
  bellwether generate man -o /usr/local/share/man/man1
  bellwether generate completions bash > /etc/bash_completion.d/bellwether
  bellwether generate systemd -c /etc/bellwether/shop.toml > shop.service
  bellwether generate systemd --socket -o units";

const STATUS_EXAMPLES: &str = "\
Examples:
  bellwether status
  bellwether status web --name shop   one of its pools
  bellwether status --watch           again every two seconds
  bellwether status --json";

const TOP_EXAMPLES: &str = "\
Examples:
  bellwether top
  bellwether top --name shop --interval 500ms
  bellwether top --plain | tee top.log

Keys:
  Tab      the next pool               s        sort the handlers
  Up Down  other handlers              f        all of them, the busy, the others
  + - a    scale: one more, one less, as configured
  r        reload                      d        drain
  q        leave
What changes the server is asked first: the same key again does it.";

const OBSERVE_EXAMPLES: &str = "\
Examples:
  bellwether observe                        a dashboard on http://127.0.0.1:9180/
  bellwether observe --name shop -l unix:/run/shop-observer.sock
  curl -s http://127.0.0.1:9180/metrics     what Prometheus reads
  curl -f http://127.0.0.1:9180/ready       for probes; /ready?announcing=ready";

const SIMULATE_EXAMPLES: &str = "\
Examples:
  bellwether simulate step --balance demand,spare,knative --plot step.svg
  bellwether simulate mmpp flash sparse --regime cold
  bellwether simulate access.csv.gz --period 1m --service 80ms --spawn 30ms
  bellwether simulate - --json < times.csv";

const TUNE_EXAMPLES: &str = "\
Examples:
  bellwether tune access.csv.gz --service 80ms --spawn 30ms --slo '99%<50ms'
  bellwether tune flash --regime cold --memory 40MiB
  bellwether tune requests.csv --json";

/// Serves from processes that race for one kernel queue.
///
/// A pre-fork server for Linux: one address, one kernel queue, as many handler processes as the
/// load needs. A request wakes idle handlers, one of them wins it, the others go on waiting;
/// nobody dispatches.
#[derive(Debug, Parser)]
#[command(name = "bellwether", version, max_term_width = 80, after_help = format!("{EXAMPLES}\n\n{EXIT_STATUS}"))]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    #[command(after_help = format!("{SERVE_EXAMPLES}\n\n{EXIT_STATUS}"))]
    Serve(Box<Serve>),
    #[command(after_help = format!("{RUN_EXAMPLES}\n\n{EXIT_STATUS}"), mut_args = for_programs)]
    Run(Box<Run>),
    #[command(after_help = format!("{DEMO_EXAMPLES}\n\n{EXIT_STATUS}"))]
    Demo(Demo),
    #[command(after_help = format!("{DEV_EXAMPLES}\n\n{EXIT_STATUS}"))]
    Dev(Box<Dev>),
    #[command(after_help = format!("{DOCTOR_EXAMPLES}\n\n{EXIT_STATUS}"))]
    Doctor(Box<Doctor>),
    #[command(after_help = format!("{START_EXAMPLES}\n\n{EXIT_STATUS}"))]
    Start(Start),
    #[command(after_help = format!("{CHECK_EXAMPLES}\n\n{EXIT_STATUS}"))]
    Check(Check),
    #[command(after_help = format!("{GENERATE_EXAMPLES}\n\n{EXIT_STATUS}"))]
    Generate(Generate),
    #[command(after_help = format!("{STATUS_EXAMPLES}\n\n{EXIT_STATUS}"))]
    Status(status::Question),
    #[command(after_help = format!("{TOP_EXAMPLES}\n\n{EXIT_STATUS}"))]
    Top(Top),
    #[command(after_help = format!("{OBSERVE_EXAMPLES}\n\n{EXIT_STATUS}"))]
    Observe(Observe),
    #[command(flatten)]
    Ask(ask::Ask),
    #[command(after_help = format!("{SIMULATE_EXAMPLES}\n\n{EXIT_STATUS}"))]
    Simulate(Box<Simulate>),
    #[command(after_help = format!("{TUNE_EXAMPLES}\n\n{EXIT_STATUS}"))]
    Tune(Box<Tune>),
}

/// Reads the command line; help and complaints are printed here.
pub(crate) fn read() -> Result<Command, Ending> {
    Cli::try_parse().map(|cli| cli.command).map_err(|answer| {
        // Whoever closed our output does not want the answer.
        let _ = answer.print();
        let _ = std::io::stdout().flush();
        Ending::Said(if asked_for(answer.kind()) { 0 } else { USAGE })
    })
}

fn asked_for(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::DisplayHelp | ErrorKind::DisplayVersion)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
