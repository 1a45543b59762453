//! How handlers end, wanted or not: reaping, counting, pausing before the next.

use std::time::Duration;

use rustix::process::{Pid, Signal, WaitStatus};

use super::life::Event;
use super::respawn::jitter;
use super::slot::{Process, Slot, describe};
use super::template::Template;
use super::{Phase, Pool};
use crate::balance::Occasion;
use crate::error::Error;
use crate::handler::Departure;
use crate::handler::refusal::OncePerSecond;
use crate::journal::{Cause, Entry, Kind};
use crate::sys::clock;

/// After so many pauses in a row without a ready handler of a new generation, it is given up.
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

impl Pool {
    /// Tells whether a child with this pid is one of ours.
    pub(crate) fn owns(&self, pid: Pid) -> bool {
        self.templates.iter().any(|it| it.pid == pid)
            || self.slots.iter().any(|slot| slot.pid() == Some(pid))
    }

    /// Ends all that a program has started, before the number of its warden can be another's.
    pub(crate) fn end_what_is_left_of(&self, pid: Pid) {
        if self.pattern.program.is_some() && !self.templates.iter().any(|it| it.pid == pid) {
            let _ = rustix::process::kill_process_group(pid, Signal::KILL);
            // Who had left the group came to us, if the warden could not end it.
            let of_it = |slot: &&Slot| slot.pid() == Some(pid);
            for left in self.slots.iter().filter(of_it).flat_map(Slot::processes) {
                if left != pid {
                    Process::of(left).signal(Signal::KILL);
                }
            }
        }
    }

    /// Learns that one of its processes has ended, and how.
    pub(crate) fn ended(&mut self, pid: Pid, status: WaitStatus) {
        if self.templates.iter().any(|it| it.pid == pid) {
            self.template_ended(pid, status);
        } else if let Some(index) = self.slots.iter().position(|slot| slot.pid() == Some(pid)) {
            self.handler_ended(index, status);
            self.balancing.ask_about(Occasion::Ended);
        }
    }

    /// Closes the books on the process of a slot and lets the slot rest, if only for a moment.
    pub(super) fn bury(&mut self, index: usize) {
        let slot = &mut self.slots[index];
        slot.until = Some(clock::now());
        let Some(mut occupant) = slot.occupant.take() else { return };
        occupant.look();
        occupant.close_channel(&self.poller);
        let cause = slot.cause;
        slot.cause.take_if(|cause| *cause == Cause::Contradiction);
        // What a hard deadline ends in the course of serving is not cut by a stop or a change.
        if occupant.condemned && (cause != Some(Cause::Deadline) || self.phase == Phase::Closing) {
            self.cut += occupant.seen.open;
        }
        self.meter.note_death(occupant.used);
        self.gone.add_the_last(&occupant.seen);
        self.nudge_after_a_death();
    }

    fn handler_ended(&mut self, index: usize, status: WaitStatus) {
        self.hear_handler(index, false);
        let slot = &mut self.slots[index];
        let Some(occupant) = &mut slot.occupant else { return };
        occupant.look();
        let (ready_at, condemned) = (occupant.ready_at, occupant.condemned);
        let departure = status.exit_status().and_then(Departure::from_code);
        let left = occupant.dismissed && departure == Some(Departure::Done);
        let words = occupant.last_words.as_ref().map_or_else(String::new, |w| format!(": {w}"));
        let by_itself = slot.cause == Some(Cause::Recycle) && departure == Some(Departure::Recycle);
        let how = if by_itself { "it ended by itself".into() } else { describe(status) } + &words;
        let generation = slot.generation;
        let wanted = condemned || left;
        let lied = slot.cause == Some(Cause::Contradiction);
        let to_blame = lied || matches!(slot.cause, None | Some(Cause::Deadline));
        let ended = format!("a handler of the new generation ended: {how}");
        let cause = if wanted { slot.cause } else { None };
        self.tell_of_an_exit(index, status, cause, &how);
        let pid = self.slots[index].pid().map_or(0, Pid::as_raw_pid);
        self.apply(index, Event::Exited);
        if condemned && ready_at.is_none() && cause.is_none() {
            let limit = self.rules.times.boot.as_secs_f64();
            let problem = format!("it was not ready within {limit} s{words}");
            return self.did_not_start(index, &problem);
        }
        if wanted {
            if to_blame && self.trial_failed(generation, &ended, false) {
                return;
            }
            if lied {
                self.pause_after_a_crash(index, ready_at);
            }
            return;
        }
        let short =
            matches!(departure, Some(Departure::SlowDown | Departure::Never | Departure::Recycle));
        if short && self.trial_failed(generation, &ended, false) {
            return;
        }
        match departure {
            Some(Departure::Recycle) if ready_at.is_some() => {
                self.slots[index].until = Some(self.budget.next(clock::now()));
                return;
            }
            Some(Departure::SlowDown) => return self.slow_down(index),
            Some(Departure::Never) => return self.retire_slot(index),
            Some(Departure::Listener) => self.mend_listeners(),
            _ => {}
        }
        self.gone.totals.crashed += 1;
        if ready_at.is_none() {
            self.crashes_told += 1; // in the words of one that did not start
            return self.did_not_start(index, &how);
        }
        if self.trial_failed(generation, &ended, false) {
            return;
        }
        self.tell_of_a_crash(index, pid, &how);
        self.pause_after_a_crash(index, ready_at);
    }

