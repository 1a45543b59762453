//! What clients of the control socket ask for, and when it is fulfilled.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Spawner;
use super::changing::Kind as ChangeKind;
use super::command::{Answer, Command, Scale, Why};
use crate::journal::{Entry, Kind};
use crate::pool::{Bounds, Phase, Pool};
use crate::sys::clock;

/// Something that a client waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Wish {
    /// The client's number at the control socket.
    pub(super) client: usize,
    pub(super) since: Duration,
    pub(super) what: What,
}

/// When a wish is fulfilled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum What {
    /// As many handlers as are wanted are ready, and no others.
    Scaled { pool: String, scale: Scale },
    /// The change is over.
    Changed,
    /// Nothing is left of these pools.
    Drained { pools: Vec<String> },
    /// The server is about to end.
    Stopped,
}

impl Spawner {
    /// Does what a client asks for, if it may.
    pub(super) fn obey(&mut self, client: usize, command: Command, may: bool) {
        let who = self.control.who(client);
        if !may {
            let (verb, role) = (command.verb(), command.role());
            let reason = format!("`{verb}` needs the role {role} at the control socket");
            self.tell(Entry::new(Kind::Refusal, "role", format!("{who}: {reason}")));
            return self.answer(client, &Answer::Denied { reason });
        }
        match command {
            Command::Status {} => {
                let status = self.report();
                self.control.answer(client, &status);
            }
            Command::Why {} => {
                let why = Why {
                    pools: self.report().pools.into_iter().map(|it| (it.name, it.why)).collect(),
                    entries: self.journal.entries().cloned().collect(),
                };
                self.control.answer(client, &why);
            }
            Command::Events { follow } => self.recite(client, follow),
            Command::Scale { pool, handlers } => {
                self.scale(client, pool.as_deref(), &handlers, &who)
            }
            Command::Reload {} => self.ask_for_change(client, ChangeKind::Reload, &who),
            Command::Upgrade {} => self.ask_for_change(client, ChangeKind::Upgrade, &who),
            Command::Drain { pool } => self.drain(client, pool.as_deref(), &who),
            Command::Stop { now } => {
                self.wish(client, What::Stopped);
                if now { self.end_at_once(&who) } else { self.stop(&who) }
            }
        }
    }

    fn answer(&mut self, client: usize, answer: &Answer) {
        self.control.answer(client, answer);
        self.watch_client(client);
    }

    fn refuse(&mut self, client: usize, verb: &str, reason: String) {
        self.tell(Entry::new(Kind::Refusal, verb, reason.clone()));
        self.answer(client, &Answer::Refused { reason });
    }

    /// Says that a command cannot be done, now or later.
    fn decline(&mut self, client: usize, verb: &str, reason: String) {
        self.tell(Entry::new(Kind::Refusal, verb, reason.clone()));
        self.answer(client, &Answer::Failed { reason });
    }

    fn wish(&mut self, client: usize, what: What) {
        self.wishes.push(Wish { client, since: clock::now(), what });
    }

    pub(super) fn forget_wishes_of(&mut self, client: usize) {
        self.wishes.retain(|wish| wish.client != client);
    }

    fn recite(&mut self, client: usize, follow: bool) {
        let entries: Vec<Entry> = self.journal.entries().cloned().collect();
        let (last, others) = match entries.split_last() {
            Some((last, others)) if !follow => (Some(last), others),
            _ => (None, entries.as_slice()),
        };
        others.iter().for_each(|entry| drop(self.control.put_more(client, entry)));
        if let Some(last) = last {
            self.control.answer(client, last);
        }
    }

    /// Finds the pools that a command is about; without a name all of them.
    fn pools_named(&self, name: Option<&str>) -> Result<Vec<usize>, String> {
        let all = (0..self.pools.len()).filter(|&i| !self.pools[i].has_retired());
        let Some(name) = name else { return Ok(all.collect()) };
        let found: Vec<_> = all.filter(|&i| self.pools[i].name() == name).collect();
        let names = || self.present().map(Pool::name).collect::<Vec<_>>().join(", ");
        if found.is_empty() {
            return Err(format!("there is no pool `{name}`; there are: {}", names()));
        }
        Ok(found)
    }

    fn scale(&mut self, client: usize, pool: Option<&str>, handlers: &str, who: &str) {
        let pool = match self.pools_named(pool).as_deref() {
            Ok([one]) => *one,
            Ok(_) => {
                return self.decline(client, "scale", "there are several pools; name one".into());
            }
            Err(problem) => return self.decline(client, "scale", problem.clone()),
        };
        let scale = match handlers.parse::<Scale>() {
            Ok(scale) => scale,
            Err(error) => return self.decline(client, "scale", error.to_string()),
        };
        if self.pools[pool].phase() != Phase::Serving {
            let problem =
                format!("pool `{}` is {}", self.pools[pool].name(), self.pools[pool].state());
            return self.refuse(client, "scale", problem);
        }
        let bounds = match scale {
            Scale::Between(min, max) => Some(Bounds { min, max }),
            Scale::Auto => None,
        };
        if let Err(error) = self.pools[pool].set_bounds(bounds) {
            return self.decline(client, "scale", error.to_string());
        }
        let name = self.pools[pool].name().to_owned();
        self.supersede(&name, scale);
        self.wish(client, What::Scaled { pool: name.clone(), scale });
        let entry = Entry::new(Kind::Scale, "operator", format!("to {scale}, told by {who}"));
        self.tell(Entry { pool: Some(name), ..entry });
        self.turn(pool);
    }

