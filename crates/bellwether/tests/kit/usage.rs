//! What a process uses: descriptors, memory, context switches, processors.
//! Each function panics when the process is gone: a test that measures nothing should not pass.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use super::processes::Pid;

/// Open descriptors.
pub fn descriptors(pid: Pid) -> usize {
    fs::read_dir(file(pid, "fd"))
        .unwrap_or_else(|error| panic!("no process {pid}: {error}"))
        .count()
}

/// Threads that live.
pub fn number_of_threads(pid: Pid) -> usize {
    threads(pid).len()
}

/// Memory that would be free again if this process alone ended, in KiB.
pub fn private_kib(pid: Pid) -> u64 {
    let rollup = read(pid, "smaps_rollup");
    value(&rollup, "Private_Dirty") + value(&rollup, "Private_Clean")
}

/// Memory that the process alone has written, in KiB: what grows when it leaks.
///
/// Clean pages of its executable come and go with who else has touched them.
pub fn written_kib(pid: Pid) -> u64 {
    value(&read(pid, "smaps_rollup"), "Private_Dirty")
}

/// Memory that is backed by no file, in KiB; unlike [`written_kib`] with what the process still
/// shares with the children that it has forked.
pub fn anonymous_kib(pid: Pid) -> u64 {
    value(&read(pid, "smaps_rollup"), "Anonymous")
}

/// Resident memory, shared pages included, in KiB.
pub fn resident_kib(pid: Pid) -> u64 {
    value(&read(pid, "smaps_rollup"), "Rss")
}

/// How often the process went to sleep of its own accord (all threads that still live):
/// for one that only waits, the number of its wake-ups.
pub fn voluntary_switches(pid: Pid) -> u64 {
    threads(pid).iter().map(|status| value(status, "voluntary_ctxt_switches")).sum()
}

/// Processor time that the process has used, in hundredths of a second.
pub fn processor_time(pid: Pid) -> u64 {
    let stat = read(pid, "stat");
    let (_, tail) = stat.rsplit_once(')').expect("a name in /proc/PID/stat");
    // Fields 14 and 15 of proc(5); the state, field 3, is the first after the name.
    tail.split_whitespace().skip(11).take(2).map(|it| it.parse::<u64>().expect("ticks")).sum()
}

/// The processors that the process may run on.
pub fn allowed_processors(pid: Pid) -> BTreeSet<usize> {
    let status = read(pid, "status");
    let list = field(&status, "Cpus_allowed_list").expect("Cpus_allowed_list in /proc/PID/status");
    list.trim().split(',').flat_map(range).collect()
}

/// The processor that the main thread ran on last.
pub fn last_processor(pid: Pid) -> usize {
    let stat = read(pid, "stat");
    let (_, tail) = stat.rsplit_once(')').expect("a name in /proc/PID/stat");
    // Field 39 of proc(5); the state, field 3, is the first after the name.
    tail.split_whitespace().nth(36).expect("39 fields").parse().expect("a processor number")
}

fn threads(pid: Pid) -> Vec<String> {
    let tasks = fs::read_dir(file(pid, "task")).unwrap_or_else(|_| panic!("no process {pid}"));
    tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("status")).ok()).collect()
}

/// `3` or `0-7`.
fn range(text: &str) -> std::ops::RangeInclusive<usize> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    first.parse().unwrap()..=last.parse().unwrap()
}

/// The number of a line like `Rss:     1234 kB`.
fn value(text: &str, name: &str) -> u64 {
    let number = field(text, name).and_then(|rest| rest.split_whitespace().next()?.parse().ok());
    number.unwrap_or_else(|| panic!("no {name} in {text:?}"))
}

fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
}

fn read(pid: Pid, name: &str) -> String {
    fs::read_to_string(file(pid, name)).unwrap_or_else(|error| panic!("no process {pid}: {error}"))
}

fn file(pid: Pid, name: &str) -> PathBuf {
    format!("/proc/{pid}/{name}").into()
}
