//! What may be typed, and the help about it.

pub(crate) mod ask;

use std::io::Write;
use std::path::PathBuf;
use std::str::FromStr;

use bellwether::{Address, Error, Notification};
use clap::error::ErrorKind;
use clap::{Args, Parser, Subcommand};

use crate::ending::Ending;

/// The exit status of a wrong command line (EX_USAGE of sysexits.h).
const USAGE: u8 = 64;

/// The longest grace that can be given: a day.
const DAY: u64 = 24 * 60 * 60;

const EXIT_STATUS: &str = "\
Exit status:
  0   done, or stopped as told
  64  the command line is wrong
  69  not available: the address or the name is taken, or no such server runs
  70  failed: no handler became ready, or the system refused something
  75  not done: a running server does something else now
  77  not allowed: a running server is another user's
  78  cannot be used: an option's value, a directory, a passed descriptor";

const EXAMPLES: &str = "\
Examples:
  bellwether serve                   a welcome page on http://127.0.0.1:8080/
  bellwether serve public -l :8080   the files in `public`, on all interfaces
  bellwether status                  how it is, for people
  bellwether status --json           the same, for programs
  bellwether reload                  new handlers in place of the old";

const SERVE_EXAMPLES: &str = "\
Examples:
  bellwether serve
  bellwether serve public --listen :8080 --handlers 8
  bellwether serve public -l '[::1]:80?backlog=512' -l unix:/run/web.sock
  bellwether serve --notification all --name demo
  BELLWETHER_LOG=debug bellwether serve public

Environment:
  BELLWETHER_LOG          what to log: off, error, warn, info, debug or trace
  BELLWETHER_RUNTIME_DIR  where locks and control sockets are kept (default:
                          /run/bellwether, $XDG_RUNTIME_DIR/bellwether or
                          /tmp/bellwether-UID, the first that applies)
  LISTEN_FDS, LISTEN_PID  sockets passed by systemd, used without --listen
  NO_COLOR                no colours in the log, even on a terminal";

const STATUS_EXAMPLES: &str = "\
Examples:
  bellwether status
  bellwether status --name demo
  bellwether status --json";

/// Serves from processes that race for one kernel queue.
///
/// A pre-fork server for Linux: one address, one kernel queue, as many handler processes as the
/// load needs. A request wakes idle handlers, one of them wins it, the others go on waiting;
/// nobody dispatches.
#[derive(Debug, Parser)]
#[command(name = "bellwether", version, max_term_width = 80, after_help = format!("{EXAMPLES}\n\n{EXIT_STATUS}"))]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    #[command(after_help = format!("{SERVE_EXAMPLES}\n\n{EXIT_STATUS}"))]
    Serve(Serve),
    #[command(after_help = format!("{STATUS_EXAMPLES}\n\n{EXIT_STATUS}"))]
    Status(Status),
    #[command(flatten)]
    Ask(ask::Ask),
}

/// Serve the files of a directory, or a welcome page, over HTTP.
///
/// HTTP/1.1 and HTTP/2 (with prior knowledge), with ranges and conditional requests. Beside
/// `page.html` a variant `page.html.br`, `.gz` or `.zst` is sent to clients that accept it. A
/// folder is answered with its `index.html`. Symbolic links are followed, wherever they lead.
///
/// SIGTERM and Ctrl-C let running requests finish, a second one ends them at once.
#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// The directory to serve; without one a welcome page shows who answers.
    pub(crate) dir: Option<PathBuf>,

    /// Where to listen, repeatable [default: the sockets passed by systemd, or 127.0.0.1:8080].
    ///
    /// HOST:PORT, :PORT (all interfaces), unix:/PATH, unix:@NAME, fd:N or systemd:NAME. Options
    /// follow as in 127.0.0.1:8080?backlog=512&nodelay=off: backlog=N, nodelay=on|off,
    /// defer_accept=on|off|SECONDS, v6only=on|off, mode=OCTAL (of a socket file).
    #[arg(short, long, value_name = "ADDRESS", value_parser = read_as::<Address>)]
    pub(crate) listen: Vec<Address>,

    /// How many handler processes [default: one a processor, at least 2].
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) handlers: Option<usize>,

    /// How many threads in each handler.
    #[arg(long, value_name = "N", default_value_t = 1, allow_negative_numbers = true)]
    pub(crate) threads: usize,

    /// Who wakes when a request arrives: all, some:K, one or turn.
    ///
    /// all: every idle handler. some:K: at most K of them. one: one, the lowest idle slot first.
    /// turn: one, each in turn. Whoever wakes races for the request; one wins it.
    #[arg(long, value_name = "MODE", default_value_t, value_parser = read_as::<Notification>)]
    pub(crate) notification: Notification,

    /// The server's name for `bellwether status` [default: from the first address].
    #[arg(long)]
    pub(crate) name: Option<String>,

    /// How long running requests may take to finish after a stop, up to a day.
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    #[arg(value_parser = clap::value_parser!(u64).range(..=DAY))]
    pub(crate) stop_grace: u64,
}

/// Show how a running server is: its buffers, its handlers, who won how often.
#[derive(Debug, Args)]
pub(crate) struct Status {
    /// Print JSON with stable keys.
    #[arg(long)]
    pub(crate) json: bool,

    /// Which server; not needed where only one runs.
    #[arg(long)]
    pub(crate) name: Option<String>,
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

/// Reads a value; of the library's complaint only what clap does not say itself is kept.
fn read_as<T: FromStr<Err = Error>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error| match error {
        Error::Parse { problem, .. } => problem,
        other => other.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn all_of_serve_can_be_said() {
        let typed = "bellwether serve public --listen :1 --listen unix:/x --handlers 3 --threads 2 \
                     --notification some:4 --name shop --stop-grace 5";
        let cli = Cli::try_parse_from(typed.split_whitespace()).unwrap();
        let Command::Serve(serve) = cli.command else { panic!("{cli:?}") };
        assert_eq!(serve.dir, Some("public".into()));
        assert_eq!(serve.listen.len(), 2);
        assert_eq!((serve.handlers, serve.threads, serve.stop_grace), (Some(3), 2, 5));
        assert_eq!(serve.notification, Notification::Some(4));
        assert_eq!(serve.name.as_deref(), Some("shop"));
    }
}
