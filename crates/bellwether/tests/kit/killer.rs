//! Random handlers killed while the server works.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::retry_on_intr;
use rustix::process::{PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::control;
use super::processes::{self, Pid, Process};
use super::run::Run;
use super::wait::pulse;

/// The death of a process by our hand: it happened not before `from` and not after `to`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kill {
    pub pid: Pid,
    pub from: Instant,
    pub to: Instant,
}

impl Kill {
    /// Kills a process (SIGKILL) and waits for its death; `None` when it was dead already.
    #[track_caller]
    pub fn of(pid: Pid) -> Option<Self> {
        // The descriptor holds on to this very process, whatever becomes of the number.
        let process = pidfd_open(rustix::process::Pid::from_raw(pid)?, PidfdFlags::empty()).ok()?;
        if !processes::is_alive(pid) {
            return None;
        }
        let from = Instant::now();
        pidfd_send_signal(&process, Signal::KILL).ok()?;
        let mut death = [PollFd::new(&process, PollFlags::IN)];
        let patience = Timespec { tv_sec: 20, tv_nsec: 0 };
        let dead = retry_on_intr(|| poll(&mut death, Some(&patience))).unwrap();
        assert_eq!(dead, 1, "process {pid} survives SIGKILL");
        Some(Self { pid, from, to: Instant::now() })
    }
}

/// Kills random handlers of a server at a steady rate.
#[derive(Clone, Copy, Debug)]
pub struct Killer {
    pub per_second: u32,
    pub lasting: Duration,
    /// Where the choices start: the same seed chooses from the same lists the same victims.
    pub seed: u64,
}

impl Killer {
    /// Kills until the time is over; who was killed when, in the order of time.
    #[track_caller]
    pub fn run(&self, run: &Run) -> Vec<Kill> {
        let end = Instant::now() + self.lasting;
        let mut chance = Chance(self.seed);
        let mut kills = Vec::new();
        pulse(Duration::from_secs(1) / self.per_second, || {
            kills.extend(strike(run, &mut chance));
            if Instant::now() < end { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        assert!(!kills.is_empty(), "nobody was killed: the test would prove nothing");
        kills
    }
}

/// One handler, if there is any that is not dead already.
fn strike(run: &Run, chance: &mut Chance) -> Option<Kill> {
    let mut handlers = control::listed(&run.status());
    handlers.retain(|pid| is_child(*pid, run.pid()));
    let victim = chance.below(handlers.len())?;
    Kill::of(handlers[victim])
}

/// What the status says is believed only as far as the kernel agrees: no stranger is killed.
fn is_child(pid: Pid, spawner: Pid) -> bool {
    Process::find(pid).is_some_and(|it| it.parent == spawner && !it.is_zombie())
}

/// SplitMix64: enough to choose victims.
#[derive(Clone, Copy, Debug)]
pub struct Chance(pub u64);

impl Chance {
    /// A number below the limit; none where there is no such number.
    pub fn below(&mut self, limit: usize) -> Option<usize> {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let number = mixed ^ (mixed >> 31);
        usize::try_from(number.checked_rem(u64::try_from(limit).ok()?)?).ok()
    }
}
