//! How much memory handlers may still take: of the control groups we are in, and of the machine.

use std::fs;
use std::path::Path;

use super::cgroup;

/// The part of a limit that is left alone, as a divisor: a tenth.
const RESERVE: u64 = 10;

/// Returns the bytes that may still be taken before a tenth of the tightest limit is left.
///
/// `None` where nothing can be read.
pub(super) fn free() -> Option<u64> {
    let groups = cgroup::own().into_iter().filter_map(|group| of_group(&group));
    groups.chain(of_machine(&fs::read_to_string("/proc/meminfo").ok()?)).min()
}

/// What a group may still take; caches of files that nobody uses are as good as free.
fn of_group(group: &Path) -> Option<u64> {
    let read = |file: &str| fs::read_to_string(group.join(file)).ok();
    let number = |file: &str| read(file)?.trim().parse::<u64>().ok();
    let limit = number("memory.max")?; // the word `max` is no limit
    let unused = field(&read("memory.stat").unwrap_or_default(), "inactive_file ");
    Some(left(limit, number("memory.current")?.saturating_sub(unused.unwrap_or(0))))
}

/// What the machine has (proc_meminfo(5)).
fn of_machine(meminfo: &str) -> Option<u64> {
    let bytes = |name: &str| Some(field(meminfo, name)?.saturating_mul(1024));
    let (total, available) = (bytes("MemTotal:")?, bytes("MemAvailable:")?);
    Some(left(total, total.saturating_sub(available)))
}

const fn left(limit: u64, used: u64) -> u64 {
    (limit - limit / RESERVE).saturating_sub(used)
}

fn field(text: &str, name: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    rest.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenth_of_the_machine_is_left_alone() {
        let meminfo = "MemTotal:       1000 kB\nMemFree: 1 kB\nMemAvailable:    300 kB\n";
        assert_eq!(of_machine(meminfo), Some(200 * 1024));
        let full = "MemTotal:       1000 kB\nMemAvailable:    30 kB\n";
        assert_eq!(of_machine(full), Some(0));
        for rubbish in ["", "MemTotal: x kB", "MemTotal: 1000 kB\n"] {
            assert_eq!(of_machine(rubbish), None, "{rubbish}");
        }
        assert!(free().is_some_and(|bytes| bytes > 0));
    }

    #[test]
    fn a_group_has_what_its_limit_leaves_and_caches_that_nobody_uses() {
        let group = tempfile::tempdir().unwrap();
        let write = |file: &str, text: &str| fs::write(group.path().join(file), text).unwrap();
        assert_eq!(of_group(group.path()), None);
        write("memory.max", "max\n");
        write("memory.current", "600\n");
        assert_eq!(of_group(group.path()), None, "no limit");
        write("memory.max", "1000\n");
        assert_eq!(of_group(group.path()), Some(300));
        write("memory.stat", "anon 1\ninactive_file 200\n");
        assert_eq!(of_group(group.path()), Some(500));
    }
}
