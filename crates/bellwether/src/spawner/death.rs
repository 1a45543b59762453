//! How handlers end, wanted or not: reaping, counting, pausing before the next.

use std::time::Duration;

use rustix::process::{Pid, WaitStatus};

use super::Spawner;
use super::life::Event;
use super::respawn::jitter;
use super::slot::describe;
use super::template::Template;
use crate::error::Error;
use crate::handler::Departure;
use crate::handler::refusal::OncePerSecond;
use crate::scoreboard::telemetry::{self, Snapshot};
use crate::sys::{clock, process};

/// After so many pauses in a row without any handler ever ready, the server gives up.
const BOOT_ATTEMPTS: u32 = 4;
/// A handler that served this long has its slot's earlier crashes forgiven.
///
/// Short, so that a storm of kills from outside is answered at once, each; what a slot can cost is
/// bounded all the same: ten forks a second, of which one takes about half a millisecond.
const SETTLED: Duration = Duration::from_millis(100);

/// A template that lived this long had loaded.
const LOADED: Duration = Duration::from_secs(1);

static CRASH_LINES: OncePerSecond = OncePerSecond::new();
static BOOT_LINES: OncePerSecond = OncePerSecond::new();

impl Spawner {
    /// Closes the books on the process of a slot and lets the slot rest, if only for a moment.
    pub(super) fn bury(&mut self, index: usize) {
        let slot = &mut self.slots[index];
        slot.until = Some(clock::now());
        let Some(mut occupant) = slot.occupant.take() else { return };
        occupant.look();
        occupant.close_channel(&self.poller);
        if occupant.condemned {
            self.cut += occupant.seen.open;
        }
        self.gone.exited += 1;
        self.add_to_gone(&occupant.seen);
        self.nudge_after_a_death();
    }

    pub(super) fn add_to_gone(&mut self, last: &Snapshot) {
        let gone = &mut self.gone;
        // What it held when it died ended with it.
        let ended = Snapshot { aborted: last.wins - last.completed, ..last.clone() };
        gone.add(&ended);
        self.waits_gone.resize(telemetry::WAIT_BUCKETS, 0);
        for (sum, count) in self.waits_gone.iter_mut().zip(last.waits) {
            *sum = sum.saturating_add(count);
        }
    }

    /// Learns which children have ended, and how.
    pub(super) fn reap(&mut self) {
        while let Some((pid, status)) = process::reap() {
            // The birth of a process is told before its death can be seen; hear that first.
            if !self.slots.iter().any(|slot| slot.pid() == Some(pid)) {
                self.hear_template();
            }
            if self.template.as_ref().is_some_and(|template| template.pid == pid) {
                self.template_ended(status);
            } else if let Some(index) = self.slots.iter().position(|slot| slot.pid() == Some(pid)) {
                self.handler_ended(index, status);
            } else {
                // An orphan of a handler that came to us as the sub-reaper, or as PID 1.
                tracing::debug!(pid = pid.as_raw_pid(), "a process that is no handler has ended");
            }
        }
    }

    pub(super) fn handler_ended(&mut self, index: usize, status: WaitStatus) {
        self.hear_handler(index, false);
        let Some(occupant) = &self.slots[index].occupant else { return };
        let (ready_at, condemned) = (occupant.ready_at, occupant.condemned);
        let left = occupant.dismissed && status.exit_status() == Some(Departure::Done.code());
        let words = occupant.last_words.as_ref().map_or_else(String::new, |w| format!(": {w}"));
        let pid = self.slots[index].pid().map_or(0, Pid::as_raw_pid);
        self.apply(index, Event::Exited);
        if condemned && ready_at.is_none() && self.stopping.is_none() {
            let limit = self.times.boot.as_secs_f64();
            return self.did_not_start(index, &format!("it was not ready within {limit} s"));
        }
        if condemned || left {
            return;
        }
        self.gone.crashed += 1;
        let how = describe(status) + &words;
        if status.exit_status() == Some(Departure::Listener.code()) {
            self.mend_listeners();
        }
        let now = clock::now();
        match ready_at {
            None => {
                self.crashes_told += 1; // in the words of one that did not start
                self.did_not_start(index, &how);
            }
            Some(since) => {
                self.tell_of_a_crash(index, pid, &how);
                let slot = &mut self.slots[index];
                if now.saturating_sub(since) >= SETTLED {
                    slot.crashes.reset();
                }
                slot.until = Some(slot.crashes.fail(now, jitter()));
            }
        }
    }

    pub(super) fn tell_of_a_crash(&mut self, slot: usize, pid: i32, how: &str) {
        if CRASH_LINES.allows() {
            tracing::warn!(slot, pid, crashed = self.gone.crashed, "a handler ended: {how}");
            self.crashes_told = self.gone.crashed;
        }
    }

    /// Tells of deaths that came too fast to be told each.
    pub(super) fn tell_of_crashes(&mut self) {
        let more = self.gone.crashed - self.crashes_told;
        if more > 0 && CRASH_LINES.allows() {
            tracing::warn!(crashed = self.gone.crashed, "{more} more handlers ended");
            self.crashes_told = self.gone.crashed;
        }
    }

    /// A handler could not start. Where others could, this is its slot's business alone.
    pub(super) fn did_not_start(&mut self, index: usize, problem: &str) {
        if !self.ever_ready {
            return self.boot_failed(problem);
        }
        let now = clock::now();
        let slot = &mut self.slots[index];
        let until = slot.boots.fail(now, jitter());
        slot.until = Some(until);
        if BOOT_LINES.allows() {
            let pause_ms = until.saturating_sub(now).as_millis();
            tracing::warn!(slot = index, pause_ms, "a handler did not become ready: {problem}");
        }
    }

    pub(super) fn boot_failed(&mut self, problem: &str) {
        let until = self.boot.fail(clock::now(), jitter());
        let pause_ms = until.saturating_sub(clock::now()).as_millis();
        if BOOT_LINES.allows() {
            tracing::warn!(pause_ms, "no handler can be made at the moment: {problem}");
        }
        if !self.ever_ready && self.boot.in_a_row() >= BOOT_ATTEMPTS && self.verdict.is_none() {
            self.fail(Error::Boot {
                problem: format!("{BOOT_ATTEMPTS} attempts failed, the last one: {problem}"),
            });
        }
    }

    pub(super) fn template_ended(&mut self, status: WaitStatus) {
        let Some(template) = &mut self.template else { return };
        template.ended = Some(status);
        // A process that the application made may hold the socket open: not for ever.
        template.until = Some(clock::now() + self.times.last);
        self.hear_template();
    }

    pub(super) fn template_is_gone(&mut self) {
        let Some(Template { condemned, since, ended: Some(status), .. }) = self.template.take()
        else {
            return;
        };
        let unborn: Vec<_> = (0..self.slots.len())
            .filter(|&i| self.slots[i].state.has_process() && self.slots[i].pid().is_none())
            .collect();
        unborn.into_iter().for_each(|index| self.apply(index, Event::NotForked));
        if self.stopping.is_none() && !condemned {
            if self.ever_ready && clock::now().saturating_sub(since) >= LOADED {
                self.boot.reset(); // one that had worked may be replaced at once
            }
            self.boot_failed(&format!("the template ended: {}", describe(status)));
        }
    }
}
