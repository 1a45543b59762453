//! What the kernel says about a process.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};

/// The processor time of all threads so far.
pub(crate) fn cpu_time(pid: u32) -> Result<Duration> {
    let nanoseconds = sum_over_threads(pid, "schedstat", |text| {
        text.split(' ').next().and_then(|running| running.parse().ok())
    })?;
    Ok(Duration::from_nanos(nanoseconds))
}

/// The processor time of all these processes so far.
pub(crate) fn cpu_time_of(processes: &[u32]) -> Result<Duration> {
    processes.iter().map(|&pid| cpu_time(pid)).sum()
}

/// The context switches of all threads so far: those that waited and those that were interrupted.
pub(crate) fn switches(pid: u32) -> Result<u64> {
    sum_over_threads(pid, "status", |text| {
        Some(field(text, "voluntary_ctxt_switches:")? + field(text, "nonvoluntary_ctxt_switches:")?)
    })
}

/// How often all threads went to sleep so far: each needs a wake-up to go on.
pub(crate) fn wakeups(pid: u32) -> Result<u64> {
    sum_over_threads(pid, "status", |text| field(text, "voluntary_ctxt_switches:"))
}

/// The memory that would be free without this process, in KiB.
pub(crate) fn private_memory(pid: u32) -> Result<u64> {
    let path = format!("/proc/{pid}/smaps_rollup");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    ["Private_Clean:", "Private_Dirty:"]
        .into_iter()
        .map(|name| field(&text, name).with_context(|| format!("{path} has no {name}")))
        .sum()
}

/// The process and all its descendants.
pub(crate) fn tree(root: u32) -> Result<Vec<u32>> {
    let parents: Vec<(u32, u32)> = fs::read_dir("/proc")
        .context("cannot list /proc")?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(|pid| Some((pid, parent(pid)?)))
        .collect();
    let mut tree = vec![root];
    let mut next = 0;
    while next < tree.len() {
        let children = parents.iter().filter(|&&(_, parent)| parent == tree[next]);
        let children: Vec<u32> = children.map(|&(pid, _)| pid).collect();
        tree.extend(children);
        next += 1;
    }
    Ok(tree)
}

/// How many children the first thread of a process has; cheap enough to ask often.
pub(crate) fn children(pid: u32) -> Result<usize> {
    let path = format!("/proc/{pid}/task/{pid}/children");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    Ok(text.split_whitespace().count())
}

/// None when the process has gone.
fn parent(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name before the last bracket may hold spaces and brackets itself.
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_whitespace().nth(1)?.parse().ok()
}

/// The number behind `name` at the start of a line.
fn field(text: &str, name: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    rest.split_whitespace().next()?.parse().ok()
}

/// A thread that ends while this looks is left out.
fn sum_over_threads(pid: u32, file: &str, read: impl Fn(&str) -> Option<u64>) -> Result<u64> {
    let folder = PathBuf::from(format!("/proc/{pid}/task"));
    let threads = fs::read_dir(&folder).with_context(|| format!("process {pid} has gone"))?;
    let text = |thread: fs::DirEntry| fs::read_to_string(thread.path().join(file)).ok();
    let texts: Vec<String> = threads.flatten().filter_map(text).collect();
    texts
        .iter()
        .map(|text| read(text).with_context(|| format!("{}/*/{file} is odd", folder.display())))
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_sees_itself() {
        let pid = std::process::id();
        assert!(cpu_time(pid).unwrap() > Duration::ZERO);
        assert!(private_memory(pid).unwrap() > 0);
        assert!(switches(pid).unwrap() >= wakeups(pid).unwrap());
        assert!(tree(pid).unwrap().contains(&pid));
        assert!(tree(parent(pid).unwrap()).unwrap().contains(&pid));
    }

    #[test]
    fn a_field_is_found_by_its_whole_name() {
        let status = "nonvoluntary_ctxt_switches:\t7\nvoluntary_ctxt_switches:\t3\n";
        assert_eq!(field(status, "voluntary_ctxt_switches:"), Some(3));
        assert_eq!(field(status, "VmRSS:"), None);
    }
}
