//! What programs have in hand, of which few say it themselves: seen from outside, and noted as if they
//! had said it.

use std::time::Duration;

use rustix::process::Pid;

use super::Pool;
use super::life::State;
use super::slot::Slot;
use crate::handler::Manner;
use crate::program::Serves;
use crate::program::family::{Census, Family};
use crate::program::habits::{Habits, Kind};
use crate::program::in_hand::{Entrance, Homes};
use crate::program::readiness::waiting;
use crate::scoreboard::telemetry::Snapshot;
use crate::sys::clock;

/// The shortest time from one look to the next.
const SOONEST: Duration = Duration::from_millis(5);
/// A look costs at most one part in so many of the time.
const PARTS: u32 = 100;
/// How long it is believed which processes there are: to find that out takes longest.
const FRESH: Duration = Duration::from_secs(1);
/// How many connections a program is taken to serve at once that serves several.
const MANY: usize = 1000;

/// What is known of the programs of a pool.
#[derive(Debug, Default)]
pub(super) struct Onlooker {
    homes: Homes,
    habits: Habits,
    /// What is known of it by now, or was said.
    kind: Kind,
    /// By what the listeners are known in other processes.
    inodes: Vec<u64>,
    next: Duration,
    /// Whether it was told that a program sets the backlog of the address that all share.
    told_of_backlog: bool,
    /// The programs' processes, and when they were counted.
    families: Vec<Family>,
    counted_at: Duration,
}

impl Onlooker {
    /// Tells whether it is yet to be told that a program sets the backlog, and takes it as told.
    pub(super) const fn is_first_backlog(&mut self) -> bool {
        !std::mem::replace(&mut self.told_of_backlog, true)
    }

    /// The word for how the programs serve.
    pub(super) const fn kind(&self) -> &'static str {
        match self.kind {
            Kind::Serial => "serial",
            Kind::Concurrent => "concurrent",
            Kind::Unknown => "unknown",
        }
    }

    /// Somebody asks: what was seen a moment ago will not do.
    pub(super) const fn look_anew(&mut self) {
        self.next = Duration::ZERO;
    }

    /// Finds the processes of these wardens, unless that was done a moment ago.
    fn families(&mut self, wardens: &[Pid], now: Duration) -> Vec<Family> {
        let same = self.families.iter().map(Family::leader).eq(wardens.iter().copied());
        if !same || now.saturating_sub(self.counted_at) >= FRESH {
            let census = Census::take();
            self.families = wardens.iter().map(|pid| census.family(*pid)).collect();
            self.counted_at = now;
        }
        self.families.clone()
    }
}

impl Pool {
    /// Looks at what the programs have in hand, unless that was seen a moment ago.
    pub(super) fn observe_programs(&mut self) {
        let began = clock::now();
        let Some(ways) = self.pattern.program.filter(|_| began >= self.onlooker.next) else {
            return;
        };
        let lives = |slot: &&Slot| matches!(slot.state, State::Serving | State::Leaving);
        let wardens: Vec<Pid> = self.slots.iter().filter(lives).filter_map(Slot::pid).collect();
        if !wardens.is_empty() {
            self.look_at_families(&wardens, ways.serves);
        }
        let took = clock::now().saturating_sub(began);
        // Where nothing follows from it, it is only to be known who there is.
        let soonest = if self.is_elastic() { SOONEST } else { FRESH };
        self.onlooker.next = began + (took * PARTS).max(soonest);
    }

    fn look_at_families(&mut self, wardens: &[Pid], serves: Serves) {
        let families = self.onlooker.families(wardens, clock::now());
        // A listener that was opened anew has another inode.
        self.onlooker.inodes = self.listeners.iter().filter_map(inode).collect();
        let entrances: Vec<_> = self.listeners.iter().flat_map(Entrance::of).collect();
        // Without sock_diag nobody is ever seen to be busy; the depth of the buffer still counts.
        let Ok(counts) = self.onlooker.homes.accepted(&entrances, &families) else { return };
        let kind = match serves {
            Serves::Auto => self.learn_the_kind(&families, &counts),
            Serves::Serial => Kind::Serial,
            Serves::Concurrent => Kind::Concurrent,
        };
        self.onlooker.kind = kind;
        self.pattern.manner = match kind {
            // As long as nothing is known, every connection may need a handler.
            Kind::Serial | Kind::Unknown => Manner::Serial,
            Kind::Concurrent => Manner::Concurrent { partable: false, room: MANY, workers: 1 },
        };
        let is_serial = kind != Kind::Concurrent;
        for (family, open) in families.into_iter().zip(counts) {
            let own = |slot: &&mut Slot| slot.pid() == Some(family.leader());
            let Some(slot) = self.slots.iter_mut().find(own) else { continue };
            let Some(occupant) = &mut slot.occupant else { continue };
            // What it says itself is worth more than what is seen.
            let open = occupant.telemetry.said_in_hand().unwrap_or(open as u64);
            let busy = usize::from(is_serial && open > 0);
            occupant.seen = seen(&occupant.seen, open, busy);
            occupant.family = family.pids().to_vec();
        }
    }

    /// Finds out whether the program serves one connection at a time or many.
    fn learn_the_kind(&mut self, families: &[Family], counts: &[usize]) -> Kind {
        let Onlooker { habits, inodes, .. } = &mut self.onlooker;
        if habits.kind() == Kind::Unknown {
            // All are alike; whoever has most in hand shows most.
            let most = families.iter().zip(counts).max_by_key(|(_, count)| **count);
            if let Some((family, count)) = most {
                // The first is the warden.
                let own = family.pids().get(1..).unwrap_or_default();
                habits.observe(waiting(own, inodes), *count);
            }
        }
        habits.kind()
    }
}

fn inode(listener: &crate::address::Listener) -> Option<u64> {
    rustix::fs::fstat(listener).ok().map(|it| it.st_ino)
}

/// What a program would say; connections that came and went between two looks are not known.
fn seen(before: &Snapshot, open: u64, busy: usize) -> Snapshot {
    let came = open.saturating_sub(before.open);
    let went = before.open.saturating_sub(open);
    let wins = before.wins + came;
    Snapshot {
        idle: 1 - busy,
        busy,
        open,
        wins,
        wakeups: wins,
        requests: wins,
        completed: before.completed + went,
        ..Snapshot::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_seen_adds_up() {
        let mut now = Snapshot::default();
        for (open, busy) in [(0, 0), (3, 1), (1, 1), (0, 0), (2, 1)] {
            now = seen(&now, open, busy);
            assert_eq!(now.wins, now.completed + now.open);
            assert_eq!((now.open, now.idle + now.busy), (open, 1));
        }
        assert_eq!((now.wins, now.requests), (5, 5));
    }
}
