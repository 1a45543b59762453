//! Acts in their order: what is told, what is asked, what is noted.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::thread;
use std::time::Duration;

use bellwether::remote;
use bellwether::status::Status;

use super::account::{Account, Row};
use super::load;
use super::play::Act;

/// What the audience hears.
#[derive(Clone, Debug)]
pub(super) enum Word {
    /// An act begins.
    Act(&'static str),
    /// How it is at this moment.
    Moment(String),
}

/// Whether the audience has left.
static OVER: AtomicBool = AtomicBool::new(false);

/// How often the server is looked at.
const LOOK: Duration = Duration::from_millis(200);

/// So many looks come between two lines.
const LOOKS_A_LINE: usize = 10;

/// Lets the play end with the requests that are on their way.
pub(super) fn end_early() {
    OVER.store(true, Ordering::Relaxed);
}

pub(super) fn is_over() -> bool {
    OVER.load(Ordering::Relaxed)
}

/// Plays all acts, or as many as the audience wants to see.
pub(super) fn play_all(
    address: SocketAddr,
    name: &str,
    acts: &[Act],
    tell: &Sender<Word>,
) -> Account {
    let acts = acts.iter().take_while(|_| !is_over());
    let rows = acts.map(|act| play_one(address, name, *act, tell)).collect();
    let ended = remote::status(Some(name)).map(ended).unwrap_or_default();
    Account { rows, ended }
}

fn ended(status: Status) -> BTreeMap<String, u64> {
    status.pools.into_iter().flat_map(|pool| pool.ended).collect()
}

fn play_one(address: SocketAddr, name: &str, act: Act, tell: &Sender<Word>) -> Row {
    // Whoever does not listen any more has left.
    let _ = tell.send(Word::Act(act.words));
    let requests: Vec<_> = act.requests().collect();
    let mut row = Row::of(&act);
    thread::scope(|scope| {
        let load = scope.spawn(|| load::run(address, &requests));
        let reload = act.reload.then(|| scope.spawn(|| remote::reload(Some(name))?.wait()));
        for look in 1_usize.. {
            if load.is_finished() {
                break;
            }
            let Ok(status) = remote::status(Some(name)) else { continue };
            row.look(&status);
            if look.is_multiple_of(LOOKS_A_LINE) {
                let _ = tell.send(Word::Moment(line(&status)));
            }
            thread::sleep(LOOK);
        }
        row.note(load.join().unwrap_or_default());
        row.reloaded = reload.map(|reload| match reload.join() {
            Ok(Ok(done)) => done.to_string(),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "nobody knows".into(),
        });
    });
    row
}

/// One moment in a line.
fn line(status: &Status) -> String {
    let Some(pool) = status.pools.first() else { return String::new() };
    let busy = pool.handlers.iter().filter(|it| it.state == "busy").count();
    let waiting: u32 = pool.addresses.iter().map(|it| it.depth).sum();
    let rate = pool.requests_per_s.unwrap_or(0.0);
    let (all, why) = (pool.handlers.len(), crate::words::clean(&pool.why));
    format!("{rate:>4.0}/s  {all:>2} handlers, {busy:>2} busy, {waiting:>2} waiting  {why}")
}