    fn pause_after_a_crash(&mut self, index: usize, ready_at: Option<Duration>) {
        let now = clock::now();
        let slot = &mut self.slots[index];
        if ready_at.is_some_and(|since| now.saturating_sub(since) >= SETTLED) {
            slot.crashes.reset();
        }
        let until = slot.crashes.fail(now, jitter());
        slot.until = Some(until.max(self.budget.next(now)));
        if let Some(entry) = self.alarm.crashed(now, self.bounds.max) {
            tracing::warn!(pool = self.name, "{}", entry.reason);
            self.tell(entry);
        }
    }

    /// A handler says that something is short: no more of them for a while.
    fn slow_down(&mut self, index: usize) {
        let until = self.boot.fail(clock::now(), jitter());
        self.slots[index].until = Some(until);
        let pause = until.saturating_sub(clock::now());
        let reason = "a handler lacks something (exit status 75): no new ones for a while";
        tracing::warn!(slot = self.slots[index].number, pause_ms = pause.as_millis(), "{reason}");
        let entry = Entry::new(Kind::Shortage, "exit-status", reason);
        self.tell(entry.with("pause_s", pause.as_secs_f64()));
    }

    /// A handler says that it is of no use to start another in its place.
    fn retire_slot(&mut self, index: usize) {
        self.given_up += 1;
        let left = self.bounds.max.saturating_sub(self.given_up);
        let reason = format!(
            "a handler wants no successor (exit status 78); {left} places are left until the next \
             reload or scale"
        );
        tracing::warn!(slot = self.slots[index].number, "{reason}");
        self.tell(Entry::new(Kind::Shortage, "exit-status", reason.clone()));
        let generation = self.slots[index].generation;
        if left == 0 && !self.trial_failed(generation, &reason, false) {
            self.fail(Error::Boot { problem: reason });
        }
    }

    fn tell_of_an_exit(
        &mut self,
        index: usize,
        status: WaitStatus,
        cause: Option<Cause>,
        how: &str,
    ) {
        let slot = &self.slots[index];
        let Some(occupant) = &slot.occupant else { return };
        let cause = match (cause, occupant.ready_at, status.terminating_signal()) {
            (Some(cause), ..) => cause,
            (_, None, _) => Cause::Boot,
            (_, _, Some(libc::SIGKILL)) if self.oom.struck() => Cause::Oom,
            (_, _, Some(_)) => Cause::Signal,
            (_, _, None) => Cause::Exit,
        };
        self.gone.note_end(cause, status);
        let age = clock::now().saturating_sub(occupant.asked_at);
        let entry = Entry::new(Kind::Exit, &cause.to_string(), how)
            .with("age_s", age.as_secs_f64())
            .with("requests", occupant.seen.requests as f64)
            .with("open", occupant.seen.open as f64);
        self.tell_of(index, Entry { cause: Some(cause), ..entry });
    }