    /// Tells those who wait for another number of handlers of a pool that they wait in vain.
    fn supersede(&mut self, name: &str, scale: Scale) {
        let is = |wish: &Wish| matches!(&wish.what, What::Scaled { pool, .. } if pool == name);
        let (former, others) = std::mem::take(&mut self.wishes).into_iter().partition(is);
        self.wishes = others;
        let former: Vec<Wish> = former;
        for wish in former {
            let reason = format!("pool `{name}` was told to have {scale} handlers meanwhile");
            self.answer(wish.client, &Answer::Failed { reason });
        }
    }

    fn drain(&mut self, client: usize, pool: Option<&str>, who: &str) {
        let pools = match self.pools_named(pool) {
            Ok(pools) => pools,
            Err(problem) => return self.decline(client, "drain", problem),
        };
        if self.change.is_going_on() {
            let reason =
                format!("{}; wait until it is over", self.change.describe().unwrap_or_default());
            return self.refuse(client, "drain", reason);
        }
        for &pool in &pools {
            let name = Some(self.pools[pool].name().to_owned());
            let entry = Entry::new(Kind::Stop, "operator", format!("drained, told by {who}"));
            self.tell(Entry { pool: name, ..entry });
            self.pools[pool].stop(self.announce);
            self.turn(pool);
        }
        let names = pools.iter().map(|&pool| self.pools[pool].name().to_owned());
        let pools = names.collect();
        self.wish(client, What::Drained { pools });
    }

    fn ask_for_change(&mut self, client: usize, kind: ChangeKind, who: &str) {
        match self.begin_change(kind, who) {
            Ok(()) => self.wish(client, What::Changed),
            Err(reason) => self.answer(client, &Answer::Refused { reason }),
        }
    }

    /// Answers the clients whose wishes have come true, or cannot any more.
    pub(super) fn fulfil_wishes(&mut self) {
        let outcome = self.change.take_outcome();
        let mut i = 0;
        while let Some(wish) = self.wishes.get(i) {
            let took_s = clock::now().saturating_sub(wish.since).as_secs_f64();
            let answer = match &wish.what {
                What::Scaled { pool, scale } => self.scaled(pool, *scale, took_s),
                What::Drained { pools } => self.drained(pools, took_s),
                What::Changed => outcome.as_ref().map(|outcome| outcome.answer(took_s)),
                What::Stopped => None,
            };
            match answer {
                None => i += 1,
                Some(answer) => {
                    let wish = self.wishes.swap_remove(i);
                    self.answer(wish.client, &answer);
                }
            }
        }
    }

    fn pool_named(&self, name: &str) -> Option<&Pool> {
        self.present().find(|pool| pool.name() == name)
    }

    fn scaled(&self, pool: &str, scale: Scale, took_s: f64) -> Option<Answer> {
        let Some(pool) = self.pool_named(pool) else {
            let reason = format!("pool `{pool}` is gone, the configuration has no such pool");
            return Some(Answer::Failed { reason });
        };
        if pool.phase() == Phase::Closing {
            let reason = format!("pool `{}` is {}", pool.name(), pool.state());
            return Some(Answer::Failed { reason });
        }
        if let Some(problem) = pool.cannot_grow() {
            return Some(Answer::Failed { reason: problem });
        }
        let done = pool.serving() == pool.want() && pool.is_settled();
        let plural = if pool.want() == 1 { "" } else { "s" };
        let what = format!("pool `{}` has {} handler{plural} ({scale})", pool.name(), pool.want());
        done.then_some(Answer::Done { what, took_s, cut: 0 })
    }

    fn drained(&self, pools: &[String], took_s: f64) -> Option<Answer> {
        let over = pools.iter().all(|name| self.pool_named(name).is_none_or(Pool::is_over));
        let cut = pools.iter().filter_map(|name| self.pool_named(name)).map(Pool::cut).sum();
        let what =
            format!("{} drained", if pools.len() == 1 { "the pool is" } else { "all pools are" });
        over.then_some(Answer::Done { what, took_s, cut })
    }

    /// Tells those who wait for the end that it has come.
    pub(super) fn say_goodbye(&mut self) {
        let cut = self.cut();
        for wish in std::mem::take(&mut self.wishes) {
            let took_s = clock::now().saturating_sub(wish.since).as_secs_f64();
            let answer = match (&self.verdict, &wish.what) {
                (None, What::Stopped | What::Drained { .. }) => {
                    Answer::Done { what: "the server has stopped".into(), took_s, cut }
                }
                (Some(error), _) => Answer::Failed { reason: error.to_string() },
                (None, _) => Answer::Failed { reason: "the server has been stopped".into() },
            };
            self.answer(wish.client, &answer);
        }
    }
}
