//! The control groups that we are in, and what they allow (cgroups(7), version 2).

use std::fs;
use std::path::{Path, PathBuf};

/// Where the unified hierarchy is.
const ROOT: &str = "/sys/fs/cgroup";

/// Returns the folders of our own control group and of those around it, the innermost first.
///
/// In a namespace of its own, as containers have it, the own group looks like the root.
pub(super) fn own() -> Vec<PathBuf> {
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let own = groups.lines().find_map(|line| line.strip_prefix("0::/"));
    let root = Path::new(ROOT);
    let own = own.map(|path| root.join(path));
    let within = own.iter().flat_map(|path| path.ancestors());
    within.take_while(|path| path.starts_with(root)).map(Path::to_owned).collect()
}

/// Returns how many processors we may use at once: by affinity and by the quotas of our groups.
pub(super) fn processors() -> f64 {
    let affinity = rustix::thread::sched_getaffinity(None).map_or(1, |set| set.count());
    let quotas = own()
        .into_iter()
        .filter_map(|group| quota(&fs::read_to_string(group.join("cpu.max")).ok()?));
    quotas.fold(f64::from(affinity), f64::min)
}

/// Reads microseconds of processor time and of the period in which they may be used.
fn quota(text: &str) -> Option<f64> {
    let (quota, period) = text.trim().split_once(' ')?;
    let (quota, period): (u32, u32) = (quota.parse().ok()?, period.parse().ok()?);
    (quota > 0 && period > 0).then(|| f64::from(quota) / f64::from(period))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_is_a_number_of_processors() {
        let check = |text: &str, expected| assert_eq!(quota(text), expected, "{text}");
        check("150000 100000\n", Some(1.5));
        check("50000 100000\n", Some(0.5));
        check("max 100000\n", None);
        for rubbish in ["", "0 100000", "1 0", "-1 5", "1", "x y", "99999999999 1"] {
            check(rubbish, None);
        }
        assert!(processors() > 0.0);
    }

    #[test]
    fn the_root_is_among_the_groups_around_us() {
        let groups = own();
        assert!(groups.is_empty() || groups.ends_with(&[PathBuf::from(ROOT)]), "{groups:?}");
    }
}
