//! What a handler does at this moment, and what it has done.

use std::fmt;

use bellwether::remote;
use bellwether::status::{HandlerStatus, PoolStatus, Status};
use serde_json::{Value, json};

use crate::words::{age, clean, count, counted, memory, spent};

/// A handler, the pool that it is of, and what its processes do.
pub(super) struct Found<'a> {
    pool: &'a PoolStatus,
    handler: &'a HandlerStatus,
    doing: Vec<String>,
}

/// Those who sit in this slot: one, or during a change of generations two; in each pool.
pub(super) fn found(status: &Status, slot: usize) -> Vec<Found<'_>> {
    let all = status.pools.iter().flat_map(|pool| pool.handlers.iter().map(move |it| (pool, it)));
    let here = all.filter(|(_, handler)| handler.slot == slot);
    here.map(|(pool, handler)| Found { pool, handler, doing: remote::doing(handler) }).collect()
}

impl Found<'_> {
    pub(super) fn json(&self) -> Value {
        json!({ "pool": self.pool.name, "handler": self.handler, "doing": self.doing })
    }
}

impl fmt::Display for Found<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let HandlerStatus { slot, generation, state, age_s, open, .. } = self.handler;
        let pid =
            self.handler.pid.map_or_else(|| "no process yet".into(), |pid| format!("pid {pid}"));
        writeln!(f, "handler     {} slot {slot}, {pid}, generation {generation}", self.pool.name)?;
        let busy = self.handler.busy_s.map_or_else(String::new, |busy| {
            format!(", with its oldest request for {}", spent(busy))
        });
        writeln!(
            f,
            "state       {state}{busy}; {} open; {} old",
            counted(*open, "connection"),
            age(*age_s)
        )?;
        if let Some(words) = &self.handler.says {
            writeln!(f, "says        {}", clean(words))?;
        }
        self.doing.iter().try_for_each(|line| {
            writeln!(
                f,
                "doing       {}",
                clean(line).replace(", thread ", ",\n            thread ")
            )
        })?;
        self.work(f)
    }
}

impl Found<'_> {
    /// What it has done and used; of programs nobody knows what they have done.
    fn work(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let HandlerStatus { requests, wakeups, wins, losses, .. } = self.handler;
        if self.pool.serves.is_none() {
            let [requests, wakeups, wins, losses] =
                [requests, wakeups, wins, losses].map(|it| count(*it));
            writeln!(
                f,
                "done        {requests} requests; {wakeups} wake-ups, {wins} won, {losses} lost"
            )?;
        }
        match (self.handler.cpu_s, self.handler.memory) {
            (Some(cpu), Some(bytes)) => {
                writeln!(f, "used        {} of CPU, {} of memory (PSS)", spent(cpu), memory(bytes))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_handler_says_cannot_command_the_terminal() {
        let (mut pool, mut handler) = (PoolStatus::default(), HandlerStatus::default());
        (pool.name, handler.slot, handler.busy_s) = ("web".into(), 3, Some(1.5));
        (handler.state, handler.says) = ("busy".into(), Some("GET /\u{1b}[2J".into()));
        (handler.cpu_s, handler.memory) = (Some(2.0), Some(3 << 20));
        let doing = vec!["thread `a` sleeping, thread `b` running".into()];
        let text = Found { pool: &pool, handler: &handler, doing }.to_string();
        let expected = "\
handler     web slot 3, no process yet, generation 0
state       busy, with its oldest request for 1.5s; 0 connections open; 0s old
says        GET /?[2J
doing       thread `a` sleeping,
            thread `b` running
done        0 requests; 0 wake-ups, 0 won, 0 lost
used        2.0s of CPU, 3.0M of memory (PSS)
";
        assert_eq!(text, expected);
    }

    #[test]
    fn those_of_a_slot_are_found_in_all_pools() {
        let mut status = Status::default();
        let handler = |slot| {
            let mut handler = HandlerStatus::default();
            handler.slot = slot;
            handler
        };
        let mut pool = PoolStatus::default();
        pool.handlers = vec![handler(0), handler(1), handler(1)];
        status.pools = vec![pool.clone(), pool];
        assert_eq!((found(&status, 1).len(), found(&status, 2).len()), (4, 0));
    }
}
