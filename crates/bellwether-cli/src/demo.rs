//! `bellwether demo`: the idea in half a minute, on a real server with a real load.
//!
//! A server of blocking handlers ([`stage`]) and a load that breathes ([`load`]) through the acts of a
//! [`play`]; what became of the requests goes into an [`account`], which is printed at the end. A
//! terminal shows it in the view of `bellwether top`.

mod account;
mod load;
mod play;
mod stage;
mod theatre;

use std::io::IsTerminal;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use bellwether::{Address, Error};
use clap::Args;

use crate::config::written::Written;
use crate::ending::Ending;
use crate::output::{print, unprinted};
use crate::top;
use account::Account;
use play::play;
use stage::Stage;
use theatre::Word;

/// See it work: a pool of blocking handlers under a load that breathes, in half a minute.
///
/// Calm, ten times the load, requests that kill their handlers, a reload under load, calm again. Every
/// request is counted; in the end a table says how many were answered, how soon, and by how many
/// handlers. The load comes from this process, over the loopback interface.
#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// How long it takes (5s to 1h).
    #[arg(short, long, value_name = "TIME", default_value = "30s")]
    time: Written<Duration>,

    /// Where the server listens; try it with curl meanwhile.
    #[arg(short, long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    listen: Written<Address>,

    /// Print lines instead of drawing.
    #[arg(long)]
    plain: bool,

    /// Print the account as JSON, and nothing else.
    #[arg(long)]
    json: bool,

    /// Be the server of such a demo.
    #[arg(long, hide = true)]
    stage: Option<String>,
}

/// How long it may take.
const TIMES: [Duration; 2] = [Duration::from_secs(5), Duration::from_secs(3600)];

/// Plays until the end, or until the user has seen enough.
pub(crate) fn run(demo: &Demo) -> Result<(), Ending> {
    if let Some(name) = &demo.stage {
        return Ok(stage::serve(name, &demo.listen.0)?);
    }
    if !(TIMES[0]..=TIMES[1]).contains(&demo.time.0) {
        let problem = "it is to be from 5s to 1h".into();
        return Err(Error::Configure { what: "--time".into(), problem }.into());
    }
    let mut stage = Stage::set(&demo.listen.0)?;
    let (address, name) = (stage.address, stage.name.clone());
    let (tell, told) = channel();
    let acts = play(demo.time.0);
    let playing = thread::spawn(move || theatre::play_all(address, &name, &acts, &tell));
    watch(demo, &stage, told)?;
    theatre::end_early();
    let account = playing.join().map_err(|_| lost())?;
    stage.close()?;
    if demo.json {
        let json = serde_json::to_string(&account).map_err(unprinted)?;
        print(&format!("{json}\n"))?;
    } else {
        print(&account.to_string())?;
    }
    judge(&account)
}

/// Shows what happens, as well as can be.
fn watch(demo: &Demo, stage: &Stage, told: Receiver<Word>) -> Result<(), Ending> {
    if demo.json {
        told.iter().for_each(drop);
        return Ok(());
    }
    if demo.plain || !std::io::stdout().is_terminal() || !std::io::stdin().is_terminal() {
        let Stage { name, address, .. } = stage;
        print(&format!(
            "server `{name}` at http://{address}/; watch it: bellwether top --name {name}\n"
        ))?;
        return told.iter().try_for_each(|word| match word {
            Word::Act(words) => print(&format!("{words}\n")),
            Word::Moment(words) => print(&format!("  {words}\n")),
        });
    }
    // There, what the moment is like is seen.
    let (tell, acts) = channel();
    thread::spawn(move || {
        let acts = told.iter().filter_map(|word| match word {
            Word::Act(words) => Some(words.to_owned()),
            Word::Moment(_) => None,
        });
        acts.map(|words| tell.send(words)).find(Result::is_err)
    });
    top::show(&stage.name, acts)
}

fn lost() -> Error {
    let source = std::io::Error::other("the thread that makes the load has panicked");
    Error::System { doing: "play the demo".into(), source }
}

/// Requests that nobody should have lost are an error.
fn judge(account: &Account) -> Result<(), Ending> {
    match account.lost() {
        0 => Ok(()),
        lost => {
            let problem =
                format!("{lost} requests were lost that their handlers had not been killed for");
            Err(Error::Change { problem }.into())
        }
    }
}
