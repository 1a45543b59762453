//! Suite `slow`: what a client notices of a thousand others who take their time.
//!
//! `attack` is how they do (slowhttptest), `client` is the one who asks for a page and goes, a hundred
//! times a second by the clock. In each repetition he is alone first, then with them; a ratio is that of one
//! repetition. `report` says what came out.

mod attack;
mod client;
mod report;

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::Args;

use self::attack::Attack;
use self::client::Experience;
use crate::condition::Condition;
use crate::machine::Machine;
use crate::our_server::NAME;
use crate::site::daemon::{Daemon, folder, free_address};
use crate::{document, executable};

#[derive(Args)]
pub(crate) struct Options {
    /// In which ways clients are slow
    #[arg(
        long = "attack",
        value_enum,
        value_delimiter = ',',
        default_value = "head,body,range,read"
    )]
    attacks: Vec<Attack>,
    /// How many of them there are
    #[arg(long, default_value_t = 1000)]
    connections: usize,
    /// Repetitions [default: 7; with --quick 1]
    #[arg(long)]
    reps: Option<usize>,
    /// Seconds for each figure [default: 10; with --quick 2]
    #[arg(long)]
    seconds: Option<u64>,
    /// Let apt-get bring slowhttptest
    #[arg(long)]
    install: bool,
    /// Look whether it works: too short to judge
    #[arg(long)]
    quick: bool,
    /// Where server and clients run
    #[arg(long, value_enum, default_value = "s")]
    condition: Condition,
    /// Write the table into this folder's limits.md
    #[arg(long, value_name = "DOCS", conflicts_with = "json")]
    write: Option<PathBuf>,
    /// Print JSON instead of a table
    #[arg(long)]
    json: bool,
}

impl Options {
    fn repetitions(&self) -> usize {
        self.reps.unwrap_or(if self.quick { 1 } else { 7 })
    }

    fn time(&self) -> Duration {
        Duration::from_secs(self.seconds.unwrap_or(if self.quick { 2 } else { 10 }).max(1))
    }
}

/// One kind of attack, and what the client noticed of it, repetition by repetition.
struct Contest {
    attack: Attack,
    alone: Vec<Experience>,
    beside: Vec<Experience>,
}

impl Contest {
    /// The client alone, then beside the attack, at a server of its own.
    fn repeat(&mut self, options: &Options) -> Result<()> {
        let (folder, address) = (folder()?, free_address()?);
        let site = folder.path().join("site");
        fs::create_dir(&site)?;
        fs::write(site.join("page"), "hello, world\n")?;
        fs::write(site.join("large"), vec![b'x'; 8 << 20])?;
        let (program, listen) = (executable::bellwether()?, address.to_string());
        let words = ["serve", "--listen", &listen, "--handlers", "2", "--name", NAME];
        let (program, site) = (program.to_string_lossy(), site.to_string_lossy());
        let command = [&[&*program], &words[..], &[&*site]].concat();
        let mut server = Daemon::start(&command, folder)?;
        server.wait_until(|| client::ask(address))?;
        self.alone.push(client::experience(address, options.time())?);
        let attackers = self.attack.begin(address, options.connections)?;
        let beside = client::experience(address, options.time());
        attackers.end()?;
        self.beside.push(beside?);
        Ok(())
    }
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let machine = Machine::look(options.condition);
    executable::bellwether()?;
    if let Some(why) = attack::missing(options.install) {
        bail!("{why}");
    }
    options.condition.apply()?;
    let contest = |&attack| Contest { attack, alone: Vec::new(), beside: Vec::new() };
    let mut contests: Vec<_> = options.attacks.iter().map(contest).collect();
    for repetition in 0..options.repetitions() {
        for contest in &mut contests {
            eprintln!("repetition {}, {}", repetition + 1, contest.attack);
            contest.repeat(options)?;
        }
    }
    if options.json {
        println!("{}", report::json(&machine, &contests));
        return Ok(());
    }
    let text = report::markdown(&machine, options, &contests);
    match &options.write {
        Some(docs) => document::put(&docs.join("limits.md"), "slow", &text),
        None => {
            print!("{text}");
            Ok(())
        }
    }
}
