//! What can be asked of a running server, and told to it.

use bellwether::Scale;
use clap::{Args, Subcommand};

use crate::config::written::read_as;
use crate::why::Subject;

const EXIT_STATUS: &str = "\
Exit status:
  0   done
  64  the command line is wrong
  69  not available: no such server runs, or it does not answer
  70  failed: what was there before goes on, or the server has ended
  75  not done: the server does something else now; try again later
  77  not allowed: the server is another user's";

/// The exit statuses of what may cut requests.
fn exit_status_of_leaving() -> String {
    EXIT_STATUS.replace("  64", "  3   done, but connections were cut\n  64")
}

const SCALE: &str = "\
Examples:
  bellwether scale 8                 eight handlers
  bellwether scale 2..8              at least two, at most eight
  bellwether scale auto              as the server was configured
  bellwether scale web 8 --name shop";

const RELOAD: &str = "\
Examples:
  bellwether reload
  bellwether reload --name shop --json";

const UPGRADE: &str = "\
Examples:
  cargo install bellwether-cli && bellwether upgrade
  bellwether upgrade --name shop";

const DRAIN: &str = "\
Examples:
  bellwether drain                   all pools
  bellwether drain web --name shop   one of them";

const STOP: &str = "\
Examples:
  bellwether stop
  bellwether stop --now";

const EVENTS: &str = "\
Examples:
  bellwether events
  bellwether events -f
  bellwether events -f --json | grep '\"kind\":\"exit\"'";

const WHY: &str = "\
Examples:
  bellwether why
  bellwether why web                 one pool
  bellwether why 3                   what the handler in slot 3 does now
  bellwether why web/3 --json";

/// What to ask or to tell.
#[derive(Debug, Subcommand)]
pub(crate) enum Ask {
    #[command(after_help = format!("{SCALE}\n\n{EXIT_STATUS}"))]
    Scale(ScaleOrder),
    /// Replace all handlers by new ones, one after the other.
    ///
    /// The new ones are started beside the old, which leave when enough of the new are ready. If
    /// those do not become ready, or die soon, the old ones stay and nothing has changed.
    ///
    /// A server made by `start` reads its configuration file anew; one made by `serve` keeps its
    /// flags. The server's name cannot change. What `scale` said holds until `scale auto`, over
    /// reloads too.
    #[command(after_help = format!("{RELOAD}\n\n{EXIT_STATUS}"))]
    Reload(Target),
    /// Replace the program that runs by the one installed now.
    ///
    /// The new program first shows that it can take over. If it cannot, nothing has changed.
    /// Sockets, process number and counts stay; all handlers are replaced as by `reload`, and a
    /// server made by `start` reads its configuration file anew, too.
    #[command(after_help = format!("{UPGRADE}\n\n{EXIT_STATUS}"))]
    Upgrade(Target),
    #[command(after_help = format!("{DRAIN}\n\n{}", exit_status_of_leaving()))]
    Drain(DrainOrder),
    #[command(after_help = format!("{STOP}\n\n{}", exit_status_of_leaving()))]
    Stop(StopOrder),
    #[command(after_help = format!("{EVENTS}\n\n{EXIT_STATUS}"))]
    Events(EventsQuestion),
    #[command(after_help = format!("{WHY}\n\n{EXIT_STATUS}"))]
    Why(WhyQuestion),
}

impl Ask {
    /// Which server is asked or told.
    pub(crate) const fn target(&self) -> &Target {
        match self {
            Self::Scale(order) => &order.target,
            Self::Drain(order) => &order.target,
            Self::Stop(order) => &order.target,
            Self::Events(question) => &question.target,
            Self::Why(question) => &question.target,
            Self::Reload(target) | Self::Upgrade(target) => target,
        }
    }
}

/// Which server, and how its answer is printed.
#[derive(Debug, Args)]
pub(crate) struct Target {
    /// Print JSON with stable keys, a line each.
    ///
    /// What is not done is {"result":"refused","reason":"…"}, failed, denied, or error where no
    /// server has answered.
    #[arg(long)]
    pub(crate) json: bool,

    /// Which server; not needed where only one runs.
    #[arg(long)]
    pub(crate) name: Option<String>,
}

