//! How much memory and processor time a process has used.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

use rustix::process::Pid;

/// Returns the bytes of memory of a process, shared pages counted in proportion (PSS).
///
/// Where the kernel does not tell PSS (another user's process, or before Linux 4.14), the
/// resident set is returned, which counts shared pages in full. `None` when neither can be read,
/// as when the process is gone.
///
/// The kernel walks all pages of the process for it: about 1 ms a gigabyte.
pub(crate) fn pss(pid: Pid) -> Option<u64> {
    let read = |file, field| bytes_of(&read(&format!("/proc/{pid}/{file}"))?, field);
    read("smaps_rollup", "Pss:").or_else(|| read("status", "VmRSS:"))
}

/// Returns the processor time of all threads of a process, those that have ended included.
pub(crate) fn processor_time(pid: Pid) -> Option<Duration> {
    let ticks = ticks_in(&read(&format!("/proc/{pid}/stat"))?)?;
    Some(Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second() as f64))
}

/// Opens the directory of the process in /proc and sums up the context switches of its threads.
///
/// Only voluntary ones count: a thread that slept and was woken. `None` once the process is gone.
pub(crate) fn voluntary_switches(pid: Pid) -> Option<u64> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).ok()?;
    Some(tasks.flatten().filter_map(|task| switches_in(&task.path())).sum())
}

fn switches_in(task: &Path) -> Option<u64> {
    let status = std::fs::read_to_string(task.join("status")).ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("voluntary_ctxt_switches:"))?;
    line.trim().parse().ok()
}

/// Reads a file of /proc, as far as anything is looked for in it.
pub(crate) fn read(path: &str) -> Option<String> {
    const ENOUGH: u64 = 4096;
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(ENOUGH).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// Finds a line like `Pss:   1234 kB` (proc_pid_smaps(5), proc_pid_status(5)).
fn bytes_of(text: &str, field: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(field))?;
    let kib: u64 = line.strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

/// Adds fields 14 and 15, utime and stime (proc_pid_stat(5)); a name may hold anything, even `)`.
fn ticks_in(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut times = fields.split(' ').skip(11).map(str::parse::<u64>);
    times.next()?.ok()?.checked_add(times.next()?.ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memory_of_a_living_process_is_read() {
        let own = rustix::process::getpid();
        let bytes = pss(own).unwrap();
        assert!(bytes > 4096, "{bytes}");
        assert!(processor_time(own).is_some() && voluntary_switches(own).is_some());
    }

    #[test]
    fn a_process_that_is_not_there_has_used_nothing() {
        let missing = Pid::from_raw(i32::MAX).unwrap();
        assert_eq!((pss(missing), processor_time(missing)), (None, None));
        assert_eq!(voluntary_switches(missing), None);
    }

    #[test]
    fn a_field_of_captured_text_is_found() {
        let rollup = "559bd2a0f000-7ffead8d4000 ---p 00000000 00:00 0      [rollup]\n\
                      Rss:                1712 kB\n\
                      Pss:                 275 kB\n\
                      Pss_Dirty:           112 kB\n";
        assert_eq!(bytes_of(rollup, "Pss:"), Some(275 * 1024));
        let status = "Name:\tcat\nVmHWM:\t    1700 kB\nVmRSS:\t    1664 kB\nThreads:\t1\n";
        assert_eq!(bytes_of(status, "VmRSS:"), Some(1664 * 1024));
        let stat = "7 (a) b) S 1 7 7 0 -1 4194304 100 0 0 0 25 17 0 0 20 0 1 0 9 1000 200\n";
        assert_eq!(ticks_in(stat), Some(42));
    }

    #[test]
    fn rubbish_is_nothing() {
        let huge = format!("Pss: {} kB\n", u64::MAX);
        for text in ["", "Pss:", "Pss: kB", "Pss: -1 kB", "Pss: 1 MB", "Pss: 1e3 kB", &huge] {
            assert_eq!(bytes_of(text, "Pss:"), None, "{text}");
        }
        for text in ["", "1 (x) S", "1 (x) S 1 1 1 0 -1 0 0 0 0 0 -5 7 0"] {
            assert_eq!(ticks_in(text), None, "{text}");
        }
    }
}
