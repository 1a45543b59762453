//! The living processes of one handler: its process group, and all that descend from its leader.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use rustix::process::{Pid, getpid};

/// A program with more processes is seen in part.
const MOST: usize = 256;

/// A machine with more processes is not read whole; families are then found one by one.
const MOST_IN_ALL: usize = 4096;

/// The processes of one handler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Family {
    leader: Pid,
    pids: Vec<Pid>,
}

impl Family {
    /// Finds the family of one leader; a [`Census`] is cheaper for many.
    pub(crate) fn of(leader: Pid) -> Self {
        by_children(leader).unwrap_or_else(|| Census::take().group(leader))
    }

    /// Who began it, and may have ended.
    pub(crate) const fn leader(&self) -> Pid {
        self.leader
    }

    /// Those that live, the leader first.
    pub(crate) fn pids(&self) -> &[Pid] {
        &self.pids
    }

    /// The leader first, so that what is asked of one after the other is found soonest.
    fn led_by(leader: Pid, members: &BTreeSet<i32>) -> Self {
        let number = leader.as_raw_pid();
        let first = members.get(&number).into_iter();
        let others = members.iter().filter(|pid| **pid != number);
        let pids = first.chain(others).filter_map(|pid| Pid::from_raw(*pid));
        Self { leader, pids: pids.take(MOST).collect() }
    }
}

/// Follows /proc/PID/task/*/children; `None` where the kernel has none (CONFIG_PROC_CHILDREN).
///
/// A spawner is the subreaper of what it started, so that members of the group whose parents have
/// ended are found among its own children.
fn by_children(leader: Pid) -> Option<Family> {
    let leader_number = leader.as_raw_pid();
    let of_the_group =
        |pid: &i32| Process::read(*pid).is_some_and(|it| it.group == leader_number && it.is_alive);
    let mut found: BTreeSet<_> =
        children(getpid().as_raw_pid())?.into_iter().filter(of_the_group).collect();
    found.extend(Process::read(leader_number).filter(|it| it.is_alive).map(|it| it.pid));
    let mut unasked: Vec<_> = found.iter().copied().collect();
    while let Some(pid) = unasked.pop() {
        // It may have ended meanwhile.
        for child in children(pid).unwrap_or_default() {
            if found.len() < MOST && found.insert(child) {
                unasked.push(child);
            }
        }
    }
    Some(Family::led_by(leader, &found))
}

/// Returns the children of a process.
pub(super) fn children_of(pid: Pid) -> Vec<Pid> {
    let number = pid.as_raw_pid();
    let found = children(number)
        .unwrap_or_else(|| Census::take().children.remove(&number).unwrap_or_default());
    found.into_iter().filter_map(Pid::from_raw).collect()
}

/// Tells whether a process descends from another, or is that one itself.
pub(crate) fn descends(pid: Pid, from: Pid) -> bool {
    let parent = |pid: &i32| Process::read(*pid).map(|it| it.parent);
    let mut line = std::iter::successors(Some(pid.as_raw_pid()), parent);
    // Numbers may be given anew while we follow them: what would be a circle ends, too.
    line.by_ref().take(MOST).any(|it| it == from.as_raw_pid())
}

fn children(pid: i32) -> Option<Vec<i32>> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).ok()?;
    let files = tasks.flatten().map(|task| task.path().join("children"));
    // A thread may end meanwhile, but not all do; so nothing read is no file to read.
    let read: Vec<_> = files.filter_map(|file| fs::read_to_string(file).ok()).collect();
    let numbers = read.iter().flat_map(|text| text.split_whitespace());
    (!read.is_empty()).then(|| numbers.filter_map(|number| number.parse().ok()).collect())
}

/// All processes of the machine, read once for many families.
///
/// It costs about 10 µs a process, whoever it belongs to; the processes of a family change rarely.
#[derive(Debug, Default)]
pub(crate) struct Census {
    living: BTreeSet<i32>,
    /// By process group, and by parent.
    groups: BTreeMap<i32, Vec<i32>>,
    children: BTreeMap<i32, Vec<i32>>,
    is_whole: bool,
}

impl Census {
    pub(crate) fn take() -> Self {
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let mut pids: Vec<i32> = pids.take(MOST_IN_ALL + 1).collect();
        let is_whole = pids.len() <= MOST_IN_ALL;
        pids.truncate(MOST_IN_ALL);
        Self { is_whole, ..Self::of(pids.into_iter().filter_map(Process::read)) }
    }

    fn of(processes: impl Iterator<Item = Process>) -> Self {
        let mut census = Self { is_whole: true, ..Self::default() };
        for process in processes.filter(|process| process.is_alive) {
            census.living.insert(process.pid);
            census.groups.entry(process.group).or_default().push(process.pid);
            census.children.entry(process.parent).or_default().push(process.pid);
        }
        census
    }