/// Change how many handlers a pool has.
///
/// Done when that many are ready; those that are too many finish their requests.
#[derive(Debug, Args)]
#[command(allow_missing_positional = true)]
pub(crate) struct ScaleOrder {
    /// Which pool; not needed where there is one.
    #[arg(allow_negative_numbers = true)]
    pub(crate) pool: Option<String>,

    /// How many: N, MIN..MAX, or auto for what the server was configured to have.
    #[arg(value_name = "N|MIN..MAX|auto", value_parser = read_as::<Scale>)]
    #[arg(allow_negative_numbers = true)]
    pub(crate) handlers: Scale,

    #[command(flatten)]
    pub(crate) target: Target,
}

/// Let pools finish what they have and take nothing new; the server stays.
///
/// A drained pool does not come back by `scale` or `reload` (where its file is read anew it stays
/// drained, too), only with a restart of the server.
#[derive(Debug, Args)]
pub(crate) struct DrainOrder {
    /// Which pool [default: all].
    pub(crate) pool: Option<String>,

    #[command(flatten)]
    pub(crate) target: Target,
}

/// End a server when its requests are finished.
#[derive(Debug, Args)]
pub(crate) struct StopOrder {
    /// Cut the requests that are not finished.
    #[arg(long)]
    pub(crate) now: bool,

    #[command(flatten)]
    pub(crate) target: Target,
}

/// Show what happened: every handler's start and end, every change and refusal, and why.
#[derive(Debug, Args)]
pub(crate) struct EventsQuestion {
    /// Go on with what happens from now on, until the server stops.
    ///
    /// When it is gone without having been told to stop, the exit status is 69.
    #[arg(short, long)]
    pub(crate) follow: bool,

    #[command(flatten)]
    pub(crate) target: Target,
}

/// Show why there are as many handlers as there are, or what one of them does, and what happened last.
///
/// Of pools the last decision, with the numbers that went into it; of a slot what its handler says
/// of its oldest request, and what the kernel tells of its threads: in which system call, where they
/// sleep, what they have used (to its user and to root). Then the last 20 of the things that `events`
/// shows; in JSON all that are kept.
#[derive(Debug, Args)]
pub(crate) struct WhyQuestion {
    /// A pool, a slot by its number, or the slot of a pool [default: all pools].
    #[arg(value_name = "POOL|SLOT|POOL/SLOT")]
    pub(crate) subject: Option<Subject>,

    #[command(flatten)]
    pub(crate) target: Target,
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(subcommand)]
        ask: Ask,
    }

    fn parse(typed: &str) -> Result<Ask, clap::Error> {
        let words = ["bellwether"].into_iter().chain(typed.split_whitespace());
        Line::try_parse_from(words).map(|line| line.ask)
    }

    #[test]
    fn a_pool_may_be_named_before_its_number() {
        let check = |typed: &str, pool: Option<&str>, handlers: Scale| {
            let Ok(Ask::Scale(order)) = parse(typed) else { panic!("{typed}") };
            assert_eq!((order.pool.as_deref(), order.handlers), (pool, handlers), "{typed}");
        };
        check("scale 4", None, Scale::Between(4, 4));
        check("scale 2..8 --name shop", None, Scale::Between(2, 8));
        check("scale --json web auto", Some("web"), Scale::Auto);
    }

    #[test]
    fn a_number_that_cannot_be_is_refused_with_what_to_write() {
        for typed in ["scale 0", "scale -1", "scale 8..2", "scale web", "scale 1 2..x"] {
            let error = parse(typed).unwrap_err().to_string();
            assert!(error.contains("write N, MIN..MAX"), "{typed}: {error}");
        }
        assert!(parse("scale").is_err());
    }

    #[test]
    fn the_rest_can_be_said() {
        let stop = parse("stop --now --name shop");
        let Ok(Ask::Stop(StopOrder { now: true, target })) = stop else { panic!("{stop:?}") };
        assert_eq!((target.name.as_deref(), target.json), (Some("shop"), false));
        let drain = parse("drain web");
        assert!(matches!(&drain, Ok(Ask::Drain(it)) if it.pool.as_deref() == Some("web")));
        assert!(matches!(parse("events -f"), Ok(Ask::Events(it)) if it.follow));
        assert!(matches!(parse("why --json"), Ok(Ask::Why(it)) if it.target.json));
        assert!(matches!(parse("reload"), Ok(Ask::Reload(_))));
        assert!(matches!(parse("upgrade"), Ok(Ask::Upgrade(_))));
    }
}