    fn tell_of_a_crash(&mut self, index: usize, pid: i32, how: &str) {
        if CRASH_LINES.allows() {
            let slot = self.slots[index].number;
            tracing::warn!(slot, pid, crashed = self.gone.totals.crashed, "a handler ended: {how}");
            self.crashes_told = self.gone.totals.crashed;
        }
    }

    /// Tells of deaths that came too fast to be told each.
    pub(super) fn tell_of_crashes(&mut self) {
        let more = self.gone.totals.crashed - self.crashes_told;
        if more > 0 && CRASH_LINES.allows() {
            tracing::warn!(crashed = self.gone.totals.crashed, "{}", deaths(more));
            self.crashes_told = self.gone.totals.crashed;
        }
    }

    /// A handler could not start. Where others could, this is its slot's business alone.
    pub(super) fn did_not_start(&mut self, index: usize, problem: &str) {
        let generation = self.slots[index].generation;
        if !self.ever_ready {
            return self.boot_failed(generation, problem);
        }
        let now = clock::now();
        let slot = &mut self.slots[index];
        let until = slot.boots.fail(now, jitter());
        slot.until = Some(until);
        let lasting = slot.boots.in_a_row() >= BOOT_ATTEMPTS;
        let problem = format!("a handler did not become ready: {problem}");
        self.boot_problem.clone_from(&problem);
        if self.trial_failed(generation, &problem, lasting) {
            return;
        }
        if BOOT_LINES.allows() {
            let pause_ms = until.saturating_sub(now).as_millis();
            tracing::warn!(slot = self.slots[index].number, pause_ms, "{problem}");
        }
    }

    pub(super) fn boot_failed(&mut self, generation: u64, problem: &str) {
        if self.trial_failed(generation, problem, false) {
            return;
        }
        self.boot_problem = problem.into();
        let until = self.boot.fail(clock::now(), jitter());
        let lasting = self.boot.in_a_row() >= BOOT_ATTEMPTS;
        if self.trial_failed(generation, problem, lasting) {
            return self.boot.reset();
        }
        let attempts = self.rules.boot_attempts;
        if !self.ever_ready && self.boot.in_a_row() >= attempts {
            return self.give_up(attempts, problem);
        }
        let pause_ms = until.saturating_sub(clock::now()).as_millis();
        if BOOT_LINES.allows() {
            tracing::warn!(pause_ms, "no handler can be made at the moment: {problem}");
            let entry = Entry::new(Kind::Shortage, "boot", problem);
            self.tell(entry.with("pause_s", pause_ms as f64 / 1000.0));
        }
    }

    fn give_up(&mut self, attempts: u32, problem: &str) {
        if self.verdict.is_none() {
            let problem = match attempts {
                1 => problem.into(),
                _ => format!("{attempts} attempts failed, the last one: {problem}"),
            };
            self.fail(Error::Boot { problem });
        }
    }

    fn template_ended(&mut self, pid: Pid, status: WaitStatus) {
        let until = clock::now() + self.rules.times.last;
        let Some(template) = self.templates.iter_mut().find(|it| it.pid == pid) else { return };
        template.ended = Some(status);
        // A process that the application made may hold the socket open: not for ever.
        template.until = Some(until);
        let generation = template.generation;
        self.hear_template(generation);
    }

    pub(super) fn template_is_gone(&mut self, generation: u64) {
        let gone = |it: &Template| it.generation == generation && it.ended.is_some();
        let Some(at) = self.templates.iter().position(gone) else { return };
        let Template { condemned, since, ended: Some(status), .. } = self.templates.swap_remove(at)
        else {
            return;
        };
        let unborn: Vec<_> = (0..self.slots.len())
            .filter(|&i| self.slots[i].generation == generation)
            .filter(|&i| self.slots[i].state.has_process() && self.slots[i].pid().is_none())
            .collect();
        unborn.into_iter().for_each(|index| self.apply(index, Event::NotForked));
        if self.phase != Phase::Closing && !condemned {
            if self.ever_ready && clock::now().saturating_sub(since) >= LOADED {
                self.boot.reset(); // one that had worked may be replaced at once
            }
            self.boot_failed(generation, &format!("the template ended: {}", describe(status)));
        }
    }
}

fn deaths(number: u64) -> String {
    match number {
        1 => "1 more handler ended".into(),
        more => format!("{more} more handlers ended"),
    }
}
