//! `bellwether doctor -- CMD`: which ways of running a program work here, and which is best.
//!
//! An address is opened once and kept. For each way a server of its own is started at it, of two
//! handlers, as `bellwether run` would ([`trial`]); what is seen of it are [`facts`]. From all of
//! that follows the command line to use ([`advice`]), and [`report`] shows it.

mod advice;
mod facts;
mod probe;
mod report;
mod trial;

use std::time::Duration;

use bellwether::{Address, Error, Server};
use clap::Args;
use serde::Serialize;

use crate::config::settings::PoolSettings;
use crate::config::written::Written;
use crate::ending::Ending;
use crate::log;
use crate::output::{print, unprinted};
use crate::run::plan::Plan;
use crate::run::start::Start;
use facts::Facts;
use trial::Trial;

/// How long a program may take to start, where nothing is said.
const PATIENCE: Duration = Duration::from_secs(20);

/// Try in which ways a program can be run, and say which is best.
///
/// Starts it several times, as `bellwether run` would with each `--pass`, asks it a few times for
/// `/`, and ends it. Says how it was seen to be ready and how soon, how many connections it serves
/// at a time, what it does to the socket that all share, and what it takes of memory.
#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// The address where it is to listen [default: as CMD says, or opens].
    #[arg(short, long, value_name = "ADDRESS")]
    listen: Option<Written<Address>>,

    #[command(flatten)]
    start: Start,

    /// How long it may take to start, each time [default: 20s].
    #[arg(long, value_name = "TIME")]
    boot_timeout: Option<Written<Duration>>,

    /// Print JSON with stable keys.
    #[arg(long)]
    json: bool,

    /// The program and its arguments, best behind `--`; our own options come first.
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        required = true,
        value_name = "CMD"
    )]
    command: Vec<String>,
}

/// All that was found out.
#[derive(Debug, Serialize)]
struct Findings {
    command: Vec<String>,
    /// Which recipe it is, and why.
    recipe: String,
    address: String,
    ways: Vec<Tried>,
    /// The way of the recommended command line; missing where none works.
    best: Option<String>,
    /// The command line to use.
    recommended: Option<Vec<String>>,
}

/// A way that was tried.
#[derive(Debug, Serialize)]
struct Tried {
    /// As `--pass` takes it.
    way: String,
    /// Whether it is the one that is taken when nothing is said.
    by_itself: bool,
    /// Missing where it does not work.
    facts: Option<Facts>,
    /// Why it does not work.
    problem: Option<String>,
}

/// Tries and tells.
pub(crate) fn run(order: &Doctor) -> Result<(), Ending> {
    log::start()?;
    let findings = examine(order)?;
    if order.json {
        let json = serde_json::to_string_pretty(&findings).map_err(unprinted)?;
        print(&format!("{json}\n"))?;
    } else {
        print(&report::Text(&findings).to_string())?;
    }
    match findings.recommended {
        Some(_) => Ok(()),
        None => Err(Ending::Said(NOTHING_WORKS)),
    }
}

/// The exit status when the program runs in no way (EX_SOFTWARE of sysexits.h, as for a server of
/// which no handler became ready).
const NOTHING_WORKS: u8 = 70;

fn examine(order: &Doctor) -> Result<Findings, Ending> {
    let plan = Plan::of(&order.settings())?;
    let found = plan.found()?;
    let addresses = match &order.listen {
        Some(Written(address)) => vec![address.to_string()],
        None => plan.addresses()?,
    };
    let by_itself = plan.way_by_itself()?.to_string();
    let server = open(&addresses)?;
    let [listener, ..] = server.listeners() else { return Err(no_address().into()) };
    let mut trial = Trial::new(order, listener)?;
    let ways = advice::order_of_ways(&by_itself);
    let ways = ways.map(|way| trial.tried(way, way == by_itself)).collect::<Result<Vec<_>, _>>()?;
    let best = advice::best(&ways).map(|it| it.way.clone());
    let recommended = advice::command_line(order, &addresses, &found.addresses(), &ways);
    let (command, address) = (order.command.clone(), listener.address().to_owned());
    Ok(Findings { command, recipe: found.why, address, ways, best, recommended })
}

fn no_address() -> Error {
    let problem = "it has no address; say --listen ADDRESS";
    Error::Configure { what: "command".into(), problem: problem.into() }
}

impl Doctor {
    fn settings(&self) -> PoolSettings {
        let boot_timeout = Some(Written(self.patience()));
        let command = self.command.clone();
        let known = PoolSettings { command, boot_timeout, ..PoolSettings::default() };
        self.start.clone().entered(known)
    }

    fn patience(&self) -> Duration {
        self.boot_timeout.map_or(PATIENCE, |Written(time)| time)
    }
}

/// Opens the address that all servers of the trial share, one after the other.
fn open(addresses: &[String]) -> Result<Server, Error> {
    let name = format!("doctor-{}", std::process::id());
    let builder = Server::builder().name(format!("{name}-address"));
    addresses.iter().take(1).fold(builder, |it, address| it.listen(address)).open()
}