    pub(crate) fn family(&self, leader: Pid) -> Family {
        let apart = (!self.is_whole).then(|| by_children(leader)).flatten();
        apart.unwrap_or_else(|| self.group(leader))
    }

    /// The group of a leader, and who descends from it.
    fn group(&self, leader: Pid) -> Family {
        let number = leader.as_raw_pid();
        let group = self.groups.get(&number).into_iter().flatten().copied();
        let mut found: BTreeSet<_> = group.take(MOST).collect();
        found.extend(self.living.get(&number));
        let mut unasked: Vec<_> = found.iter().copied().collect();
        while let Some(pid) = unasked.pop() {
            for &child in self.children.get(&pid).into_iter().flatten() {
                if found.len() < MOST && found.insert(child) {
                    unasked.push(child);
                }
            }
        }
        Family::led_by(leader, &found)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Process {
    pid: i32,
    parent: i32,
    group: i32,
    is_alive: bool,
}

impl Process {
    fn read(pid: i32) -> Option<Self> {
        Self::parse(&fs::read(format!("/proc/{pid}/stat")).ok()?)
    }

    /// proc_pid_stat(5): the name, in parentheses, may be any bytes.
    fn parse(stat: &[u8]) -> Option<Self> {
        let name_starts = stat.iter().position(|byte| *byte == b'(')?;
        let name_ends = stat.iter().rposition(|byte| *byte == b')')?;
        let pid = str::from_utf8(stat.get(..name_starts)?).ok()?.trim().parse().ok()?;
        let rest = str::from_utf8(stat.get(name_ends + 1..)?).ok()?;
        let mut fields = rest.split_whitespace();
        let is_alive = !matches!(fields.next()?, "Z" | "X");
        let (parent, group) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
        Some(Self { pid, parent, group, is_alive })
    }
}

#[cfg(test)]
mod tests {
    use super::super::trial::{Trial, eventually};
    use super::*;

    fn pid(number: i32) -> Pid {
        Pid::from_raw(number).unwrap()
    }

    #[test]
    fn a_name_may_be_anything() {
        let check = |stat: &[u8], expected| {
            let seen = Process::parse(stat).map(|it| (it.pid, it.parent, it.group, it.is_alive));
            assert_eq!(seen, expected, "{stat:?}");
        };
        check(b"7 (sh) S 1 7 7 0", Some((7, 1, 7, true)));
        check(b"7 (a) Z (1 2 3) S 4 5 6", Some((7, 4, 5, true)));
        check(b"7 (\xff\n)) R 4 5 6", Some((7, 4, 5, true)));
        check(b"7 (sh) Z 1 7 7", Some((7, 1, 7, false)));
        for rubbish in [&b""[..], b"7", b"7 (sh", b")(", b"7 (sh) S", b"7 (sh) S x y", b"\xff() S"]
        {
            check(rubbish, None);
        }
    }

    #[test]
    fn a_family_is_the_group_and_all_descendants() {
        let all = [(1, 0, 1), (10, 1, 10), (11, 10, 10), (12, 1, 10), (13, 11, 99), (14, 12, 98)];
        let mut all =
            all.map(|(pid, parent, group)| Process { pid, parent, group, is_alive: true }).to_vec();
        let family = |all: &[Process]| {
            let family = Census::of(all.iter().copied()).family(pid(10));
            family.pids().iter().map(|pid| pid.as_raw_pid()).collect::<Vec<_>>()
        };
        assert_eq!(family(&all), [10, 11, 12, 13, 14]);
        all[1].is_alive = false;
        assert_eq!(family(&all), [11, 12, 13, 14]);
        let many = (100..900).map(|pid| Process { pid, parent: 10, group: 10, is_alive: true });
        all.extend(many);
        assert_eq!(family(&all).len(), MOST);
    }

    #[test]
    fn wrappers_and_what_they_start_are_of_the_family() {
        // The shell starts a child in the group and one in a session of its own.
        let script = "setsid sh -c 'read x' <&3 & sh -c 'read x' <&3 & exec 3<&-; wait";
        let Some(trial) = Trial::start("sh", &["-c", &format!("exec 3<&0; {script}")]) else {
            return;
        };
        let whole = |family: Family| (family.pids().len() == 3).then_some(family);
        let by_census = eventually("three", || whole(Census::take().family(trial.leader())));
        let by_children = eventually("three", || whole(Family::of(trial.leader())));
        assert_eq!(by_census, by_children);
        assert_eq!(by_census.pids()[0], trial.leader());
        for pid in by_census.pids() {
            assert!(descends(*pid, trial.leader()) && descends(*pid, getpid()));
        }
        assert!(!descends(getpid(), trial.leader()));
        let leader = trial.leader();
        drop(trial);
        eventually("nobody", || Census::take().family(leader).pids().is_empty().then_some(()));
        assert_eq!(Family::of(leader).pids(), []);
    }
}
