//! Processor time that neither server nor client used: what makes a figure of a shared machine less
//! worth.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use crate::process;

/// The unit of /proc/stat (USER_HZ) in ms: 10 on all machines of today.
const TICK: u64 = 10;

/// What the machine, and what server and client have used until a moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Neighbours {
    moment: Instant,
    machine: Duration,
    ours: Duration,
}

impl Neighbours {
    /// Looks, with the server's first process.
    pub(crate) fn look(root: u32) -> Result<Self> {
        let family = |pid| ticks_of_family(pid).unwrap_or(0);
        let server: u64 = process::tree(root)?.into_iter().map(family).sum();
        // With its threads and children that have ended: they are the clients.
        let client = family(std::process::id());
        Ok(Self {
            moment: Instant::now(),
            machine: ticks(machine()?),
            ours: ticks(server + client),
        })
    }

    /// The share of the machine's processors that went elsewhere since, time stolen by other
    /// virtual machines included.
    pub(crate) fn share_since(&self, before: &Self) -> Result<f64> {
        let time = (self.moment - before.moment) * processors()?;
        let machine = self.machine.saturating_sub(before.machine);
        let ours = self.ours.saturating_sub(before.ours);
        Ok(machine.saturating_sub(ours).div_duration_f64(time))
    }
}

fn ticks(count: u64) -> Duration {
    Duration::from_millis(count.saturating_mul(TICK))
}

/// A process with its children that are gone; `None` when it is gone itself.
fn ticks_of_family(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name before the last bracket may hold spaces and brackets itself; utime is field 14.
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_whitespace().skip(11).take(4).map(|field| field.parse::<u64>().ok()).sum()
}

/// All but idle and waiting for disks: user, nice, system, irq, softirq, steal.
fn machine() -> Result<u64> {
    let text = fs::read_to_string("/proc/stat").context("cannot read /proc/stat")?;
    let fields = text.lines().next().and_then(|line| line.strip_prefix("cpu")).unwrap_or_default();
    let fields: Vec<u64> =
        fields.split_whitespace().filter_map(|field| field.parse().ok()).collect();
    [0, 1, 2, 5, 6, 7]
        .into_iter()
        .map(|index| fields.get(index).copied())
        .sum::<Option<u64>>()
        .context("/proc/stat is odd")
}

fn processors() -> Result<u32> {
    let text = fs::read_to_string("/proc/stat").context("cannot read /proc/stat")?;
    let is_processor = |line: &&str| {
        line.strip_prefix("cpu").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    };
    Ok(u32::try_from(text.lines().filter(is_processor).count())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_has_used_at_least_what_we_have() {
        let pid = std::process::id();
        let before = Neighbours::look(pid).unwrap();
        assert!(machine().unwrap() > 0 && processors().unwrap() > 0);
        assert!(ticks_of_family(1).is_some() && ticks_of_family(0).is_none());
        let share = Neighbours::look(pid).unwrap().share_since(&before).unwrap();
        assert!(share >= 0.0, "{share}");
    }
}
